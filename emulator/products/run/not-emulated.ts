/**
 * What a deployment asks for, is taken and given back as on Cloud Run, and has no effect here. A deployment says so: in a condition and in one
 * line of the log.
 */
import type { ResourceCondition, RevisionTemplate } from '../../state/resources.ts'
import type { RevisionSettings, ServiceSettings, VolumeSource } from '../../state/settings.ts'

interface Asked {
  readonly settings: ServiceSettings
  readonly template: RevisionTemplate
}

/** Type of the condition. Cloud Run has none of this name. */
const TYPE = 'NotEmulated'

/** Undefined: everything that was asked for is done. */
export function notEmulated(asked: Asked): string | undefined {
  const named = [...inService(asked.settings), ...inTemplate(asked.template)]
  return named.length === 0 ? undefined : `Accepted and without effect in the emulator: ${named.join('; ')}.`
}

export function notEmulatedCondition(asked: Asked, time: string): readonly ResourceCondition[] {
  const message = notEmulated(asked)
  if (message === undefined) return []
  // Neither False nor a warning: clients that wait for a deployment must not take it for a failure.
  return [
    {
      type: TYPE,
      status: 'True',
      severity: 'Info',
      reason: 'EmulatorLimit',
      message,
      lastTransitionTime: time,
    },
  ]
}

function* inService(settings: ServiceSettings): Generator<string> {
  if (settings.iapEnabled) yield 'Identity-Aware Proxy (callers are checked by IAM alone)'
  if (settings.binaryAuthorization !== undefined) yield 'Binary Authorization'
  if (settings.buildAutomaticUpdates) yield 'automatic updates of the base image'
}

const SETTINGS: readonly (readonly [keyof RevisionSettings, string])[] = [
  ['encryptionKey', 'the encryption key'],
  ['accelerator', 'the GPU'],
  ['mesh', 'the service mesh'],
  ['secureSessionAgent', 'the secure session agent'],
]
const PROBES = ['startupProbe', 'livenessProbe', 'readinessProbe'] as const

function* inTemplate({ settings, containers, volumes = [] }: RevisionTemplate): Generator<string> {
  for (const [field, name] of SETTINGS) if (settings[field] !== undefined) yield name
  for (const { name, source } of volumes)
    yield `volume '${name}' (${VOLUMES[source.kind]}), which is not mounted`
  if (settings.healthCheckDisabled) yield 'deployments without a health check (it is made)'
  if (containers.length > 1) yield 'sidecars, which are not run'
  const probes = PROBES.filter((probe) => containers.some((container) => container[probe] !== undefined))
  if (probes.length) yield `${probes.join(', ')} (a container is up when its port is open)`
  if (containers.some(({ workingDir }) => workingDir !== undefined)) yield 'the working directory'
}

const VOLUMES: Readonly<Record<VolumeSource['kind'], string>> = {
  emptyDir: 'an empty folder',
  secret: 'a secret',
  cloudSql: 'Cloud SQL',
  gcs: 'Cloud Storage',
  nfs: 'NFS',
}
