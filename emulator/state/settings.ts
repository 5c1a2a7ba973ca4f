/**
 * The settings of services and revisions, as fields. How the versions of the API spell them (v1 in annotations, v2 in fields of
 * its messages) is known to their codecs alone. A setting that was not given is absent; Cloud Run's default then holds.
 */

export const INGRESSES = ['all', 'internal', 'internal-and-cloud-load-balancing'] as const
export type Ingress = (typeof INGRESSES)[number]

/** The stages that a service may ask for; absent is GA. */
export const STAGES = ['ALPHA', 'BETA', 'GA'] as const
export type LaunchStage = (typeof STAGES)[number]

/** What any client says of itself. */
interface ClientSettings {
  readonly clientName?: string
  readonly clientVersion?: string
}

/** How the image came to be, as clients that built it note it down. */
interface BuildSettings {
  readonly buildId?: string
  readonly buildSourceLocation?: string
  readonly buildFunctionTarget?: string
  /** JSON: container name to base image. */
  readonly baseImages?: string
}

export interface ServiceSettings extends ClientSettings, BuildSettings {
  readonly description?: string
  readonly launchStage?: LaunchStage
  readonly ingress: Ingress
  readonly invokerIamDisabled?: boolean
  readonly defaultUrlDisabled?: boolean
  readonly customAudiences?: readonly string[]
  readonly scalingMode?: 'automatic' | 'manual'
  /** Numbers of instances of the whole service. */
  readonly minInstances?: number
  readonly maxInstances?: number
  readonly manualInstances?: number
  readonly iapEnabled?: boolean
  /** `default`, or the path of a policy. */
  readonly binaryAuthorization?: string
  readonly binaryAuthorizationBreakglass?: string
  readonly collectTrafficTags?: string
  readonly buildName?: string
  readonly buildImageUri?: string
  readonly buildBaseImage?: string
  readonly buildServiceAccount?: string
  readonly buildWorkerPool?: string
  readonly buildEnvironmentVariables?: Readonly<Record<string, string>>
  readonly buildAutomaticUpdates?: boolean
}

export interface NetworkInterface {
  readonly network?: string
  readonly subnetwork?: string
  readonly tags?: readonly string[]
}

export interface RevisionSettings extends ClientSettings, BuildSettings {
  /** Numbers of instances of the revision. */
  readonly minInstances?: number
  readonly maxInstances?: number
  readonly executionEnvironment?: 'gen1' | 'gen2'
  readonly vpcConnector?: string
  readonly vpcEgress?: 'all-traffic' | 'private-ranges-only'
  readonly networkInterfaces?: readonly NetworkInterface[]
  readonly mesh?: string
  readonly sessionAffinity?: boolean
  readonly healthCheckDisabled?: boolean
  /** Whether the CPU is idle between requests. */
  readonly cpuThrottling?: boolean
  readonly startupCpuBoost?: boolean
  readonly encryptionKey?: string
  readonly keyRevocationAction?: 'prevent-new' | 'shut-down'
  readonly keyShutdownHours?: number
  readonly accelerator?: string
  readonly gpuZonalRedundancyDisabled?: boolean
  readonly secureSessionAgent?: string
  readonly runtimeClass?: string
}

/** A secret, `NAME` or `projects/P/secrets/NAME`; the alias is what v1 calls one of another project. */
export interface SecretReference {
  readonly secret: string
  readonly alias?: string
}

/** A variable holds a value, or the version of a secret. */
export type EnvironmentVariable =
  | { readonly name: string; readonly value: string }
  | { readonly name: string; readonly secret: SecretReference & { readonly version: string } }

/** What fills a volume. Modes are the bits of a file's permissions. */
export type VolumeSource =
  | { readonly kind: 'emptyDir'; readonly memory?: boolean; readonly sizeLimit?: string }
  | {
      readonly kind: 'secret'
      readonly secret: SecretReference
      readonly items?: readonly {
        readonly version: string
        readonly path: string
        readonly mode?: number
      }[]
      readonly defaultMode?: number
    }
  | { readonly kind: 'cloudSql'; readonly instances: readonly string[] }
  | {
      readonly kind: 'gcs'
      readonly bucket: string
      readonly readOnly?: boolean
      readonly mountOptions?: readonly string[]
    }
  | { readonly kind: 'nfs'; readonly server: string; readonly path: string; readonly readOnly?: boolean }

export interface Volume {
  readonly name: string
  readonly source: VolumeSource
}

export interface VolumeMount {
  readonly name: string
  readonly mountPath: string
  readonly subPath?: string
}

/** How a container is asked whether it lives. Times in seconds. */
export interface Probe {
  readonly httpGet?: {
    readonly path?: string
    readonly port?: number
    readonly httpHeaders?: readonly { readonly name: string; readonly value: string }[]
  }
  readonly tcpSocket?: { readonly port?: number }
  readonly grpc?: { readonly port?: number; readonly service?: string }
  readonly initialDelaySeconds?: number
  readonly timeoutSeconds?: number
  readonly periodSeconds?: number
  readonly successThreshold?: number
  readonly failureThreshold?: number
}
