/** Uploads of objects: in one request (media, multipart), or in several that survive a broken connection and a restart. */
import { z } from 'zod'
import { Lock } from '../../state/lock.ts'
import type { ObjectStore } from '../../state/objects.ts'
import type { ObjectAttributes, StoredObject, Upload, WriteConditions } from '../../state/stored-objects.ts'
import { boundaryOf, readRelated } from './multipart.ts'
import { uploadRangeOf } from './range.ts'
import { StorageRefusal } from './refusal.ts'

/** An upload request, as far as uploads look at it. */
export interface UploadRequest {
  query(name: string): string | undefined
  header(name: string): string | undefined
  readonly body: AsyncIterable<Uint8Array>
}

const attributesMessage = z
  .looseObject({
    name: z.string(),
    contentType: z.string(),
    cacheControl: z.string(),
    contentDisposition: z.string(),
    contentEncoding: z.string(),
    contentLanguage: z.string(),
    metadata: z.record(z.string(), z.string()),
    md5Hash: z.string(),
    crc32c: z.string(),
  })
  .partial()

interface Wish {
  readonly name: string
  readonly attributes: ObjectAttributes
  readonly conditions: WriteConditions
}

/** `uploadType=media` or `multipart`. */
export async function insertObject(
  store: ObjectStore,
  bucket: string,
  request: UploadRequest,
): Promise<StoredObject> {
  if (request.query('uploadType') !== 'multipart') {
    const { name, attributes, conditions } = wish(request, '', request.header('content-type'))
    return store.insert(bucket, name, attributes, request.body, conditions)
  }
  const parts = await readRelated(request.body, boundaryOf(request.header('content-type')))
  const { name, attributes, conditions } = wish(request, parts.json, parts.contentType)
  return store.insert(bucket, name, attributes, parts.media, conditions)
}

/** `uploadType=resumable`, the first request. */
export async function startUpload(
  store: ObjectStore,
  bucket: string,
  request: UploadRequest,
): Promise<Upload> {
  let json = ''
  const decoder = new TextDecoder()
  for await (const chunk of request.body) json += decoder.decode(chunk, { stream: true })
  return store.startUpload({ bucket, ...wish(request, json, request.header('x-upload-content-type')) })
}

/** The object when it is whole, else how many bytes of it are safe. */
export type Progress = StoredObject | { readonly received: number }

/** One writer at a time for an upload: a client that has lost its connection may come back before the server has noticed. */
const writers = new Lock()

export function continueUpload(store: ObjectStore, id: string, request: UploadRequest): Promise<Progress> {
  return writers.run(id, async () => {
    const upload = store.upload(id)
    if (!upload) throw new StorageRefusal('notFound', 'The upload session was not found or has expired.')
    if (upload.generation !== undefined) return finished(store, upload)
    const header = request.header('content-range')
    const range = header === undefined ? { start: 0 } : uploadRangeOf(header)
    if (!range) throw new StorageRefusal('invalid', 'Failed to parse Content-Range header.')
    let received = await store.received(upload)
    if (range.start !== undefined) {
      if (range.start > received) {
        throw new StorageRefusal(
          'invalid',
          `Invalid request.  According to the Content-Range header, the upload offset is ${range.start} byte(s), which exceeds already uploaded size of ${received} byte(s).`,
        )
      }
      // What is safe already is not taken again.
      const skip = received - range.start
      received = await store.continueUpload(upload, received, afterSkipping(skip, request.body))
      if (range.end !== undefined && received > range.end)
        throw new StorageRefusal(
          'invalid',
          'Invalid request. The request body is longer than its Content-Range says.',
        )
    }
    // A client that sends no Content-Range sends everything.
    const total = header === undefined ? received : range.total
    return received === total ? store.finishUpload(upload) : { received }
  })
}

function finished(store: ObjectStore, upload: Upload): StoredObject {
  const object = store.object(upload.bucket, upload.name)
  if (object?.generation === upload.generation && object) return object
  throw new StorageRefusal('notFound', 'The upload session was not found or has expired.')
}

async function* afterSkipping(skip: number, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let left = skip
  for await (const chunk of body) {
    if (chunk.length > left) yield chunk.subarray(left)
    left = Math.max(0, left - chunk.length)
  }
}

function wish(request: UploadRequest, json: string, mediaType: string | undefined): Wish {
  const parsed = attributesMessage.safeParse(parseJson(json))
  if (!parsed.success) throw new StorageRefusal('invalid', 'Parse Error')
  const { name: named, md5Hash, crc32c, contentType = mediaType, ...rest } = parsed.data
  // The query decides over the body, as the API's reference says.
  const name = request.query('name') ?? named
  if (!name)
    throw new StorageRefusal('required', 'Required', { location: { type: 'parameter', name: 'name' } })
  if (Buffer.byteLength(name) > 1024 || /[\r\n]/.test(name) || name === '.' || name === '..')
    throw new StorageRefusal('invalid', `Invalid object name: '${name}'`)
  const { cacheControl, contentDisposition, contentEncoding, contentLanguage, metadata } = rest
  const ifGenerationMatch = request.query('ifGenerationMatch')
  return {
    name,
    attributes: {
      ...(contentType ? { contentType } : {}),
      ...(cacheControl ? { cacheControl } : {}),
      ...(contentDisposition ? { contentDisposition } : {}),
      ...(contentEncoding ? { contentEncoding } : {}),
      ...(contentLanguage ? { contentLanguage } : {}),
      ...(metadata ? { metadata } : {}),
    },
    conditions: {
      ...(ifGenerationMatch === undefined ? {} : { ifGenerationMatch }),
      ...(md5Hash ? { md5: md5Hash } : {}),
      ...(crc32c ? { crc32c } : {}),
    },
  }
}

function parseJson(text: string): unknown {
  if (text.trim() === '') return {}
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
