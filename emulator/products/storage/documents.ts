/** Buckets and objects as the JSON API spells them. */
import { createHash } from 'node:crypto'
import type { storage_v1 } from '@googleapis/storage'
import { showCrc32c } from '../../state/objects.ts'
import type { Projects, Read } from '../../state/parts.ts'
import type { Bucket, StoredObject } from '../../state/stored-objects.ts'

export function bucketDocument(state: Read<Projects>, bucket: Bucket): storage_v1.Schema$Bucket {
  const { name, project, location, storageClass, uniformAccess, labels, timeCreated } = bucket
  const projectNumber = project === undefined ? '0' : (state.project(project)?.projectNumber ?? '0')
  return {
    kind: 'storage#bucket',
    selfLink: `https://www.googleapis.com/storage/v1/b/${name}`,
    id: name,
    name,
    projectNumber,
    metageneration: '1',
    location,
    storageClass,
    etag: 'CAE=',
    timeCreated,
    updated: timeCreated,
    ...(Object.keys(labels).length ? { labels } : {}),
    locationType: locationType(location),
    ...(location.includes('-') ? {} : { rpo: 'DEFAULT' }),
    iamConfiguration: {
      bucketPolicyOnly: { enabled: uniformAccess },
      uniformBucketLevelAccess: { enabled: uniformAccess },
      publicAccessPrevention: 'inherited',
    },
  }
}

/** Where a bucket's objects lie, and that folders are names only. */
export function layoutDocument({ name, location }: Bucket) {
  return {
    kind: 'storage#storageLayout',
    bucket: name,
    location,
    locationType: locationType(location),
    hierarchicalNamespace: { enabled: false },
  }
}

export function objectDocument(object: StoredObject): storage_v1.Schema$Object {
  const { bucket, name, generation, size, md5, crc32c, timeCreated, updated } = object
  const path = `b/${bucket}/o/${encodeURIComponent(name)}`
  return {
    kind: 'storage#object',
    id: `${bucket}/${name}/${generation}`,
    selfLink: `https://www.googleapis.com/storage/v1/${path}`,
    mediaLink: `https://storage.googleapis.com/download/storage/v1/${path}?generation=${generation}&alt=media`,
    name,
    bucket,
    generation,
    metageneration: '1',
    ...attributes(object),
    storageClass: 'STANDARD',
    size: String(size),
    ...(md5 === undefined ? {} : { md5Hash: md5 }),
    crc32c: showCrc32c(crc32c),
    etag: etagOf(object),
    timeCreated,
    updated,
    timeStorageClassUpdated: timeCreated,
  }
}

function locationType(location: string): string {
  return location.includes('-') ? 'region' : 'multi-region'
}

/** The headers that every download carries. */
export function mediaHeaders(object: StoredObject): Record<string, string> {
  const { generation, size, md5, crc32c, updated } = object
  const hashes = [`crc32c=${showCrc32c(crc32c)}`, ...(md5 === undefined ? [] : [`md5=${md5}`])]
  const { contentType, cacheControl, contentDisposition, contentEncoding, contentLanguage } = object
  return {
    'Content-Type': contentType ?? 'application/octet-stream',
    // Inferred: what Google sends for an object that is not public.
    'Cache-Control': cacheControl ?? 'private, max-age=0',
    ...(contentDisposition ? { 'Content-Disposition': contentDisposition } : {}),
    ...(contentEncoding ? { 'Content-Encoding': contentEncoding } : {}),
    ...(contentLanguage ? { 'Content-Language': contentLanguage } : {}),
    'Accept-Ranges': 'bytes',
    ETag: md5 === undefined ? `"${etagOf(object)}"` : `"${Buffer.from(md5, 'base64').toString('hex')}"`,
    'Last-Modified': new Date(updated).toUTCString(),
    'X-Goog-Generation': generation,
    'X-Goog-Metageneration': '1',
    'X-Goog-Storage-Class': 'STANDARD',
    'X-Goog-Stored-Content-Encoding': contentEncoding ?? 'identity',
    'X-Goog-Stored-Content-Length': String(size),
    'X-Goog-Hash': hashes.join(','),
    Server: 'UploadServer',
  }
}

function attributes(object: StoredObject): storage_v1.Schema$Object {
  const { contentType, cacheControl, contentDisposition, contentEncoding, contentLanguage, metadata } = object
  return {
    ...(contentType ? { contentType } : {}),
    ...(cacheControl ? { cacheControl } : {}),
    ...(contentDisposition ? { contentDisposition } : {}),
    ...(contentEncoding ? { contentEncoding } : {}),
    ...(contentLanguage ? { contentLanguage } : {}),
    ...(metadata ? { metadata } : {}),
  }
}

/** Opaque; another for every generation, and for every growth of a log. */
function etagOf({ generation, size }: StoredObject): string {
  return createHash('sha256').update(`${generation}/${size}`).digest('base64').slice(0, 16)
}
