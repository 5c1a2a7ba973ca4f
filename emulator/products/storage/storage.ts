/**
 * Cloud Storage: the JSON API v1 for buckets and objects, and the XML API's plain downloads.
 *
 * Not here: policies and ACLs of buckets, composing, holds, versions, notifications.
 */
import type { Hono } from 'hono'
import { z } from 'zod'
import type { RoomEnv } from '../../front/request.ts'
import { readText } from '../../rest/body.ts'
import { bucketPolicies, holds, requireEnabled } from '../../rest/caller.ts'
import { pageOf } from '../../rest/paging.ts'
import type { StoredObject } from '../../state/stored-objects.ts'
import { denied, requireBucket, requireProject } from './access.ts'
import { bucketDocument, layoutDocument, objectDocument } from './documents.ts'
import { type ErrorFormat, StorageRefusal } from './refusal.ts'
import {
  BUCKETS,
  conditionNotMet,
  type Serve,
  type StorageContext,
  type StorageOptions,
  storageRoutes,
} from './routes.ts'
import { download, uploadRoutes, xmlRoutes } from './transfer.ts'

export function storage(app: Hono<RoomEnv>, options: StorageOptions): void {
  const serve = storageRoutes(app, options)
  bucketRoutes(serve, options)
  objectRoutes(serve, options)
  uploadRoutes(serve, options)
  xmlRoutes(serve, options)
}

const LIST_LIMIT = 1000
const bucketMessage = z
  .looseObject({
    name: z.string(),
    location: z.string(),
    storageClass: z.string(),
    labels: z.record(z.string(), z.string()),
    iamConfiguration: z
      .looseObject({ uniformBucketLevelAccess: z.looseObject({ enabled: z.boolean() }) })
      .partial(),
  })
  .partial()

function bucketRoutes(serve: Serve, { state, objects, api }: StorageOptions): void {
  const projectOf = (c: StorageContext) => state.project(c.req.query('project') ?? '')

  serve('GET', BUCKETS, ({ c, caller }) => {
    const project = requireProject(state, caller, 'storage.buckets.list', projectOf(c))
    requireEnabled(project, api)
    const prefix = c.req.query('prefix') ?? ''
    const own = objects.buckets
      .list()
      .filter((bucket) => bucket.project === project.projectId && bucket.name.startsWith(prefix))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
    const { items, nextPageToken } = paged(c, own)
    return c.json({
      kind: 'storage#buckets',
      ...(items.length ? { items: items.map((bucket) => bucketDocument(state, bucket)) } : {}),
      ...(nextPageToken ? { nextPageToken } : {}),
    })
  })
  serve('POST', BUCKETS, async ({ c, caller }) => {
    const project = requireProject(state, caller, 'storage.buckets.create', projectOf(c))
    requireEnabled(project, api)
    const message = bucketMessage.safeParse(jsonOf(await readText(c.req.raw)))
    if (!message.success) throw new StorageRefusal('invalid', 'Parse Error')
    const { name = '', location, storageClass, labels, iamConfiguration } = message.data
    requireBucketName(name)
    if (objects.buckets.has(name)) {
      throw new StorageRefusal(
        'conflict',
        'Your previous request to create the named bucket succeeded and you already own it.',
      )
    }
    const uniformAccess = iamConfiguration?.uniformBucketLevelAccess?.enabled
    const bucket = objects.createBucket(name, project.projectId, {
      ...(location ? { location } : {}),
      ...(storageClass ? { storageClass } : {}),
      ...(labels ? { labels } : {}),
      ...(uniformAccess === undefined ? {} : { uniformAccess }),
    })
    return c.json(bucketDocument(state, bucket))
  })
  serve('GET', `${BUCKETS}/:bucket`, ({ c, bucket }) =>
    c.json(bucketDocument(state, bucket('storage.buckets.get'))),
  )
  // gcloud asks this before it moves or removes. Inferred permission: who may see the objects may see how they lie.
  serve('GET', `${BUCKETS}/:bucket/storageLayout`, ({ c, bucket }) =>
    c.json(layoutDocument(bucket('storage.objects.list'))),
  )
  // There is no way to make one, and gcloud looks for them before it deletes a bucket. The permission is inferred likewise.
  serve('GET', `${BUCKETS}/:bucket/managedFolders`, ({ c, bucket }) => {
    bucket('storage.objects.list')
    return c.json({ kind: 'storage#managedFolders' })
  })
  serve('DELETE', `${BUCKETS}/:bucket`, ({ c, caller, bucket }) => {
    const { name, project } = bucket('storage.buckets.get')
    // The role table has no `storage.buckets.delete`; the project's roles that permit creating buckets permit it too.
    const policies = bucketPolicies(state, bucket('storage.buckets.get'))
    if (project === undefined || !holds(state, caller, 'storage.buckets.create', policies))
      throw denied(caller, 'storage.buckets.delete', 'bucket')
    if (objects.list(name).length > 0)
      throw new StorageRefusal('conflict', 'The bucket you tried to delete is not empty.')
    objects.buckets.delete(name)
    return c.body(null, 204)
  })
}

function objectRoutes(serve: Serve, { state, objects }: StorageOptions): void {
  serve('GET', `${BUCKETS}/:bucket/o`, ({ c, bucket }) =>
    c.json(listing(c, objects.list(bucket('storage.objects.list').name))),
  )
  const format = (c: StorageContext): ErrorFormat => (c.req.query('alt') === 'media' ? 'media' : 'json')
  for (const base of [BUCKETS, `/download${BUCKETS}`]) {
    serve(
      'GET',
      `${base}/:bucket/o/:object{.+}`,
      ({ c, object }) => {
        const found = object('storage.objects.get')
        return format(c) === 'media' ? download(c, objects, found) : c.json(objectDocument(found))
      },
      { format },
    )
  }
  serve('DELETE', `${BUCKETS}/:bucket/o/:object{.+}`, async ({ c, object }) => {
    const found = object('storage.objects.delete')
    const expected = c.req.query('ifGenerationMatch')
    if (expected !== undefined && expected !== found.generation) throw conditionNotMet()
    await objects.delete(found)
    return c.body(null, 204)
  })
  // `gcloud builds submit gs://…` copies the source into its own bucket.
  serve('POST', `${BUCKETS}/:bucket/o/:object/rewriteTo/b/:target/o/:name`, async ({ c, caller, object }) => {
    const source = object('storage.objects.get')
    const target = objects.buckets.get(c.req.param('target') ?? '')
    const { name } = requireBucket(state, caller, 'storage.objects.create', target, 'object')
    const { contentType, metadata } = source
    const attributes = { ...(contentType ? { contentType } : {}), ...(metadata ? { metadata } : {}) }
    const copy = await objects.insert(name, c.req.param('name') ?? '', attributes, objects.read(source))
    const size = String(copy.size)
    return c.json({
      kind: 'storage#rewriteResponse',
      totalBytesRewritten: size,
      objectSize: size,
      done: true,
      resource: objectDocument(copy),
    })
  })
}

/** Objects, and with a delimiter the prefixes that stand for those behind it. */
function listing(c: StorageContext, all: readonly StoredObject[]) {
  const prefix = c.req.query('prefix') ?? ''
  const delimiter = c.req.query('delimiter') ?? ''
  const entries = new Map<string, StoredObject | undefined>()
  for (const object of all) {
    if (!object.name.startsWith(prefix)) continue
    const cut = delimiter ? object.name.indexOf(delimiter, prefix.length) : -1
    if (cut < 0) entries.set(object.name, object)
    else entries.set(object.name.slice(0, cut + delimiter.length), undefined)
  }
  const { items, nextPageToken } = paged(c, [...entries])
  const found = items.flatMap(([, object]) => (object ? [objectDocument(object)] : []))
  const prefixes = items.flatMap(([name, object]) => (object ? [] : [name]))
  return {
    kind: 'storage#objects',
    ...(nextPageToken ? { nextPageToken } : {}),
    ...(prefixes.length ? { prefixes } : {}),
    ...(found.length ? { items: found } : {}),
  }
}

function paged<T>(c: StorageContext, items: readonly T[]) {
  const size = Number(c.req.query('maxResults') ?? 0)
  return pageOf(items, size, c.req.query('pageToken') || undefined, LIST_LIMIT)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // no bucket either
  }
}

/** 3 to 63 lower-case letters, digits, `-`, `_` and dots, and nothing that looks like Google's own. */
function requireBucketName(name: string): void {
  const longest = name.includes('.') ? 222 : 63
  const fits = /^[a-z0-9][a-z0-9._-]+[a-z0-9]$/.test(name) && name.length <= longest
  if (fits && !name.startsWith('goog') && !name.includes('google') && !name.includes('..')) return
  throw new StorageRefusal('invalid', `Invalid bucket name: '${name}'`)
}
