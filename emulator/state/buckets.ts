/** New buckets: a project's, and Google's own. */
import type { Policy } from '../iam/policy.ts'
import { newPolicy } from './new-policy.ts'
import type { Bucket } from './stored-objects.ts'

/** What can be asked of a new bucket, in any case. */
export interface BucketSettings {
  readonly location?: string
  readonly storageClass?: string
  readonly uniformAccess?: boolean
  readonly labels?: Bucket['labels']
}

export function projectBucket(
  name: string,
  project: string,
  { location = 'US', storageClass = 'STANDARD', uniformAccess = false, labels = {} }: BucketSettings,
  timeCreated: string,
): Bucket {
  return {
    name,
    project,
    location: location.toUpperCase(),
    storageClass: storageClass.toUpperCase(),
    uniformAccess,
    labels,
    timeCreated,
    policy: newPolicy(projectPrivate(project)),
  }
}

/** A bucket of Google's own, such as the one that build logs go to: the project's people may read it. */
export function googlesBucket(name: string, project: string, timeCreated: string): Bucket {
  const readers = ['projectViewer', 'projectEditor', 'projectOwner'].map((kind) => `${kind}:${project}`)
  return {
    name,
    location: 'US',
    storageClass: 'STANDARD',
    uniformAccess: true,
    labels: {},
    timeCreated,
    policy: newPolicy([{ role: 'roles/storage.objectViewer', members: readers }]),
  }
}

/** Google's default: whoever has a basic role on the project has it on its buckets, and on what lies in them. */
function projectPrivate(project: string): Policy['bindings'] {
  const editors = [`projectEditor:${project}`, `projectOwner:${project}`]
  const viewers = [`projectViewer:${project}`]
  return [
    { role: 'roles/storage.legacyBucketOwner', members: editors },
    { role: 'roles/storage.legacyBucketReader', members: viewers },
    { role: 'roles/storage.legacyObjectOwner', members: editors },
    { role: 'roles/storage.legacyObjectReader', members: viewers },
  ]
}
