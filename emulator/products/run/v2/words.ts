/** v2's enums, in the order of their numbers, and what each value is in the neutral form. */
import type { Ingress, LaunchStage, RevisionSettings, ServiceSettings } from '../../../state/settings.ts'

export const INGRESS_TRAFFIC = [
  'INGRESS_TRAFFIC_UNSPECIFIED',
  'INGRESS_TRAFFIC_ALL',
  'INGRESS_TRAFFIC_INTERNAL_ONLY',
  'INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER',
] as const

export const LAUNCH_STAGES = [
  'LAUNCH_STAGE_UNSPECIFIED',
  'EARLY_ACCESS',
  'ALPHA',
  'BETA',
  'GA',
  'DEPRECATED',
  'UNIMPLEMENTED',
  'PRELAUNCH',
] as const

export const TARGET_TYPES = [
  'TRAFFIC_TARGET_ALLOCATION_TYPE_UNSPECIFIED',
  'TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST',
  'TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION',
] as const

export const EGRESS = ['VPC_EGRESS_UNSPECIFIED', 'ALL_TRAFFIC', 'PRIVATE_RANGES_ONLY'] as const

export const ENVIRONMENTS = [
  'EXECUTION_ENVIRONMENT_UNSPECIFIED',
  'EXECUTION_ENVIRONMENT_GEN1',
  'EXECUTION_ENVIRONMENT_GEN2',
] as const

export const SCALING_MODES = ['SCALING_MODE_UNSPECIFIED', 'AUTOMATIC', 'MANUAL'] as const
export const MEDIUMS = ['MEDIUM_UNSPECIFIED', 'MEMORY', 'DISK'] as const
export const REVOCATION_ACTIONS = [
  'ENCRYPTION_KEY_REVOCATION_ACTION_UNSPECIFIED',
  'PREVENT_NEW',
  'SHUTDOWN',
] as const

/** Both ways between an enum of v2 and the neutral form. A value without a partner is one that was not given. */
interface Words<V extends string, N> {
  read(value: V | undefined): N | undefined
  write(value: N | undefined): V | undefined
}

function words<V extends string, N>(...pairs: readonly (readonly [V, N])[]): Words<V, N> {
  return {
    read: (value) => pairs.find(([known]) => known === value)?.[1],
    write: (value) => pairs.find(([, known]) => known === value)?.[0],
  }
}

export const ingressWords = words<(typeof INGRESS_TRAFFIC)[number], Ingress>(
  ['INGRESS_TRAFFIC_ALL', 'all'],
  ['INGRESS_TRAFFIC_INTERNAL_ONLY', 'internal'],
  ['INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER', 'internal-and-cloud-load-balancing'],
)
export const stageWords = words<(typeof LAUNCH_STAGES)[number], LaunchStage>(
  ['ALPHA', 'ALPHA'],
  ['BETA', 'BETA'],
  ['GA', 'GA'],
)
export const egressWords = words<(typeof EGRESS)[number], NonNullable<RevisionSettings['vpcEgress']>>(
  ['ALL_TRAFFIC', 'all-traffic'],
  ['PRIVATE_RANGES_ONLY', 'private-ranges-only'],
)
export const environmentWords = words<
  (typeof ENVIRONMENTS)[number],
  NonNullable<RevisionSettings['executionEnvironment']>
>(['EXECUTION_ENVIRONMENT_GEN1', 'gen1'], ['EXECUTION_ENVIRONMENT_GEN2', 'gen2'])
export const scalingWords = words<
  (typeof SCALING_MODES)[number],
  NonNullable<ServiceSettings['scalingMode']>
>(['AUTOMATIC', 'automatic'], ['MANUAL', 'manual'])
export const revocationWords = words<
  (typeof REVOCATION_ACTIONS)[number],
  NonNullable<RevisionSettings['keyRevocationAction']>
>(['PREVENT_NEW', 'prevent-new'], ['SHUTDOWN', 'shut-down'])
