/** Which revision a line of a service's traffic means. */
import type { Service, TrafficTarget } from './resources.ts'

export interface Routed extends Pick<Service, 'traffic'> {
  readonly latestReadyRevision?: string | undefined
}

/** The revision that a target names, or else the latest that is ready. Undefined: none is yet. */
export function targetRevision(
  { latestReadyRevision }: Routed,
  { revisionName }: TrafficTarget,
): string | undefined {
  return revisionName ?? latestReadyRevision
}
