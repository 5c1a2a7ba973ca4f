/** Routes of Cloud Storage. Its requests and responses are bytes, its errors its own, and it has anonymous callers: so not through `route.ts`. */
import type { Context, Hono, Next } from 'hono'
import { servesUnder } from '../../catalogue/hosts.ts'
import type { Api, Declaration } from '../../catalogue/product.ts'
import type { RoomEnv } from '../../front/request.ts'
import type { Permission } from '../../iam/roles.ts'
import { bucketPolicies, type Caller, type CallerState, holds } from '../../rest/caller.ts'
import { type ObjectStore, WriteRefused } from '../../state/objects.ts'
import type { Bucket, StoredObject } from '../../state/stored-objects.ts'
import { denied, requireBucket, storageCaller } from './access.ts'
import { type ErrorFormat, noSuchObject, refusalResponse, StorageRefusal } from './refusal.ts'

export const BUCKETS = '/storage/v1/b'

export type StorageContext = Context<RoomEnv>

export interface StorageOptions {
  readonly state: CallerState
  readonly objects: ObjectStore
  readonly product: Declaration
  readonly api: Api
}

/** One authenticated call, or an anonymous one. */
export interface StorageCall {
  readonly c: StorageContext
  readonly caller: Caller
  /** The bucket of the path, if the caller may do this to it; `thing`: what in it a refusal speaks of. */
  bucket(permission: Permission, thing?: 'object'): Bucket
  /** The object of the path, likewise. */
  object(permission: Permission): StoredObject
}

export interface RouteOptions {
  readonly format?: (c: StorageContext) => ErrorFormat
  /** Default: every host but those of other APIs. */
  readonly servedOn?: (host: string, path: string) => boolean
}

export type Serve = (
  methods: string,
  path: string,
  handler: (call: StorageCall) => Response | Promise<Response>,
  options?: RouteOptions,
) => void

export function storageRoutes(app: Hono<RoomEnv>, options: StorageOptions): Serve {
  const { state, product, api } = options
  const isStorage = (host: string) => servesUnder(product, host)
  return (methods, path, handler, { format = inJson, servedOn = isStorage } = {}) => {
    app.on(methods.split(' '), path, async function stored(c: StorageContext, next: Next) {
      if (!servedOn(c.env.host, c.req.path)) return next()
      try {
        return await handler(callOf(c, options, storageCaller(state, c.req.header('authorization'), api)))
      } catch (error) {
        const response = refusalResponse(asRefusal(error), format(c))
        if (response) return response
        throw error
      }
    })
  }
}

export function conditionNotMet(): StorageRefusal {
  return new StorageRefusal(
    'conditionNotMet',
    'At least one of the pre-conditions you specified did not hold.',
    { location: { type: 'header', name: 'If-Match' } },
  )
}

function callOf(c: StorageContext, { state, objects }: StorageOptions, caller: Caller): StorageCall {
  const bucket = (permission: Permission, thing?: 'object') =>
    requireBucket(state, caller, permission, objects.buckets.get(c.req.param('bucket') ?? ''), thing)
  return {
    c,
    caller,
    bucket,
    object(permission) {
      const holder = bucket(permission, 'object')
      const name = c.req.param('object') ?? ''
      const generation = c.req.query('generation')
      const object = objects.object(holder.name, name)
      if (object && (generation === undefined || generation === object.generation)) return object
      // Whether an object is there is known only to those who may list.
      if (holds(state, caller, 'storage.objects.list', bucketPolicies(state, holder)))
        throw noSuchObject(holder.name, name)
      throw denied(caller, permission, 'object')
    },
  }
}

function inJson(): ErrorFormat {
  return 'json'
}

function asRefusal(error: unknown): unknown {
  if (!(error instanceof WriteRefused)) return error
  return error.code === 'condition' ? conditionNotMet() : new StorageRefusal('invalid', error.message)
}
