/** The v2 spelling of a service as clients send it: the neutral form made of its messages. */
import { defaultComputeServiceAccount, type Place } from '../../../state/names.ts'
import type { RevisionTemplate, Service, ServiceName, TrafficTarget } from '../../../state/resources.ts'
import type {
  EnvironmentVariable,
  RevisionSettings,
  ServiceSettings,
  Volume,
  VolumeSource,
} from '../../../state/settings.ts'
import { containerFrom, DEFAULTS, defaultConcurrency, unreadable } from '../containers.ts'
import { defined, filled } from '../defined.ts'
import type { DesiredService } from '../desired.ts'
import { refuse, type Spelling } from '../violations.ts'
import { faults, seconds, systemLabels } from './faults.ts'
import {
  refuseNotEmulated,
  type V2Container,
  type V2Service,
  type V2Template,
  type V2Volume,
} from './messages.ts'
import {
  egressWords,
  environmentWords,
  ingressWords,
  revocationWords,
  scalingWords,
  stageWords,
} from './words.ts'

/** `before`: the service that this becomes of; what v2 has no words for stays as it is there. */
export function fromV2(
  document: V2Service,
  name: ServiceName,
  place: Place,
  spelling: Spelling,
  before?: Service,
): DesiredService {
  const { template = {}, traffic = [] } = document
  refuseNotEmulated(document)
  const violations = [...faults(document), ...unreadable(template.containers ?? [])]
  if (violations.length) throw refuse(violations, spelling)
  return {
    ...name,
    annotations: document.annotations ?? {},
    labels: { ...systemLabels(before?.labels), ...document.labels },
    settings: { ...keptOfService(before?.settings), ...serviceSettings(document) },
    template: templateFrom(template, place, before?.template),
    traffic: trafficFrom(traffic),
  }
}

function trafficFrom(targets: NonNullable<V2Service['traffic']>): readonly TrafficTarget[] {
  if (targets.length === 0) return [{ percent: 100 }]
  return targets.map(({ type, revision, percent = 0, tag }) => ({
    ...(revision && type !== 'TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST'
      ? { revisionName: revision.slice(revision.lastIndexOf('/') + 1) }
      : {}),
    percent,
    ...(tag ? { tag } : {}),
  }))
}

function serviceSettings(service: V2Service): ServiceSettings {
  const { scaling = {}, binaryAuthorization: binary, buildConfig: build = {} } = service
  const stage = stageWords.read(service.launchStage)
  return {
    ingress: ingressWords.read(service.ingress) ?? 'all',
    ...defined({
      description: filled(service.description),
      clientName: filled(service.client),
      clientVersion: filled(service.clientVersion),
      // GA is what a service without a stage is.
      launchStage: stage === 'GA' ? undefined : stage,
      // proto3 knows no flag that is off.
      invokerIamDisabled: service.invokerIamDisabled || undefined,
      defaultUrlDisabled: service.defaultUriDisabled || undefined,
      iapEnabled: service.iapEnabled || undefined,
      customAudiences: filled(service.customAudiences),
      scalingMode: scalingWords.read(scaling.scalingMode),
      minInstances: scaling.minInstanceCount,
      maxInstances: scaling.maxInstanceCount,
      manualInstances: scaling.manualInstanceCount,
      binaryAuthorization: binary?.useDefault ? 'default' : filled(binary?.policy),
      binaryAuthorizationBreakglass: filled(binary?.breakglassJustification),
      buildName: filled(build.name),
      buildSourceLocation: filled(build.sourceLocation),
      buildFunctionTarget: filled(build.functionTarget),
      buildImageUri: filled(build.imageUri),
      buildBaseImage: filled(build.baseImage),
      buildAutomaticUpdates: build.enableAutomaticUpdates || undefined,
      buildWorkerPool: filled(build.workerPool),
      buildEnvironmentVariables: filled(build.environmentVariables),
      buildServiceAccount: filled(build.serviceAccount),
    }),
  }
}

/** What v1 has annotations for, and v2 no fields. */
function keptOfService(settings: ServiceSettings | undefined): Partial<ServiceSettings> {
  const { buildId, baseImages, collectTrafficTags } = settings ?? {}
  return defined({ buildId, baseImages, collectTrafficTags })
}

function keptOfRevision(settings: RevisionSettings | undefined): RevisionSettings {
  const { buildId, baseImages, buildSourceLocation, buildFunctionTarget, secureSessionAgent, runtimeClass } =
    settings ?? {}
  return defined({
    buildId,
    baseImages,
    buildSourceLocation,
    buildFunctionTarget,
    secureSessionAgent,
    runtimeClass,
  })
}

function templateFrom(
  template: V2Template,
  place: Place,
  before: RevisionTemplate | undefined,
): RevisionTemplate {
  const { containers = [], volumes = [], timeout } = template
  const made = containers.map((container) =>
    containerFrom(
      container,
      {
        env: variablesFrom(container),
        limits: container.resources?.limits,
        dependsOn: container.dependsOn,
      },
      containers.length === 1,
    ),
  )
  return {
    ...(template.revision ? { name: template.revision } : {}),
    annotations: template.annotations ?? {},
    labels: { ...systemLabels(before?.labels), ...template.labels },
    settings: { ...keptOfRevision(before?.settings), ...revisionSettings(template) },
    serviceAccount: template.serviceAccount?.toLowerCase() || defaultComputeServiceAccount(place),
    containers: made,
    ...defined({ volumes: filled(volumes.map(volumeFrom)) }),
    containerConcurrency: template.maxInstanceRequestConcurrency || defaultConcurrency(made),
    timeoutSeconds: timeout === undefined ? DEFAULTS.timeoutSeconds : (seconds(timeout) ?? 0),
  }
}

function revisionSettings(template: V2Template): RevisionSettings {
  const { scaling = {}, vpcAccess = {}, containers: [first] = [] } = template
  const interfaces = vpcAccess.networkInterfaces?.map(({ network, subnetwork, tags }) =>
    defined({ network: filled(network), subnetwork: filled(subnetwork), tags: filled(tags) }),
  )
  const shutdown = seconds(template.encryptionKeyShutdownDuration ?? '')
  return defined({
    clientName: filled(template.client),
    clientVersion: filled(template.clientVersion),
    minInstances: scaling.minInstanceCount,
    maxInstances: scaling.maxInstanceCount,
    executionEnvironment: environmentWords.read(template.executionEnvironment),
    vpcConnector: filled(vpcAccess.connector),
    vpcEgress: egressWords.read(vpcAccess.egress),
    networkInterfaces: filled(interfaces),
    mesh: filled(template.serviceMesh?.mesh),
    sessionAffinity: template.sessionAffinity || undefined,
    healthCheckDisabled: template.healthCheckDisabled || undefined,
    // Both are said once for a revision in v1; the first container carries them here. facts 8.3: where resources are
    // given, a CPU that idles must be asked for.
    cpuThrottling: first?.resources && (first.resources.cpuIdle ?? false),
    startupCpuBoost: first?.resources?.startupCpuBoost || undefined,
    encryptionKey: filled(template.encryptionKey),
    keyRevocationAction: revocationWords.read(template.encryptionKeyRevocationAction),
    keyShutdownHours: shutdown === undefined ? undefined : Math.floor(shutdown / 3600),
    accelerator: filled(template.nodeSelector?.accelerator),
    gpuZonalRedundancyDisabled: template.gpuZonalRedundancyDisabled || undefined,
  })
}

function variablesFrom({ env = [] }: V2Container): readonly EnvironmentVariable[] {
  return env.map(({ name = '', value = '', valueSource }) => {
    const reference = valueSource?.secretKeyRef
    if (reference === undefined) return { name, value }
    return { name, secret: { secret: reference.secret ?? '', version: reference.version ?? '' } }
  })
}

function volumeFrom(volume: V2Volume): Volume {
  return { name: volume.name ?? '', source: sourceOf(volume) }
}

function sourceOf({ emptyDir, secret, gcs, nfs, cloudSqlInstance }: V2Volume): VolumeSource {
  if (secret) {
    const items = secret.items?.map(({ version = '', path = '', mode }) => defined({ version, path, mode }))
    return {
      kind: 'secret',
      secret: { secret: secret.secret ?? '' },
      ...defined({ items: filled(items), defaultMode: secret.defaultMode }),
    }
  }
  if (gcs) {
    const { bucket = '', readOnly, mountOptions } = gcs
    return { kind: 'gcs', bucket, ...defined({ readOnly, mountOptions: filled(mountOptions) }) }
  }
  if (nfs) {
    const { server = '', path = '', readOnly } = nfs
    return { kind: 'nfs', server, path, ...defined({ readOnly }) }
  }
  if (cloudSqlInstance) return { kind: 'cloudSql', instances: cloudSqlInstance.instances ?? [] }
  const memory = emptyDir?.medium === 'MEMORY' ? true : undefined
  return { kind: 'emptyDir', ...defined({ memory, sizeLimit: filled(emptyDir?.sizeLimit) }) }
}
