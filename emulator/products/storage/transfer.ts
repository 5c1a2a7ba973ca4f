/** The ways that bytes go: uploads, and downloads in the tongues of both APIs. */
import { bodyOf } from '../../rest/body.ts'
import type { ObjectStore } from '../../state/objects.ts'
import type { StoredObject } from '../../state/stored-objects.ts'
import { mediaHeaders, objectDocument } from './documents.ts'
import { rangeOf } from './range.ts'
import { rangeNotSatisfiable, StorageRefusal } from './refusal.ts'
import { BUCKETS, type Serve, type StorageContext, type StorageOptions } from './routes.ts'
import { continueUpload, insertObject, startUpload, type UploadRequest } from './uploads.ts'

/** facts gcloud 4.6: gcloud sends large sources under `/resumable`. */
const UPLOADS = [`/upload${BUCKETS}/:bucket/o`, `/resumable/upload${BUCKETS}/:bucket/o`]

export function uploadRoutes(serve: Serve, { objects, api }: StorageOptions): void {
  for (const path of UPLOADS) {
    serve('POST', path, async ({ c, bucket }) => {
      const { name } = bucket('storage.objects.create', 'object')
      if (c.req.query('uploadType') !== 'resumable')
        return c.json(objectDocument(await insertObject(objects, name, uploadRequest(c))))
      const { id } = await startUpload(objects, name, uploadRequest(c))
      // The client goes on by the way that it came.
      const origin = `${c.env.scheme}://${c.req.header('host') ?? api.name}`
      const query = new URLSearchParams({ uploadType: 'resumable', upload_id: id })
      return new Response(null, {
        headers: {
          Location: `${origin}${path.replace(':bucket', name)}?${query}`,
          'X-Guploader-Uploadid': id,
        },
      })
    })
    serve('PUT', path, async ({ c }) => {
      // Whoever knows the id of an upload may go on with it: Google asks for no permission here.
      const id = c.req.query('upload_id') ?? ''
      const progress = await continueUpload(objects, id, uploadRequest(c))
      if (!('received' in progress)) return c.json(objectDocument(progress))
      // "Resume Incomplete"; without Range nothing has come in yet.
      const range = progress.received > 0 ? { Range: `bytes=0-${progress.received - 1}` } : {}
      return new Response(null, { status: 308, headers: { ...range, 'X-Guploader-Uploadid': id } })
    })
    serve('DELETE', path, async ({ c }) => {
      const upload = objects.upload(c.req.query('upload_id') ?? '')
      if (upload) await objects.abandonUpload(upload)
      throw new StorageRefusal('clientClosedRequest', 'Client Closed Request')
    })
  }
}

/** `GET https://storage.googleapis.com/BUCKET/OBJECT`: how gcloud reads the log of a build (facts gcloud 4.5). */
export function xmlRoutes(serve: Serve, { objects, api }: StorageOptions): void {
  serve(
    'GET',
    '/:bucket/:object{.+}',
    ({ c, object }) => download(c, objects, object('storage.objects.get')),
    {
      format: () => 'xml',
      // On any other name these paths are everyone's.
      servedOn: (host, path) =>
        host === api.name && !/^\/(?:storage|upload|resumable|download|batch)\//.test(path),
    },
  )
}

export function download(c: StorageContext, objects: ObjectStore, object: StoredObject): Response {
  const range = rangeOf(c.req.header('range'), object.size)
  if (range === 'unsatisfiable') throw rangeNotSatisfiable()
  const partial = range !== 'whole'
  const { start, end } = partial ? range : { start: 0, end: object.size }
  return new Response(c.req.method === 'HEAD' ? null : objects.read(object, start, end), {
    status: partial ? 206 : 200,
    headers: {
      ...mediaHeaders(object),
      'Content-Length': String(end - start),
      ...(partial ? { 'Content-Range': `bytes ${start}-${end - 1}/${object.size}` } : {}),
    },
  })
}

function uploadRequest(c: StorageContext): UploadRequest {
  return {
    query: (name) => c.req.query(name),
    header: (name) => c.req.header(name),
    body: bodyOf(c.req.raw),
  }
}
