/** The conditions of services and revisions, in the order that Cloud Run gives them. Pure. */
import type { StartResult } from '../../runtime/runtime.ts'
import type { ResourceCondition, Revision } from '../../state/resources.ts'

const SERVICE_TYPES = ['Ready', 'ConfigurationsReady', 'RoutesReady'] as const
const REVISION_TYPES = ['Ready', 'ContainerHealthy', 'ContainerReady', 'ResourcesAvailable'] as const

/** A revision that does not serve, and why, in Cloud Run's words. */
export interface Failure {
  readonly revision: string
  readonly message: string
}

/** A deployment under way. */
export function pending(time: string): readonly ResourceCondition[] {
  return SERVICE_TYPES.map((type) => ({ type, status: 'Unknown', lastTransitionTime: time }))
}

/** A deployment that has ended. `broken`: the latest revision does not serve. `unreachable`: one that traffic was to go to does not. */
export function concluded(
  broken: Failure | undefined,
  unreachable: Failure | undefined,
  time: string,
): readonly ResourceCondition[] {
  const causes = {
    Ready: broken ?? unreachable,
    ConfigurationsReady: broken,
    RoutesReady: unreachable,
  }
  return SERVICE_TYPES.map((type): ResourceCondition => {
    const cause = causes[type]
    if (!cause) return { type, status: 'True', lastTransitionTime: time }
    return {
      type,
      status: 'False',
      reason: 'RevisionFailed',
      message: sentence(cause),
      lastTransitionTime: time,
    }
  })
}

/** `result` undefined: it is being brought up. */
export function revisionConditions(
  result: StartResult | undefined,
  time: string,
): readonly ResourceCondition[] {
  return REVISION_TYPES.map((type): ResourceCondition => {
    if (!result) return { type, status: 'Unknown', lastTransitionTime: time }
    if (result.ready) return { type, status: 'True', lastTransitionTime: time }
    const { reason, message } = result
    // Inferred: a missing image fails before anything runs; a container that does not listen was found and started.
    const concerns =
      type === 'Ready' || type === (reason === 'ContainerMissing' ? 'ContainerReady' : 'ContainerHealthy')
    if (concerns) return { type, status: 'False', reason, message, lastTransitionTime: time }
    const reached = type !== 'ContainerHealthy'
    return { type, status: reached ? 'True' : 'Unknown', lastTransitionTime: time }
  })
}

export function readiness(resource: Pick<Revision, 'conditions'>): ResourceCondition | undefined {
  return resource.conditions.find(({ type }) => type === 'Ready')
}

export function failureOf(revision: Pick<Revision, 'name' | 'conditions'>): Failure | undefined {
  const condition = readiness(revision)
  return condition?.status === 'False'
    ? { revision: revision.name, message: condition.message ?? '' }
    : undefined
}

/** facts 6.9: a service says of which revision it speaks. */
function sentence({ revision, message }: Failure): string {
  const prefix = `Revision '${revision}' is not ready and cannot serve traffic. `
  return message.startsWith(prefix) ? message : prefix + message
}
