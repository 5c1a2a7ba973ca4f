/** Every annotation that Cloud Run knows on services and revisions, the kinds of resources that have it, and the field that it is. */
import { z } from 'zod'
import { INGRESSES, type RevisionSettings, type ServiceSettings, STAGES } from '../../../state/settings.ts'
import { defined } from '../defined.ts'
import { type Codec, commaList, count, flag, json, oneOf, text } from './annotation-values.ts'

/** What a revision's annotations say that belongs to its containers and volumes. */
export interface ContainerNotes {
  /** Alias to `projects/P/secrets/S`. */
  readonly secretAliases?: Readonly<Record<string, string>>
  /** Container to the ones that start before it. */
  readonly dependencies?: Readonly<Record<string, readonly string[]>>
  readonly cloudSqlInstances?: readonly string[]
}

export type RevisionNotes = Omit<RevisionSettings, 'accelerator' | 'runtimeClass'> & ContainerNotes

/** One annotation and the field that it stands for. */
export interface Annotation<S> {
  readonly name: string
  /** As Google lists them, those of other APIs included. */
  readonly kinds: readonly string[]
  readonly expected: string
  /** Undefined: the text says nothing that is known. */
  read(text: string): Partial<S> | undefined
  write(settings: S): string | undefined
}

const ALL = ['Service', 'Revision', 'Job', 'Execution', 'Instance', 'WorkerPool']
const REVISION = ['Revision']
const SERVICE = ['Service']
export const RUN = 'run.googleapis.com/'

const service = fields<ServiceSettings>()
const revision = fields<RevisionNotes>()

/** Of a service, in no order of meaning. */
export const SERVICE_ANNOTATIONS: readonly Annotation<ServiceSettings>[] = [
  service(`${RUN}client-name`, ALL, 'clientName', text),
  service(`${RUN}client-version`, ALL, 'clientVersion', text),
  service(`${RUN}description`, SERVICE, 'description', text),
  service(`${RUN}launch-stage`, ['Service', 'Job'], 'launchStage', oneOf(STAGES)),
  service(`${RUN}ingress`, ['Service', 'Instance'], 'ingress', oneOf(INGRESSES)),
  service(`${RUN}invoker-iam-disabled`, ['Service', 'Instance'], 'invokerIamDisabled', flag),
  service(`${RUN}default-url-disabled`, SERVICE, 'defaultUrlDisabled', flag),
  service(
    `${RUN}custom-audiences`,
    SERVICE,
    'customAudiences',
    json(z.array(z.string()), 'a JSON list of strings'),
  ),
  service(`${RUN}scalingMode`, SERVICE, 'scalingMode', oneOf(['automatic', 'manual'])),
  service(`${RUN}minScale`, SERVICE, 'minInstances', count),
  service(`${RUN}maxScale`, SERVICE, 'maxInstances', count),
  service(`${RUN}manualInstanceCount`, SERVICE, 'manualInstances', count),
  service(`${RUN}iap-enabled`, SERVICE, 'iapEnabled', flag),
  service(`${RUN}binary-authorization`, ['Service', 'Job', 'Execution'], 'binaryAuthorization', text),
  service(`${RUN}binary-authorization-breakglass`, ['Service', 'Job'], 'binaryAuthorizationBreakglass', text),
  service(`${RUN}gc-traffic-tags`, SERVICE, 'collectTrafficTags', text),
  service(`${RUN}base-images`, ['Service', 'Revision'], 'baseImages', text),
  service(`${RUN}build-id`, ['Service', 'Revision'], 'buildId', text),
  service(`${RUN}build-source-location`, ['Service', 'Revision'], 'buildSourceLocation', text),
  service(`${RUN}build-function-target`, ['Service', 'Revision'], 'buildFunctionTarget', text),
  service(`${RUN}build-name`, SERVICE, 'buildName', text),
  service(`${RUN}build-image-uri`, SERVICE, 'buildImageUri', text),
  service(`${RUN}build-base-image`, SERVICE, 'buildBaseImage', text),
  service(`${RUN}build-service-account`, SERVICE, 'buildServiceAccount', text),
  service(`${RUN}build-worker-pool`, SERVICE, 'buildWorkerPool', text),
  service(
    `${RUN}build-environment-variables`,
    SERVICE,
    'buildEnvironmentVariables',
    json(z.record(z.string(), z.string()), 'a JSON map of strings'),
  ),
  service(`${RUN}build-enable-automatic-updates`, SERVICE, 'buildAutomaticUpdates', flag),
]

const networkInterfaces = z.array(
  z
    .strictObject({
      network: z.string(),
      subnetwork: z.string(),
      tags: z.union([z.array(z.string()), z.string()]),
    })
    .partial()
    // Google's own samples write several tags as one text with commas.
    .transform(({ tags, ...rest }) =>
      defined({ ...rest, tags: typeof tags === 'string' ? tags.split(',').filter(Boolean) : tags }),
    ),
)

/** Of a revision and its template. */
export const REVISION_ANNOTATIONS: readonly Annotation<RevisionNotes>[] = [
  revision(`${RUN}client-name`, ALL, 'clientName', text),
  revision(`${RUN}client-version`, ALL, 'clientVersion', text),
  revision('autoscaling.knative.dev/minScale', REVISION, 'minInstances', count),
  revision('autoscaling.knative.dev/maxScale', REVISION, 'maxInstances', count),
  revision(
    `${RUN}execution-environment`,
    ['Revision', 'Execution'],
    'executionEnvironment',
    oneOf(['gen1', 'gen2']),
  ),
  revision(`${RUN}vpc-access-connector`, ['Revision', 'Execution'], 'vpcConnector', text),
  revision(`${RUN}vpc-access-egress`, ['Revision', 'Execution', 'Instance'], 'vpcEgress', egress()),
  revision(
    `${RUN}network-interfaces`,
    ['Revision', 'Execution', 'Instance'],
    'networkInterfaces',
    json(networkInterfaces, 'a JSON list of objects with network, subnetwork and tags'),
  ),
  revision(`${RUN}mesh`, REVISION, 'mesh', text),
  revision(`${RUN}sessionAffinity`, REVISION, 'sessionAffinity', flag),
  revision(`${RUN}health-check-disabled`, REVISION, 'healthCheckDisabled', flag),
  revision(`${RUN}cpu-throttling`, REVISION, 'cpuThrottling', flag),
  revision(`${RUN}startup-cpu-boost`, REVISION, 'startupCpuBoost', flag),
  revision(`${RUN}encryption-key`, ['Revision', 'Execution', 'Instance'], 'encryptionKey', text),
  revision(
    `${RUN}post-key-revocation-action-type`,
    REVISION,
    'keyRevocationAction',
    oneOf(['prevent-new', 'shut-down']),
  ),
  revision(`${RUN}encryption-key-shutdown-hours`, REVISION, 'keyShutdownHours', count),
  revision(`${RUN}gpu-zonal-redundancy-disabled`, REVISION, 'gpuZonalRedundancyDisabled', flag),
  revision(`${RUN}secure-session-agent`, REVISION, 'secureSessionAgent', text),
  revision(`${RUN}base-images`, ['Service', 'Revision'], 'baseImages', text),
  revision(`${RUN}build-id`, ['Service', 'Revision'], 'buildId', text),
  revision(`${RUN}build-source-location`, ['Service', 'Revision'], 'buildSourceLocation', text),
  revision(`${RUN}build-function-target`, ['Service', 'Revision'], 'buildFunctionTarget', text),
  revision(`${RUN}secrets`, ['Revision', 'Execution'], 'secretAliases', secretAliases()),
  revision(
    `${RUN}container-dependencies`,
    ['Revision', 'Instance'],
    'dependencies',
    json(z.record(z.string(), z.array(z.string())), 'a JSON map from a container to a list of containers'),
  ),
  revision(`${RUN}cloudsql-instances`, ['Revision', 'Execution', 'Instance'], 'cloudSqlInstances', commaList),
]

/** What gcloud can write and nothing here is made of. */
export const NOT_EMULATED: ReadonlySet<string> = new Set(
  [
    'regions',
    'identity',
    'enable-workload-certificate',
    'mesh-dataplane',
    'overflow-scaling',
    'sources',
    'max-surge',
    'max-unavailable',
  ].map((name) => RUN + name),
)

/** Makes annotations of one kind of settings. */
function fields<S>() {
  return <F extends keyof S & string>(
    name: string,
    kinds: readonly string[],
    field: F,
    codec: Codec<NonNullable<S[F]>>,
  ): Annotation<S> => ({
    name,
    kinds,
    expected: codec.expected,
    read: (value) => {
      const known = codec.read(value)
      // A computed name loses its type.
      return known === undefined ? undefined : ({ [field]: known } as unknown as Partial<S>)
    },
    write: (settings) => {
      const value = settings[field]
      return value === undefined || value === null ? undefined : codec.write(value)
    },
  })
}

/** `all` is the old name of `all-traffic`. */
function egress(): Codec<NonNullable<RevisionSettings['vpcEgress']>> {
  const known = oneOf(['all-traffic', 'private-ranges-only'] as const)
  return { ...known, read: (value) => known.read(value === 'all' ? 'all-traffic' : value) }
}

/** `ALIAS:projects/P/secrets/S`, several with commas. */
function secretAliases(): Codec<Readonly<Record<string, string>>> {
  const one = /^([^:,]+):(projects\/[^/,]+\/secrets\/[^/,]+)$/
  return {
    expected: 'ALIAS:projects/PROJECT/secrets/SECRET, several with commas',
    read: (value) => {
      const parts = value.split(',').map((part) => one.exec(part.trim()))
      const found = parts.flatMap((part) => (part?.[1] && part[2] ? [[part[1], part[2]] as const] : []))
      return found.length === parts.length ? Object.fromEntries(found) : undefined
    },
    write: (aliases) =>
      Object.entries(aliases)
        .map(([alias, secret]) => `${alias}:${secret}`)
        .join(','),
  }
}
