/** The messages of v2: a service as clients send it. */
import { z } from 'zod'
import { ApiError } from '../../../rest/errors.ts'
import { bool, enumeration, int, labels, message, outputOnly, strings, text } from '../../../rest/messages.ts'
import { container } from '../containers.ts'
import {
  EGRESS,
  ENVIRONMENTS,
  INGRESS_TRAFFIC,
  LAUNCH_STAGES,
  MEDIUMS,
  REVOCATION_ACTIONS,
  SCALING_MODES,
  TARGET_TYPES,
} from './words.ts'

/** What Google has and the emulator has not: refused when it holds something. */
const notEmulated = z.unknown()

const containerMessage = message({
  ...container,
  env: z.array(
    message({
      name: text,
      value: text,
      valueSource: message({ secretKeyRef: message({ secret: text, version: text }) }),
    }),
  ),
  resources: message({ limits: labels, cpuIdle: bool, startupCpuBoost: bool }),
  dependsOn: strings,
  baseImageUri: notEmulated,
  buildInfo: outputOnly,
  sandboxLauncher: notEmulated,
  sourceCode: notEmulated,
})

const volumeMessage = message({
  name: text,
  emptyDir: message({
    medium: enumeration('google.cloud.run.v2.EmptyDirVolumeSource.Medium', MEDIUMS),
    sizeLimit: text,
  }),
  nfs: message({ server: text, path: text, readOnly: bool }),
  secret: message({
    secret: text,
    items: z.array(message({ path: text, version: text, mode: int })),
    defaultMode: int,
  }),
  cloudSqlInstance: message({ instances: strings }),
  gcs: message({ bucket: text, readOnly: bool, mountOptions: strings }),
})

const templateMessage = message({
  revision: text,
  labels,
  annotations: labels,
  scaling: message({ minInstanceCount: int, maxInstanceCount: int }),
  vpcAccess: message({
    connector: text,
    egress: enumeration('google.cloud.run.v2.VpcAccess.VpcEgress', EGRESS),
    networkInterfaces: z.array(message({ network: text, subnetwork: text, tags: strings })),
  }),
  timeout: text,
  serviceAccount: text,
  containers: z.array(containerMessage),
  volumes: z.array(volumeMessage),
  executionEnvironment: enumeration('google.cloud.run.v2.ExecutionEnvironment', ENVIRONMENTS),
  encryptionKey: text,
  encryptionKeyRevocationAction: enumeration(
    'google.cloud.run.v2.EncryptionKeyRevocationAction',
    REVOCATION_ACTIONS,
  ),
  encryptionKeyShutdownDuration: text,
  maxInstanceRequestConcurrency: int,
  sessionAffinity: bool,
  healthCheckDisabled: bool,
  client: text,
  clientVersion: text,
  gpuZonalRedundancyDisabled: bool,
  nodeSelector: message({ accelerator: text }),
  serviceMesh: message({ mesh: text }),
})

export const v2Service = message({
  name: text,
  description: text,
  uid: text,
  generation: text,
  labels,
  annotations: labels,
  createTime: text,
  updateTime: text,
  deleteTime: text,
  expireTime: text,
  creator: text,
  lastModifier: text,
  client: text,
  clientVersion: text,
  ingress: enumeration('google.cloud.run.v2.IngressTraffic', INGRESS_TRAFFIC),
  launchStage: enumeration('google.api.LaunchStage', LAUNCH_STAGES),
  template: templateMessage,
  traffic: z.array(
    message({
      type: enumeration('google.cloud.run.v2.TrafficTargetAllocationType', TARGET_TYPES),
      revision: text,
      percent: int,
      tag: text,
    }),
  ),
  scaling: message({
    minInstanceCount: int,
    maxInstanceCount: int,
    manualInstanceCount: int,
    scalingMode: enumeration('google.cloud.run.v2.ServiceScaling.ScalingMode', SCALING_MODES),
  }),
  invokerIamDisabled: bool,
  defaultUriDisabled: bool,
  customAudiences: strings,
  urls: strings,
  observedGeneration: text,
  terminalCondition: outputOnly,
  conditions: z.array(outputOnly),
  latestReadyRevision: text,
  latestCreatedRevision: text,
  trafficStatuses: z.array(outputOnly),
  uri: text,
  satisfiesPzs: bool,
  reconciling: bool,
  etag: text,
  binaryAuthorization: message({ useDefault: bool, policy: text, breakglassJustification: text }),
  buildConfig: message({
    name: text,
    sourceLocation: text,
    functionTarget: text,
    imageUri: text,
    baseImage: text,
    enableAutomaticUpdates: bool,
    workerPool: text,
    environmentVariables: labels,
    serviceAccount: text,
  }),
  durableExecution: notEmulated,
  iapEnabled: bool,
  multiRegionSettings: notEmulated,
  sshEnabled: notEmulated,
  threatDetectionEnabled: outputOnly,
})

export type V2Service = z.output<typeof v2Service>
export type V2Template = z.output<typeof templateMessage>
export type V2Container = z.output<typeof containerMessage>
export type V2Volume = z.output<typeof volumeMessage>

/** Refuses, by name, what the messages have and the emulator has not. */
export function refuseNotEmulated(document: V2Service): void {
  const { template = {} } = document
  const parts: readonly (readonly [string, z.ZodObject, object])[] = [
    ['service', v2Service, document],
    ['service.template', templateMessage, template],
    ...(template.containers ?? []).map(
      (container, index) => [`service.template.containers[${index}]`, containerMessage, container] as const,
    ),
  ]
  for (const [path, schema, part] of parts) {
    for (const [field, value] of Object.entries(part)) {
      const type = schema.shape[field]
      if (value && type instanceof z.ZodOptional && type.unwrap() === notEmulated) {
        throw new ApiError('UNIMPLEMENTED', `${path}.${field} is not emulated.`)
      }
    }
  }
}
