/** The v2 spelling of a service as clients send it: the neutral form made of its messages. */

import { ApiError } from '../../rest/errors.ts'
import { defaultComputeServiceAccount, type Place } from '../../state/names.ts'
import type { Container, RevisionTemplate, ServiceName } from '../../state/resources.ts'
import { DEFAULTS, INGRESS } from './knative-input.ts'
import type { DesiredService } from './rules.ts'
import { refuseNotEmulated, type V2Container, type V2Service, type V2Template } from './v2-messages.ts'
import { type EGRESS, type ENVIRONMENTS, SYSTEM_ANNOTATION } from './v2-words.ts'

export function fromV2(document: V2Service, name: ServiceName, place: Place): DesiredService {
  const { template = {}, traffic = [] } = document
  refuseNotEmulated(document)
  return {
    ...name,
    annotations: serviceAnnotations(document),
    labels: document.labels ?? {},
    template: templateFrom(template, place),
    traffic: traffic.length
      ? traffic.map(({ type, revision, percent = 0, tag }) => ({
          ...(revision && type !== 'TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST'
            ? { revisionName: revision.slice(revision.lastIndexOf('/') + 1) }
            : {}),
          percent,
          ...(tag ? { tag } : {}),
        }))
      : [{ percent: 100 }],
  }
}

/** v2 has fields for what v1 says in annotations. */
function serviceAnnotations(service: V2Service): Readonly<Record<string, string>> {
  const { ingress, customAudiences, scaling = {}, launchStage } = service
  const stage = launchStage === 'LAUNCH_STAGE_UNSPECIFIED' || launchStage === 'GA' ? undefined : launchStage
  return {
    ...userAnnotations(service.annotations),
    [INGRESS]: INGRESS_ANNOTATION[ingress ?? 'INGRESS_TRAFFIC_ALL'],
    ...annotation('run.googleapis.com/description', service.description),
    ...annotation('run.googleapis.com/client-name', service.client),
    ...annotation('run.googleapis.com/client-version', service.clientVersion),
    ...annotation('run.googleapis.com/launch-stage', stage),
    ...annotation('run.googleapis.com/invoker-iam-disabled', service.invokerIamDisabled),
    ...annotation('run.googleapis.com/default-url-disabled', service.defaultUriDisabled),
    ...annotation(
      'run.googleapis.com/custom-audiences',
      customAudiences?.length ? JSON.stringify(customAudiences) : undefined,
    ),
    ...annotation('run.googleapis.com/minScale', scaling.minInstanceCount),
    ...annotation('run.googleapis.com/maxScale', scaling.maxInstanceCount),
    ...annotation('run.googleapis.com/manualInstanceCount', scaling.manualInstanceCount),
    ...annotation('run.googleapis.com/scalingMode', scaling.scalingMode === 'MANUAL' ? 'manual' : undefined),
  }
}

function templateFrom(template: V2Template, place: Place): RevisionTemplate {
  const { containers = [], volumes = [], scaling = {}, vpcAccess = {}, timeout } = template
  const [first] = containers
  const dependencies = Object.fromEntries(
    containers.flatMap(({ name, dependsOn }) => (name && dependsOn?.length ? [[name, dependsOn]] : [])),
  )
  const interfaces = vpcAccess.networkInterfaces
  return {
    ...(template.revision ? { name: template.revision } : {}),
    annotations: {
      ...userAnnotations(template.annotations),
      ...annotation('autoscaling.knative.dev/minScale', scaling.minInstanceCount),
      ...annotation('autoscaling.knative.dev/maxScale', scaling.maxInstanceCount),
      ...annotation('run.googleapis.com/vpc-access-connector', vpcAccess.connector),
      ...annotation('run.googleapis.com/vpc-access-egress', egressAnnotation(vpcAccess.egress)),
      ...annotation(
        'run.googleapis.com/network-interfaces',
        interfaces?.length ? JSON.stringify(interfaces) : undefined,
      ),
      ...annotation(
        'run.googleapis.com/execution-environment',
        environmentAnnotation(template.executionEnvironment),
      ),
      ...annotation('run.googleapis.com/encryption-key', template.encryptionKey),
      ...annotation('run.googleapis.com/sessionAffinity', template.sessionAffinity),
      ...annotation('run.googleapis.com/health-check-disabled', template.healthCheckDisabled),
      ...annotation('run.googleapis.com/client-name', template.client),
      ...annotation('run.googleapis.com/client-version', template.clientVersion),
      // v1 says it the other way round: throttling is what an idle CPU gets.
      ...(first?.resources?.cpuIdle === undefined
        ? {}
        : { 'run.googleapis.com/cpu-throttling': String(first.resources.cpuIdle) }),
      ...annotation('run.googleapis.com/startup-cpu-boost', first?.resources?.startupCpuBoost),
      ...annotation(
        'run.googleapis.com/container-dependencies',
        Object.keys(dependencies).length ? JSON.stringify(dependencies) : undefined,
      ),
    },
    labels: template.labels ?? {},
    serviceAccount: template.serviceAccount?.toLowerCase() || defaultComputeServiceAccount(place),
    containers: containers.map((container) => containerFrom(container, containers.length === 1)),
    containerConcurrency: template.maxInstanceRequestConcurrency || DEFAULTS.containerConcurrency,
    timeoutSeconds:
      timeout === undefined ? DEFAULTS.timeoutSeconds : Number(/^(\d+)s$/.exec(timeout)?.[1] ?? 0),
    rest: volumes.length ? { volumes } : {},
  }
}

function containerFrom(container: V2Container, only: boolean): Container {
  const { name = '', image = '', command = [], args = [], env = [], ports = [], resources } = container
  const { volumeMounts, workingDir, livenessProbe, startupProbe, readinessProbe } = container
  const [port] = ports
  const number = port?.containerPort || (only || port ? DEFAULTS.port : undefined)
  const secrets = env.filter(({ valueSource }) => valueSource)
  return {
    name,
    image,
    command,
    args,
    env: env
      .filter(({ valueSource }) => !valueSource)
      .map((variable) => ({ name: variable.name ?? '', value: variable.value ?? '' })),
    ...(number === undefined ? {} : { port: number, portName: port?.name || 'http1' }),
    rest: {
      ...(volumeMounts?.length ? { volumeMounts } : {}),
      ...(workingDir ? { workingDir } : {}),
      ...(livenessProbe ? { livenessProbe } : {}),
      ...(startupProbe ? { startupProbe } : {}),
      ...(readinessProbe ? { readinessProbe } : {}),
      resources: { limits: { ...DEFAULTS.limits, ...resources?.limits } },
      ...(secrets.length ? { secretEnv: secrets } : {}),
    },
  }
}

const INGRESS_ANNOTATION = {
  INGRESS_TRAFFIC_UNSPECIFIED: 'all',
  INGRESS_TRAFFIC_ALL: 'all',
  INGRESS_TRAFFIC_INTERNAL_ONLY: 'internal',
  INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER: 'internal-and-cloud-load-balancing',
} as const

function egressAnnotation(egress: (typeof EGRESS)[number] | undefined): string | undefined {
  return egress && egress !== 'VPC_EGRESS_UNSPECIFIED' ? egress.toLowerCase().replaceAll('_', '-') : undefined
}

function environmentAnnotation(environment: (typeof ENVIRONMENTS)[number] | undefined): string | undefined {
  if (!environment || environment === 'EXECUTION_ENVIRONMENT_UNSPECIFIED') return undefined
  return environment === 'EXECUTION_ENVIRONMENT_GEN1' ? 'gen1' : 'gen2'
}

/** v2 keeps the platform's own namespaces out of its annotations. */
function userAnnotations(
  annotations: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const own = Object.keys(annotations).find((name) => SYSTEM_ANNOTATION.test(name))
  if (own === undefined) return annotations
  // Inferred wording; that these namespaces are rejected is documented.
  throw new ApiError('INVALID_ARGUMENT', `Annotation '${own}' is in a namespace reserved for the system.`)
}

/** An annotation, unless there is nothing to say. */
function annotation(
  name: string,
  value: string | number | boolean | undefined,
): Readonly<Record<string, string>> {
  return value ? { [name]: String(value) } : {}
}
