/** Finding services and revisions, and Google's sentences when they are not there. */

import { type ApiError, notFound } from '../../rest/errors.ts'
import { serviceKey } from '../../state/names.ts'
import type { Services } from '../../state/parts.ts'
import type { Revision, Service, ServiceName } from '../../state/resources.ts'

/** facts 6.9. */
export function noSuchService(name: ServiceName): ApiError {
  return noSuch('SERVICE', name)
}

export function noSuch(kind: string, { project, region, name }: ServiceName): ApiError {
  return notFound(
    `Resource '${name}' of kind '${kind}' in region '${region}' in project '${project}' does not exist.`,
  )
}

export function revisionsOf(
  state: Pick<Services, 'revisions'>,
  { project, region, name }: ServiceName,
): readonly Revision[] {
  return state.revisions.listBy('service', serviceKey({ project, region, name }))
}

/** Names of the revisions that requests can reach: by a share of the traffic, or by a tag. */
export function servedNames({
  traffic,
  latestReadyRevision,
}: Pick<Service, 'traffic'> & { readonly latestReadyRevision?: string | undefined }): ReadonlySet<string> {
  const reached = traffic.filter(({ percent, tag }) => percent > 0 || tag !== undefined)
  const names = reached.map(({ revisionName }) => revisionName ?? latestReadyRevision)
  return new Set(names.filter((name) => name !== undefined))
}
