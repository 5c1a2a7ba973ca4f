/** Who asks Cloud Storage, and whether they may. Unlike other APIs it knows anonymous callers: public objects are for them. */
import type { Api } from '../../catalogue/product.ts'
import { ANONYMOUS } from '../../iam/principal.ts'
import type { Permission } from '../../iam/roles.ts'
import {
  authenticate,
  bucketPolicies,
  type Caller,
  type CallerState,
  holds,
  projectPolicies,
} from '../../rest/caller.ts'
import { ApiError } from '../../rest/errors.ts'
import type { Project } from '../../state/resources.ts'
import type { Bucket } from '../../state/stored-objects.ts'
import { noSuchBucket, StorageRefusal } from './refusal.ts'

/** What a refusal says that access is missing to. */
type Thing = 'object' | 'bucket' | 'project'

export function storageCaller(state: CallerState, authorization: string | undefined, api: Api): Caller {
  if (!authorization) return { principal: ANONYMOUS, member: 'allUsers', name: 'Anonymous caller' }
  try {
    return authenticate(state, authorization, api)
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    if (error.status === 'UNAUTHENTICATED') {
      throw new StorageRefusal('authError', 'Invalid Credentials', {
        location: { type: 'header', name: 'Authorization' },
      })
    }
    throw new StorageRefusal('forbidden', error.message)
  }
}

/** @throws {StorageRefusal} when the bucket is not there, or the caller may not do this with it or with what lies in it */
export function requireBucket(
  state: CallerState,
  caller: Caller,
  permission: Permission,
  bucket: Bucket | undefined,
  thing: Thing = 'bucket',
): Bucket {
  if (!bucket) throw noSuchBucket()
  if (!holds(state, caller, permission, bucketPolicies(state, bucket)))
    throw denied(caller, permission, thing)
  return bucket
}

/** @throws {StorageRefusal} when the caller may not do this in the project */
export function requireProject(
  state: CallerState,
  caller: Caller,
  permission: Permission,
  project: Project | undefined,
): Project {
  if (!project || !holds(state, caller, permission, projectPolicies(project)))
    throw denied(caller, permission, 'project')
  return project
}

/** Seen in the wild, for objects and buckets; for projects inferred from them. */
export function denied(caller: Caller, permission: string, thing: Thing): StorageRefusal {
  const what = thing === 'project' ? 'Google Cloud project' : `Google Cloud Storage ${thing}`
  return new StorageRefusal(
    caller.principal.kind === 'anonymous' ? 'required' : 'forbidden',
    `${caller.name} does not have ${permission} access to the ${what}. Permission '${permission}' denied on resource (or it may not exist).`,
    caller.principal.kind === 'anonymous' ? { location: { type: 'header', name: 'Authorization' } } : {},
  )
}
