/** What a request that was accepted makes: the service as it is from then on, and the revision of its template. */
import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { EMPTY_POLICY } from '../../iam/policy.ts'
import type { Caller } from '../../rest/caller.ts'
import { ApiError } from '../../rest/errors.ts'
import type { RestState } from '../../rest/google.ts'
import type { RandomBytes } from '../../rest/route.ts'
import { revisionName, serviceKey } from '../../state/names.ts'
import type { Services } from '../../state/parts.ts'
import type { Revision, Service } from '../../state/resources.ts'
import { pending, revisionConditions } from './conditions.ts'
import type { DesiredService } from './desired.ts'
import { notEmulatedCondition } from './not-emulated.ts'
import { nextVersion } from './versions.ts'

interface Acceptance {
  readonly existing: Service | undefined
  readonly generation: number
  /** Undefined: the template is the one that there was. */
  readonly revision: Revision | undefined
  readonly caller: Caller
  readonly state: Pick<RestState, 'clock' | 'timestamp'>
}

/** The service whose deployment has begun. Until it is known whether its revision serves, requests go where they went. */
export function serviceAfter(
  desired: DesiredService,
  { existing, generation, revision, caller, state }: Acceptance,
): Service {
  const now = state.timestamp()
  return {
    project: desired.project,
    region: desired.region,
    name: desired.name,
    annotations: desired.annotations,
    labels: desired.labels,
    settings: desired.settings,
    template: desired.template,
    uid: existing?.uid ?? randomUUID(),
    generation,
    resourceVersion: nextVersion(state.clock(), existing?.resourceVersion),
    createTime: existing?.createTime ?? now,
    updateTime: now,
    creator: existing?.creator ?? caller.name,
    lastModifier: caller.name,
    traffic: existing?.traffic ?? desired.traffic,
    requestedTraffic: desired.traffic,
    policy: existing?.policy ?? EMPTY_POLICY,
    latestCreatedRevision: revision?.name ?? existing?.latestCreatedRevision ?? '',
    ...(existing?.latestReadyRevision ? { latestReadyRevision: existing.latestReadyRevision } : {}),
    conditions: [...pending(now), ...notEmulatedCondition(desired, now)],
  }
}

interface NewRevision {
  readonly ordinal: number
  readonly caller: Caller
  readonly state: Pick<RestState & Services, 'revisions' | 'timestamp'>
  readonly random: RandomBytes
}

/** @throws ApiError when the name that was asked for is taken. */
export function newRevision(
  desired: DesiredService,
  { ordinal, caller, state, random }: NewRevision,
): Revision {
  const { project, region, name: service, template } = desired
  const name = template.name ?? revisionName(service, ordinal, suffix(random))
  if (state.revisions.has(serviceKey({ project, region, name }))) {
    // Seen in the wild, gh:pulumi/pulumi-gcp#350.
    throw new ApiError(
      'ALREADY_EXISTS',
      `Revision named '${name}' with different configuration already exists.`,
    )
  }
  const now = state.timestamp()
  return {
    project,
    region,
    name,
    service,
    ordinal,
    uid: randomUUID(),
    createTime: now,
    creator: caller.name,
    template,
    imageDigest: '',
    conditions: revisionConditions(undefined, now),
  }
}

/** As in Kubernetes: one more with every change of what is asked for, and the number of the revision that the change makes. */
export function generationAfter(existing: Service | undefined, desired: DesiredService): number {
  if (!existing) return 1
  const asked = {
    annotations: existing.annotations,
    labels: existing.labels,
    settings: existing.settings,
    template: existing.template,
    traffic: existing.requestedTraffic ?? existing.traffic,
  }
  const { annotations, labels, settings, template, traffic } = desired
  const same = isDeepStrictEqual(asked, { annotations, labels, settings, template, traffic })
  return existing.generation + (same ? 0 : 1)
}

const SUFFIX_LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789'

function suffix(random: RandomBytes): string {
  return [...random(3)].map((byte) => SUFFIX_LETTERS[byte % SUFFIX_LETTERS.length]).join('')
}
