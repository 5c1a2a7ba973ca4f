/** The v2 spelling of services and revisions, as Google answers it. */
import type { run_v2 } from '@googleapis/run'
import { z } from 'zod'
import { type Place, serviceUrl, serviceUrls } from '../../state/names.ts'
import type {
  Container,
  ResourceCondition,
  Revision,
  RevisionTemplate,
  Service,
} from '../../state/resources.ts'
import { readiness } from './conditions.ts'
import { INGRESS } from './knative-input.ts'
import { routedTraffic } from './knative-output.ts'
import { SYSTEM_ANNOTATION } from './v2-words.ts'

type Annotations = Readonly<Record<string, string>>

export function toV2(service: Service, place: Place) {
  const { annotations, template, requestedTraffic, traffic, latestReadyRevision } = service
  const revisions = `${v2Name(service)}/revisions`
  const ready = readiness(service)
  return {
    name: v2Name(service),
    ...field('description', annotations['run.googleapis.com/description']),
    uid: service.uid,
    generation: String(service.generation),
    ...map('labels', service.labels),
    ...map('annotations', userAnnotations(annotations)),
    createTime: service.createTime,
    updateTime: service.updateTime,
    creator: service.creator,
    lastModifier: service.lastModifier,
    ...field('client', annotations['run.googleapis.com/client-name']),
    ...field('clientVersion', annotations['run.googleapis.com/client-version']),
    ingress: INGRESS_FIELD[annotations[INGRESS] ?? 'all'] ?? 'INGRESS_TRAFFIC_ALL',
    launchStage: annotations['run.googleapis.com/launch-stage'] ?? 'GA',
    template: templateToV2(template),
    traffic: (requestedTraffic ?? traffic).map(({ revisionName, percent, tag }) => ({
      type: targetType(revisionName === undefined),
      ...field('revision', revisionName),
      ...(percent ? { percent } : {}),
      ...field('tag', tag),
    })),
    ...scalingOf(annotations),
    ...flag('invokerIamDisabled', annotations['run.googleapis.com/invoker-iam-disabled']),
    ...flag('defaultUriDisabled', annotations['run.googleapis.com/default-url-disabled']),
    ...(annotations['run.googleapis.com/custom-audiences']
      ? { customAudiences: stringsOf(annotations['run.googleapis.com/custom-audiences']) }
      : {}),
    urls: [...serviceUrls(service, place)],
    observedGeneration: String(service.generation),
    ...(ready ? { terminalCondition: conditionToV2(ready) } : {}),
    conditions: service.conditions.filter(({ type }) => type !== 'Ready').map(conditionToV2),
    ...(latestReadyRevision ? { latestReadyRevision: `${revisions}/${latestReadyRevision}` } : {}),
    latestCreatedRevision: `${revisions}/${service.latestCreatedRevision}`,
    trafficStatuses: routedTraffic(service).map(({ revisionName, latest, percent, tag }) => ({
      type: targetType(latest),
      ...(latest ? {} : { revision: revisionName }),
      ...(percent ? { percent } : {}),
      ...field('tag', tag),
      ...(tag === undefined ? {} : { uri: serviceUrl(service, place, tag) }),
    })),
    uri: serviceUrl(service, place),
    ...(ready?.status === 'Unknown' ? { reconciling: true } : {}),
    etag: v2Etag(service),
  } satisfies run_v2.Schema$GoogleCloudRunV2Service
}

export function revisionToV2(revision: Revision) {
  const { project, region, name, service, template } = revision
  const { revision: _, ...spec } = templateToV2(template)
  const ready = readiness(revision)
  return {
    ...spec,
    name: `${v2Name({ project, region, name: service })}/revisions/${name}`,
    uid: revision.uid,
    generation: '1',
    createTime: revision.createTime,
    updateTime: ready?.lastTransitionTime ?? revision.createTime,
    creator: revision.creator,
    launchStage: 'GA',
    service,
    conditions: revision.conditions.map(conditionToV2),
    observedGeneration: '1',
    ...(ready?.status === 'Unknown' ? { reconciling: true } : {}),
    etag: `"${Buffer.from(revision.uid).toString('base64url')}"`,
  } satisfies run_v2.Schema$GoogleCloudRunV2Revision
}

export function v2Name({ project, region, name }: Pick<Service, 'project' | 'region' | 'name'>): string {
  return `projects/${project}/locations/${region}/services/${name}`
}

/** v2's etag wears quotes. */
export function v2Etag({ resourceVersion }: Pick<Service, 'resourceVersion'>): string {
  return `"${resourceVersion}"`
}

function templateToV2(template: RevisionTemplate) {
  const { annotations } = template
  const { volumes } = template.rest
  return {
    ...field('revision', template.name),
    ...map('labels', template.labels),
    ...map('annotations', userAnnotations(annotations)),
    scaling: {
      ...count('minInstanceCount', annotations['autoscaling.knative.dev/minScale']),
      ...count('maxInstanceCount', annotations['autoscaling.knative.dev/maxScale']),
    },
    ...vpcAccessOf(annotations),
    timeout: `${template.timeoutSeconds}s`,
    serviceAccount: template.serviceAccount,
    containers: template.containers.map((container, index) => containerToV2(container, index, annotations)),
    ...(Array.isArray(volumes) ? { volumes } : {}),
    ...field(
      'executionEnvironment',
      ENVIRONMENT_FIELD[annotations['run.googleapis.com/execution-environment'] ?? ''],
    ),
    ...field('encryptionKey', annotations['run.googleapis.com/encryption-key']),
    maxInstanceRequestConcurrency: template.containerConcurrency,
    ...flag('sessionAffinity', annotations['run.googleapis.com/sessionAffinity']),
    ...flag('healthCheckDisabled', annotations['run.googleapis.com/health-check-disabled']),
    ...field('client', annotations['run.googleapis.com/client-name']),
    ...field('clientVersion', annotations['run.googleapis.com/client-version']),
  } satisfies run_v2.Schema$GoogleCloudRunV2RevisionTemplate
}

const resourcesOf = z.object({ limits: z.record(z.string(), z.string()) })

/** The fields of `rest` that v2 has too, in the same shape. */
const SHARED_FIELDS = ['volumeMounts', 'workingDir', 'livenessProbe', 'startupProbe', 'readinessProbe']

function containerToV2(
  { name, image, command, args, env, port, portName, rest }: Container,
  index: number,
  annotations: Annotations,
) {
  const dependencies: unknown = JSON.parse(annotations['run.googleapis.com/container-dependencies'] || '{}')
  const dependsOn = Object.entries(Object(dependencies)).find(([dependent]) => dependent === name)?.[1]
  const resources = resourcesOf.safeParse(rest.resources)
  return {
    ...(name ? { name } : {}),
    image,
    ...(command.length ? { command: [...command] } : {}),
    ...(args.length ? { args: [...args] } : {}),
    ...(env.length ? { env: [...env] } : {}),
    resources: {
      ...(resources.success ? { limits: resources.data.limits } : {}),
      // Both are said once for a revision in v1; the first container carries them here.
      ...(index === 0 && annotations['run.googleapis.com/cpu-throttling'] !== undefined
        ? { cpuIdle: annotations['run.googleapis.com/cpu-throttling']?.toLowerCase() === 'true' }
        : {}),
      ...(index === 0 ? flag('startupCpuBoost', annotations['run.googleapis.com/startup-cpu-boost']) : {}),
    },
    ...(port === undefined ? {} : { ports: [{ name: portName ?? 'http1', containerPort: port }] }),
    ...Object.fromEntries(Object.entries(rest).filter(([key]) => SHARED_FIELDS.includes(key))),
    ...(Array.isArray(dependsOn) ? { dependsOn } : {}),
  }
}

function conditionToV2({ type, status, message, reason, lastTransitionTime }: ResourceCondition) {
  return {
    type,
    state: CONDITION_STATE[status],
    ...field('message', message),
    lastTransitionTime,
    ...(reason === undefined
      ? {}
      : { revisionReason: REVISION_REASON[reason] ?? 'REVISION_REASON_UNDEFINED' }),
  } satisfies run_v2.Schema$GoogleCloudRunV2Condition
}

const CONDITION_STATE = {
  True: 'CONDITION_SUCCEEDED',
  False: 'CONDITION_FAILED',
  Unknown: 'CONDITION_RECONCILING',
} as const

const REVISION_REASON: Readonly<Record<string, string>> = {
  ContainerMissing: 'CONTAINER_MISSING',
  HealthCheckContainerError: 'HEALTH_CHECK_CONTAINER_ERROR',
}

const INGRESS_FIELD: Readonly<Record<string, string>> = {
  all: 'INGRESS_TRAFFIC_ALL',
  internal: 'INGRESS_TRAFFIC_INTERNAL_ONLY',
  'internal-and-cloud-load-balancing': 'INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER',
}

const ENVIRONMENT_FIELD: Readonly<Record<string, string>> = {
  gen1: 'EXECUTION_ENVIRONMENT_GEN1',
  gen2: 'EXECUTION_ENVIRONMENT_GEN2',
}

function targetType(latest: boolean): string {
  return `TRAFFIC_TARGET_ALLOCATION_TYPE_${latest ? 'LATEST' : 'REVISION'}`
}

function scalingOf(annotations: Annotations): Pick<run_v2.Schema$GoogleCloudRunV2Service, 'scaling'> {
  const scaling = {
    ...count('minInstanceCount', annotations['run.googleapis.com/minScale']),
    ...count('maxInstanceCount', annotations['run.googleapis.com/maxScale']),
    ...count('manualInstanceCount', annotations['run.googleapis.com/manualInstanceCount']),
    ...(annotations['run.googleapis.com/scalingMode'] === 'manual' ? { scalingMode: 'MANUAL' } : {}),
  }
  return Object.keys(scaling).length ? { scaling } : {}
}

function vpcAccessOf(
  annotations: Annotations,
): Pick<run_v2.Schema$GoogleCloudRunV2RevisionTemplate, 'vpcAccess'> {
  const interfaces = annotations['run.googleapis.com/network-interfaces']
  const vpcAccess = {
    ...field('connector', annotations['run.googleapis.com/vpc-access-connector']),
    ...field(
      'egress',
      annotations['run.googleapis.com/vpc-access-egress']?.toUpperCase().replaceAll('-', '_'),
    ),
    ...(interfaces ? { networkInterfaces: JSON.parse(interfaces) } : {}),
  }
  return Object.keys(vpcAccess).length ? { vpcAccess } : {}
}

function userAnnotations(annotations: Annotations): Annotations {
  return Object.fromEntries(Object.entries(annotations).filter(([name]) => !SYSTEM_ANNOTATION.test(name)))
}

function stringsOf(json: string): string[] {
  const value: unknown = JSON.parse(json)
  return Array.isArray(value) ? value.map(String) : []
}

function field<K extends string>(name: K, value: string | undefined): { [N in K]?: string } {
  return value === undefined ? {} : ({ [name]: value } as { [N in K]?: string })
}

function flag<K extends string>(name: K, value: string | undefined): { [N in K]?: boolean } {
  return value?.toLowerCase() === 'true' ? ({ [name]: true } as { [N in K]?: boolean }) : {}
}

function count<K extends string>(name: K, value: string | undefined): { [N in K]?: number } {
  return value === undefined ? {} : ({ [name]: Number(value) } as { [N in K]?: number })
}

function map<K extends string>(name: K, entries: Annotations): { [N in K]?: Record<string, string> } {
  return Object.keys(entries).length
    ? ({ [name]: { ...entries } } as { [N in K]?: Record<string, string> })
    : {}
}
