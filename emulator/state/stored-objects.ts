/** Cloud Storage's buckets, objects and unfinished uploads: what they are, and how they are kept. */
import type { Policy } from '../iam/policy.ts'
import type { CollectionDeclaration } from './collection.ts'

export interface Bucket {
  readonly name: string
  /** The project that it belongs to. None: a bucket of Google's own, such as the one that build logs go to. */
  readonly project?: string
  /** Upper case, such as `US` or `US-CENTRAL1`. */
  readonly location: string
  readonly storageClass: string
  readonly uniformAccess: boolean
  readonly labels: Readonly<Record<string, string>>
  readonly timeCreated: string
  readonly policy: Policy
}

/** What a client says of an object, beside its bytes. */
export interface ObjectAttributes {
  readonly contentType?: string
  readonly cacheControl?: string
  readonly contentDisposition?: string
  readonly contentEncoding?: string
  readonly contentLanguage?: string
  readonly metadata?: Readonly<Record<string, string>>
}

export interface StoredObject extends ObjectAttributes {
  readonly bucket: string
  readonly name: string
  /** Microseconds since the epoch, as a string; grows with every object written. */
  readonly generation: string
  readonly size: number
  /** base64. None for an object that was put together from parts. */
  readonly md5?: string
  /** CRC-32C, an unsigned number. */
  readonly crc32c: number
  readonly timeCreated: string
  readonly updated: string
  /** Key of its bytes. */
  readonly content: string
}

/** A resumable upload. It outlives a restart; its bytes so far are those of `content`. */
export interface Upload {
  readonly id: string
  readonly bucket: string
  readonly name: string
  readonly attributes: ObjectAttributes
  readonly conditions: WriteConditions
  readonly content: string
  readonly timeCreated: string
  /** The generation that it became. */
  readonly generation?: string
}

/** What must hold for an object to be written. */
export interface WriteConditions {
  /** The generation of the object that is to be replaced; `'0'`: there must be none. */
  readonly ifGenerationMatch?: string
  /** base64, as the client worked them out. */
  readonly md5?: string
  readonly crc32c?: string
}

const KEPT = { survivesReset: false, survivesRestart: true } as const

/** By name. */
export const buckets: CollectionDeclaration<Bucket> = { name: 'buckets', ...KEPT }
/** By bucket and name. */
export const objects: CollectionDeclaration<StoredObject, 'bucket'> = {
  name: 'objects',
  ...KEPT,
  indexes: { bucket: ({ bucket }) => bucket },
}
/** By id. */
export const uploads: CollectionDeclaration<Upload> = { name: 'uploads', ...KEPT }
