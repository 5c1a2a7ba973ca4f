/** Finding services and revisions, and Google's sentences when they are not there. */

import { type ApiError, notFound } from '../../rest/errors.ts'
import { serviceKey } from '../../state/names.ts'
import type { Services } from '../../state/parts.ts'
import type { Revision, ServiceName, TrafficTarget } from '../../state/resources.ts'
import { type Routed, targetRevision } from '../../state/traffic.ts'

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
export function servedNames(service: Routed): ReadonlySet<string> {
  const reached = service.traffic.filter(({ percent, tag }) => percent > 0 || tag !== undefined)
  const names = reached.map((target) => targetRevision(service, target))
  return new Set(names.filter((name) => name !== undefined))
}

/** The traffic that goes somewhere: a target that follows the latest revision has none before one is ready. */
export function routedTraffic(
  service: Routed,
): readonly (TrafficTarget & { readonly revisionName: string; readonly latest: boolean })[] {
  return service.traffic.flatMap((target) => {
    const revisionName = targetRevision(service, target)
    return revisionName === undefined
      ? []
      : [{ ...target, revisionName, latest: target.revisionName === undefined }]
  })
}
