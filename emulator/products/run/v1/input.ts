/** The v1 spelling of a service, Knative's, as clients send it: the neutral form made of its messages. */
import { defaultComputeServiceAccount, type Place } from '../../../state/names.ts'
import type { Container, RevisionTemplate, ServiceName, TrafficTarget } from '../../../state/resources.ts'
import type { EnvironmentVariable, SecretReference } from '../../../state/settings.ts'
import { containerFrom, DEFAULTS, defaultConcurrency, unreadable } from '../containers.ts'
import { defined, filled } from '../defined.ts'
import type { DesiredService } from '../desired.ts'
import { refuse, type Violation } from '../violations.ts'
import type { ContainerNotes } from './annotation-table.ts'
import {
  type Annotations,
  type Fault,
  readRevisionAnnotations,
  readServiceAnnotations,
} from './annotations.ts'
import type { KnativeContainer, KnativeService, KnativeSpec, KnativeTemplate } from './messages.ts'
import { unsupported } from './unsupported.ts'
import { CLOUD_SQL, volumesFrom } from './volumes.ts'

/** The label of a GPU's kind among the node selectors. */
export const ACCELERATOR = 'run.googleapis.com/accelerator'
const SERVER_LABELS: ReadonlySet<string> = new Set(['cloud.googleapis.com/location'])

/** @throws ApiError of everything that the neutral form has no place for. */
export function fromKnative(
  { metadata = {}, spec = {} }: KnativeService,
  name: ServiceName,
  place: Place,
): DesiredService {
  const { settings, annotations, faults } = readServiceAnnotations(metadata.annotations)
  const template = spec.template ?? {}
  const notes = readRevisionAnnotations(template.metadata?.annotations)
  const violations = [
    ...faults.map((fault) => violation('metadata.annotations', 'service.annotations', fault)),
    ...notes.faults.map((fault) =>
      violation('spec.template.metadata.annotations', 'service.template.annotations', fault),
    ),
    ...unsupported(template.spec ?? {}),
    ...unreadable(template.spec?.containers ?? []),
  ]
  if (violations.length) throw refuse(violations, { version: 'v1' })
  return {
    ...name,
    annotations,
    labels: withoutServerLabels(metadata.labels),
    settings: { ingress: 'all', ...settings },
    template: templateFrom(template, notes, place),
    traffic: trafficFrom(spec.traffic ?? []),
  }
}

function violation(v1: string, v2: string, { name, description, misplaced }: Fault): Violation {
  return misplaced ? { v1, v2, description } : { v1: `${v1}[${name}]`, v2, description }
}

function templateFrom(
  { metadata = {}, spec = {} }: KnativeTemplate,
  {
    settings: notes,
    annotations,
  }: { settings: ReturnType<typeof readRevisionAnnotations>['settings']; annotations: Annotations },
  place: Place,
): RevisionTemplate {
  const { secretAliases = {}, dependencies = {}, cloudSqlInstances, ...settings } = notes
  const secret = (name: string): SecretReference =>
    secretAliases[name] === undefined ? { secret: name } : { secret: secretAliases[name], alias: name }
  const containers = containersFrom(spec, { dependencies, ...defined({ cloudSqlInstances }) }, secret)
  return {
    ...(metadata.name ? { name: metadata.name } : {}),
    annotations,
    labels: metadata.labels ?? {},
    settings: {
      ...settings,
      ...defined({
        accelerator: filled(spec.nodeSelector?.[ACCELERATOR]),
        runtimeClass: filled(spec.runtimeClassName),
      }),
    },
    serviceAccount: spec.serviceAccountName?.toLowerCase() || defaultComputeServiceAccount(place),
    containers,
    ...defined({ volumes: filled(volumesFrom(spec.volumes ?? [], cloudSqlInstances, secret)) }),
    containerConcurrency: spec.containerConcurrency || defaultConcurrency(containers),
    timeoutSeconds: spec.timeoutSeconds || DEFAULTS.timeoutSeconds,
  }
}

function containersFrom(
  { containers = [] }: KnativeSpec,
  { dependencies = {}, cloudSqlInstances }: ContainerNotes,
  secret: (name: string) => SecretReference,
): readonly Container[] {
  const made = containers.map((container) =>
    containerFrom(
      container,
      {
        env: variablesFrom(container, secret),
        limits: container.resources?.limits,
        requests: container.resources?.requests,
        dependsOn: dependencies[container.name ?? ''],
      },
      containers.length === 1,
    ),
  )
  if (!cloudSqlInstances?.length) return made
  // v2 mounts the volume that v1 only names. Which container has it is not said: the one that takes requests.
  const ingress = Math.max(
    0,
    made.findIndex(({ port }) => port !== undefined),
  )
  return made.map((container, index) =>
    index === ingress
      ? { ...container, volumeMounts: [...(container.volumeMounts ?? []), CLOUD_SQL.mount] }
      : container,
  )
}

function variablesFrom(
  { env = [] }: KnativeContainer,
  secret: (name: string) => SecretReference,
): readonly EnvironmentVariable[] {
  return env.map(({ name = '', value = '', valueFrom }) => {
    const reference = valueFrom?.secretKeyRef
    if (reference === undefined) return { name, value }
    const of = reference.name ?? reference.localObjectReference?.name ?? ''
    return { name, secret: { ...secret(of), version: reference.key ?? '' } }
  })
}

function trafficFrom(
  targets: NonNullable<NonNullable<KnativeService['spec']>['traffic']>,
): readonly TrafficTarget[] {
  if (targets.length === 0) return [{ percent: 100 }]
  return targets.map(({ revisionName, latestRevision, percent = 0, tag }) => ({
    ...(revisionName && !latestRevision ? { revisionName } : {}),
    percent,
    ...(tag ? { tag } : {}),
  }))
}

function withoutServerLabels(labels: Annotations = {}): Annotations {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !SERVER_LABELS.has(name)))
}
