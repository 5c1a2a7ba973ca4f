/** What Artifact Registry says to a push. An image of a registry that is not Google's is taken without a question. */

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
  const place = placeOf(imageName(image))
  if (!place) return undefined
  const { projectId, location, id, made } = place
  const name = `projects/${projectId}/locations/${location}/repositories/${id}`
  const email =
    serviceAccount?.slice(serviceAccount.lastIndexOf('/') + 1) ?? defaultComputeServiceAccount(state.place)
  const account = state.serviceAccount(email)
  const project = state.project(projectId)
  const principal = { kind: 'serviceAccount', email, uniqueId: account?.uniqueId ?? '' } as const
  // Both seen in the wild, as `docker push` prints them.
  if (!account || !project || !holds(state, { principal }, PERMISSION, projectPolicies(project)))
    return `denied: Permission "${PERMISSION}" denied on resource "${name}" (or it may not exist)`
  return made || repositories.has(name) ? undefined : `name unknown: Repository "${id}" not found`
}

interface Place {
  readonly projectId: string
  readonly location: string
  readonly id: string
  /** Made by the first push to it. */
  readonly made: boolean
}

/** The repository that an image name means; undefined for one that is not Google's. */
function placeOf(image: string): Place | undefined {
  const [, region, regionsProject = '', id = ''] =
    /^([a-z0-9-]+)-docker\.pkg\.dev\/([^/]+)\/([^/]+)\//.exec(image) ?? []
  if (region !== undefined) return { projectId: regionsProject, location: region, id, made: false }
  // Google's page on gcr.io in Artifact Registry: each of its hosts is a repository of that name in one location.
  const [, host, projectId = ''] = /^((?:us\.|eu\.|asia\.)?gcr\.io)\/([^/]+)\//.exec(image) ?? []
  const location = { 'gcr.io': 'us', 'us.gcr.io': 'us', 'eu.gcr.io': 'europe', 'asia.gcr.io': 'asia' }[
    host ?? ''
  ]
  return location && host ? { projectId, location, id: host, made: true } : undefined
}
