/** What Artifact Registry says to a push. An image of another registry is taken without a question. */

import { type CallerState, holds, projectPolicies } from '../../rest/caller.ts'
import { imageName } from '../../runtime/image-name.ts'
import { defaultComputeServiceAccount } from '../../state/names.ts'
import type { Repositories } from '../../state/repositories.ts'
import type { Build } from './record.ts'

const PERMISSION = 'artifactregistry.repositories.uploadArtifacts'

/** Why the build's account may not push this image; undefined where it may. */
export function pushRefusal(
  state: CallerState,
  repositories: Repositories,
  { serviceAccount }: Pick<Build, 'serviceAccount'>,
  image: string,
): string | undefined {
  const [, location, projectId = '', id] =
    /^([a-z0-9-]+)-docker\.pkg\.dev\/([^/]+)\/([^/]+)\//.exec(imageName(image)) ?? []
  if (location === undefined) return undefined
  const name = `projects/${projectId}/locations/${location}/repositories/${id}`
  const email =
    serviceAccount?.slice(serviceAccount.lastIndexOf('/') + 1) ?? defaultComputeServiceAccount(state.place)
  const account = state.serviceAccount(email)
  const project = state.project(projectId)
  const principal = { kind: 'serviceAccount', email, uniqueId: account?.uniqueId ?? '' } as const
  // Both seen in the wild, as `docker push` prints them.
  if (!account || !project || !holds(state, { principal }, PERMISSION, projectPolicies(project)))
    return `denied: Permission "${PERMISSION}" denied on resource "${name}" (or it may not exist)`
  return repositories.has(name) ? undefined : `name unknown: Repository "${id}" not found`
}
