/** The v1 spelling of a service, Knative's, as clients send it: its messages, and the neutral form made of them. */
import { z } from 'zod'
import { bool, int, labels, message, outputOnly, strings, text } from '../../rest/messages.ts'
import { defaultComputeServiceAccount, type Place } from '../../state/names.ts'
import type { Container, RevisionTemplate, ServiceName, TrafficTarget } from '../../state/resources.ts'
import type { DesiredService } from './rules.ts'

const objectMeta = message({
  name: text,
  namespace: text,
  generateName: text,
  selfLink: text,
  uid: text,
  resourceVersion: text,
  generation: int,
  creationTimestamp: text,
  deletionTimestamp: text,
  deletionGracePeriodSeconds: int,
  clusterName: text,
  labels,
  annotations: labels,
  ownerReferences: z.array(outputOnly),
  finalizers: strings,
})

const httpHeaders = z.array(message({ name: text, value: text }))
export const probe = message({
  exec: message({ command: strings }),
  httpGet: message({ host: text, path: text, port: int, scheme: text, httpHeaders }),
  tcpSocket: message({ host: text, port: int }),
  grpc: message({ port: int, service: text }),
  initialDelaySeconds: int,
  timeoutSeconds: int,
  periodSeconds: int,
  successThreshold: int,
  failureThreshold: int,
})
const keySelector = message({
  key: text,
  name: text,
  optional: bool,
  localObjectReference: message({ name: text }),
})
const keysToPaths = z.array(message({ key: text, path: text, mode: int }))

const containerMessage = message({
  name: text,
  image: text,
  command: strings,
  args: strings,
  env: z.array(
    message({
      name: text,
      value: text,
      valueFrom: message({ secretKeyRef: keySelector, configMapKeyRef: keySelector }),
    }),
  ),
  envFrom: z.array(outputOnly),
  ports: z.array(message({ name: text, containerPort: int, protocol: text })),
  resources: message({ limits: labels, requests: labels }),
  livenessProbe: probe,
  readinessProbe: probe,
  startupProbe: probe,
  volumeMounts: z.array(message({ name: text, mountPath: text, readOnly: bool, subPath: text })),
  workingDir: text,
  imagePullPolicy: text,
  securityContext: message({ runAsUser: int }),
  terminationMessagePath: text,
  terminationMessagePolicy: text,
  sandboxLauncher: bool,
})

const revisionSpec = message({
  containers: z.array(containerMessage),
  containerConcurrency: int,
  timeoutSeconds: int,
  serviceAccountName: text,
  volumes: z.array(
    message({
      name: text,
      emptyDir: message({ medium: text, sizeLimit: text }),
      secret: message({ secretName: text, items: keysToPaths, defaultMode: int, optional: bool }),
      configMap: message({ name: text, items: keysToPaths, defaultMode: int, optional: bool }),
      csi: message({ driver: text, readOnly: bool, volumeAttributes: labels }),
      nfs: message({ server: text, path: text, readOnly: bool }),
    }),
  ),
  nodeSelector: labels,
  runtimeClassName: text,
  enableServiceLinks: bool,
  imagePullSecrets: z.array(message({ name: text })),
})

export const knativeService = message({
  apiVersion: text,
  kind: text,
  metadata: objectMeta,
  spec: message({
    template: message({ metadata: objectMeta, spec: revisionSpec }),
    traffic: z.array(
      message({
        configurationName: text,
        revisionName: text,
        latestRevision: bool,
        percent: int,
        tag: text,
        url: text,
      }),
    ),
  }),
  status: outputOnly,
})

export type KnativeService = z.output<typeof knativeService>
type ContainerMessage = z.output<typeof containerMessage>

/** What the server writes into a service's metadata and clients send back with the rest. */
const SERVER_ANNOTATIONS: ReadonlySet<string> = new Set([
  'serving.knative.dev/creator',
  'serving.knative.dev/lastModifier',
  'run.googleapis.com/ingress-status',
  'run.googleapis.com/operation-id',
  'run.googleapis.com/urls',
])
const SERVER_LABELS: ReadonlySet<string> = new Set(['cloud.googleapis.com/location'])
export const INGRESS = 'run.googleapis.com/ingress'

/** Cloud Run's defaults for what a client leaves out. */
export const DEFAULTS = {
  containerConcurrency: 80,
  timeoutSeconds: 300,
  port: 8080,
  limits: { cpu: '1000m', memory: '512Mi' },
} as const

export function fromKnative(
  { metadata = {}, spec = {} }: KnativeService,
  name: ServiceName,
  place: Place,
): DesiredService {
  return {
    ...name,
    annotations: { [INGRESS]: 'all', ...without(metadata.annotations, SERVER_ANNOTATIONS) },
    labels: without(metadata.labels, SERVER_LABELS),
    template: templateFrom(spec.template ?? {}, place),
    traffic: trafficFrom(spec.traffic ?? []),
  }
}

function templateFrom(
  { metadata = {}, spec = {} }: NonNullable<NonNullable<KnativeService['spec']>['template']>,
  place: Place,
): RevisionTemplate {
  const { containers = [], serviceAccountName, containerConcurrency, timeoutSeconds, ...rest } = spec
  return {
    ...(metadata.name ? { name: metadata.name } : {}),
    annotations: metadata.annotations ?? {},
    labels: metadata.labels ?? {},
    serviceAccount: serviceAccountName?.toLowerCase() || defaultComputeServiceAccount(place),
    containers: containers.map((container) => containerFrom(container, containers.length === 1)),
    containerConcurrency: containerConcurrency || DEFAULTS.containerConcurrency,
    timeoutSeconds: timeoutSeconds || DEFAULTS.timeoutSeconds,
    rest: withoutEmpty(rest),
  }
}

/** `only`: a single container takes the requests, whether or not it says so. */
function containerFrom(container: ContainerMessage, only: boolean): Container {
  const {
    name = '',
    image = '',
    command = [],
    args = [],
    env = [],
    ports = [],
    resources,
    ...rest
  } = container
  const [port] = ports
  const number = port?.containerPort || (only || port ? DEFAULTS.port : undefined)
  const secrets = env.filter(({ valueFrom }) => valueFrom)
  return {
    name,
    image,
    command,
    args,
    env: env
      .filter(({ valueFrom }) => !valueFrom)
      .map((variable) => ({ name: variable.name ?? '', value: variable.value ?? '' })),
    ...(number === undefined ? {} : { port: number, portName: port?.name || 'http1' }),
    rest: withoutEmpty({
      ...rest,
      resources: { ...resources, limits: { ...DEFAULTS.limits, ...resources?.limits } },
      ...(secrets.length ? { secretEnv: secrets } : {}),
    }),
  }
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

function without(
  entries: Readonly<Record<string, string>> | undefined,
  dropped: ReadonlySet<string>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(entries ?? {}).filter(([name]) => !dropped.has(name)))
}

/** A field that holds nothing is a field left out: `nodeSelector: {}` must not make another revision. */
function withoutEmpty(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(fields).filter(
      ([, value]) =>
        value !== undefined &&
        !(typeof value === 'object' && value !== null && Object.keys(value).length === 0),
    ),
  )
}
