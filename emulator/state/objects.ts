/** How bytes become an object of Cloud Storage, and what is done with it. The bytes themselves lie in `contents.ts`. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { buf as crc32c } from 'crc-32/crc32c.js'
import { type BucketSettings, googlesBucket, projectBucket } from './buckets.ts'
import type { Collection } from './collection.ts'
import { type Bytes, type Contents, contentsInFolder, contentsInMemory, newContentKey } from './contents.ts'
import type { Stored, Timed } from './parts.ts'
import {
  type Bucket,
  buckets,
  type ObjectAttributes,
  objects,
  type StoredObject,
  type Upload,
  uploads,
  type WriteConditions,
} from './stored-objects.ts'

/** Why an object was not written. */
export class WriteRefused extends Error {
  readonly code: 'condition' | 'checksum'

  constructor(code: WriteRefused['code'], message: string) {
    super(message)
    this.code = code
  }
}

/** Google keeps a resumable upload that nobody goes on with for a week. Milliseconds. */
const UPLOAD_LIFE = 7 * 24 * 3_600_000

export class ObjectStore {
  readonly buckets: Collection<Bucket>
  readonly #state: Stored & Timed
  readonly #contents: Contents
  readonly #objects: Collection<StoredObject, 'bucket'>
  readonly #uploads: Collection<Upload>
  #lastGeneration: number

  private constructor(state: Stored & Timed, contents: Contents) {
    this.#state = state
    this.#contents = contents
    this.buckets = state.store.collection(buckets)
    this.#objects = state.store.collection(objects)
    this.#uploads = state.store.collection(uploads)
    this.#lastGeneration = this.#objects
      .list()
      .reduce((last, { generation }) => Math.max(last, Number(generation)), 0)
  }

  /** `folder` is the data folder; without one everything is in memory. Call once a state. */
  static async open(state: Stored & Timed, folder?: string): Promise<ObjectStore> {
    const contents = folder === undefined ? contentsInMemory() : contentsInFolder(join(folder, 'objects'))
    const store = new ObjectStore(state, contents)
    for (const { id, timeCreated } of store.#uploads.list())
      if (Date.parse(timeCreated) + UPLOAD_LIFE < state.clock()) store.#uploads.delete(id)
    await store.tidy()
    return store
  }

  /** Deletes the bytes of whatever is not there any more: what a crash or a reset left behind. */
  async tidy(): Promise<void> {
    const known = [...this.#objects.list(), ...this.#uploads.list()].map(({ content }) => content)
    await this.#contents.keepOnly(new Set(known))
  }

  /** Makes a bucket with the policy that Google gives to a new one of a project. */
  createBucket(name: string, project: string, settings: BucketSettings): Bucket {
    const bucket = projectBucket(name, project, settings, this.#now())
    this.buckets.put(name, bucket)
    return bucket
  }

  /** The bucket of this name, which is Google's own and which the project's people may read; made when it is first asked for. */
  googleBucket(name: string, project: string): Bucket {
    const known = this.buckets.get(name)
    if (known) return known
    const bucket = googlesBucket(name, project, this.#now())
    this.buckets.put(name, bucket)
    return bucket
  }

  object(bucket: string, name: string): StoredObject | undefined {
    return this.#objects.get(keyOf(bucket, name))
  }

  /** The objects of a bucket in the order of their names, which is that of their UTF-8 bytes. */
  list(bucket: string): readonly StoredObject[] {
    return this.#objects
      .listBy('bucket', bucket)
      .toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
  }

  /** The bytes of an object from `start` up to, not including, `end`. */
  read({ content, size }: StoredObject, start = 0, end = size): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#contents.read(content, start, Math.min(end, size))
  }

  /** @throws {WriteRefused}, or what the source throws; nothing is kept then */
  async insert(
    bucket: string,
    name: string,
    attributes: ObjectAttributes,
    bytes: Bytes,
    conditions: WriteConditions = {},
  ): Promise<StoredObject> {
    const content = newContentKey()
    try {
      await this.#contents.write(content, 0, bytes)
      return await this.#finish(bucket, name, attributes, content, conditions)
    } catch (error) {
      await this.#contents.delete(content)
      throw error
    }
  }

  async delete({ bucket, name, content }: StoredObject): Promise<void> {
    this.#objects.delete(keyOf(bucket, name))
    await this.#contents.delete(content)
  }

  /** Adds to the end of an object. One call at a time. */
  async append(object: StoredObject, bytes: Uint8Array): Promise<StoredObject> {
    const size = await this.#contents.write(object.content, object.size, [bytes])
    const { md5: _, ...rest } = object
    const grown = {
      ...rest,
      size,
      crc32c: crc32c(bytes, object.crc32c | 0) >>> 0,
      updated: this.#now(),
    }
    this.#objects.put(keyOf(object.bucket, object.name), grown)
    return grown
  }

  startUpload(asked: Pick<Upload, 'bucket' | 'name' | 'attributes' | 'conditions'>): Upload {
    const upload = { ...asked, id: newContentKey(), content: newContentKey(), timeCreated: this.#now() }
    this.#uploads.put(upload.id, upload)
    return upload
  }

  upload(id: string): Upload | undefined {
    return this.#uploads.get(id)
  }

  /** How many bytes of an upload are safe. */
  received({ content }: Upload): Promise<number> {
    return this.#contents.size(content)
  }

  /** Takes more of an upload, from offset `at` on. Resolves with how many bytes are safe now. */
  continueUpload({ content }: Upload, at: number, bytes: Bytes): Promise<number> {
    return this.#contents.write(content, at, bytes)
  }

  /** Makes the object of an upload that has come in whole. @throws {WriteRefused} */
  async finishUpload(upload: Upload): Promise<StoredObject> {
    const { bucket, name, attributes, content, conditions } = upload
    return this.#finish(bucket, name, attributes, content, conditions, (object) => {
      this.#uploads.put(upload.id, { ...upload, generation: object.generation })
    })
  }

  async abandonUpload({ id, content, generation }: Upload): Promise<void> {
    this.#uploads.delete(id)
    if (generation === undefined) await this.#contents.delete(content)
  }

  async #finish(
    bucket: string,
    name: string,
    attributes: ObjectAttributes,
    content: string,
    conditions: WriteConditions,
    also: (object: StoredObject) => void = () => {},
  ): Promise<StoredObject> {
    const sums = await this.#sums(content)
    checkSums(conditions, sums)
    const key = keyOf(bucket, name)
    const replaced = this.#objects.get(key)
    // From here to the end nothing waits, so that of two writers with a condition one wins.
    const { ifGenerationMatch } = conditions
    if (ifGenerationMatch !== undefined && ifGenerationMatch !== (replaced?.generation ?? '0'))
      throw new WriteRefused('condition', 'At least one of the pre-conditions you specified did not hold.')
    const now = this.#now()
    const object: StoredObject = {
      ...attributes,
      bucket,
      name,
      ...sums,
      generation: this.#nextGeneration(),
      timeCreated: now,
      updated: now,
      content,
    }
    this.#state.store.transaction(() => {
      this.#objects.put(key, object)
      also(object)
    })
    if (replaced) await this.#contents.delete(replaced.content)
    return object
  }

  async #sums(content: string): Promise<{ size: number; md5: string; crc32c: number }> {
    const size = await this.#contents.size(content)
    const md5 = createHash('md5')
    let crc = 0
    if (size > 0) {
      for await (const chunk of this.#contents.read(content, 0, size)) {
        md5.update(chunk)
        crc = crc32c(chunk, crc)
      }
    }
    return { size, md5: md5.digest('base64'), crc32c: crc >>> 0 }
  }

  #nextGeneration(): string {
    this.#lastGeneration = Math.max(this.#state.clock() * 1000, this.#lastGeneration + 1)
    return String(this.#lastGeneration)
  }

  /** Cloud Storage writes milliseconds. */
  #now(): string {
    return new Date(this.#state.clock()).toISOString()
  }
}

/** base64 of the four bytes, the highest first. */
export function showCrc32c(sum: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(sum)
  return bytes.toString('base64')
}

function checkSums(wanted: WriteConditions, sums: { readonly md5: string; readonly crc32c: number }): void {
  const crc = showCrc32c(sums.crc32c)
  if (wanted.md5 !== undefined && wanted.md5 !== sums.md5)
    throw new WriteRefused(
      'checksum',
      `Provided MD5 hash "${wanted.md5}" doesn't match calculated MD5 hash "${sums.md5}".`,
    )
  if (wanted.crc32c !== undefined && wanted.crc32c !== crc)
    throw new WriteRefused(
      'checksum',
      `Provided CRC32C "${wanted.crc32c}" doesn't match calculated CRC32C "${crc}".`,
    )
}

function keyOf(bucket: string, name: string): string {
  return `${bucket}/${name}`
}
