/** The v2 spelling of services and revisions, as Google answers it. */
import type { run_v2 } from '@googleapis/run'
import type { Place } from '../../../state/names.ts'
import type {
  Container,
  ResourceCondition,
  Revision,
  RevisionTemplate,
  Service,
} from '../../../state/resources.ts'
import type { RevisionSettings, ServiceSettings, Volume } from '../../../state/settings.ts'
import { readiness } from '../conditions.ts'
import { defined, filled, shown } from '../defined.ts'
import { routedTraffic } from '../lookup.ts'
import { shownUrl, shownUrls } from '../urls.ts'
import { egressWords, environmentWords, ingressWords, revocationWords, scalingWords } from './words.ts'

export function toV2(service: Service, place: Place) {
  const { template, requestedTraffic, traffic, latestReadyRevision } = service
  const revisions = `${v2Name(service)}/revisions`
  const ready = readiness(service)
  return {
    name: v2Name(service),
    uid: service.uid,
    generation: String(service.generation),
    ...map('labels', service.labels),
    ...map('annotations', service.annotations),
    createTime: service.createTime,
    updateTime: service.updateTime,
    creator: service.creator,
    lastModifier: service.lastModifier,
    ...settingsToV2(service.settings),
    template: templateToV2(template),
    traffic: (requestedTraffic ?? traffic).map(({ revisionName, percent, tag }) => ({
      type: targetType(revisionName === undefined),
      ...defined({ revision: revisionName, percent: percent || undefined, tag }),
    })),
    ...defined({ urls: filled([...shownUrls(service, place)]), uri: shownUrl(service, place) }),
    observedGeneration: String(service.generation),
    ...(ready ? { terminalCondition: conditionToV2(ready) } : {}),
    conditions: service.conditions.filter(({ type }) => type !== 'Ready').map(conditionToV2),
    ...(latestReadyRevision ? { latestReadyRevision: `${revisions}/${latestReadyRevision}` } : {}),
    latestCreatedRevision: `${revisions}/${service.latestCreatedRevision}`,
    trafficStatuses: routedTraffic(service).map(({ revisionName, latest, percent, tag }) => ({
      type: targetType(latest),
      ...defined({
        revision: latest ? undefined : revisionName,
        percent: percent || undefined,
        tag,
        uri: tag === undefined ? undefined : shownUrl(service, place, tag),
      }),
    })),
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

function v2Name({ project, region, name }: Pick<Service, 'project' | 'region' | 'name'>): string {
  return `projects/${project}/locations/${region}/services/${name}`
}

/** v2's etag wears quotes. */
export function v2Etag({ resourceVersion }: Pick<Service, 'resourceVersion'>): string {
  return `"${resourceVersion}"`
}

/** A flag that is off is one that proto3 does not print. */
function settingsToV2(settings: ServiceSettings) {
  const { binaryAuthorization: policy, binaryAuthorizationBreakglass } = settings
  const scaling = defined({
    minInstanceCount: settings.minInstances,
    maxInstanceCount: settings.maxInstances,
    manualInstanceCount: settings.manualInstances,
    scalingMode: scalingWords.write(settings.scalingMode),
  })
  const binaryAuthorization = defined({
    useDefault: policy === 'default' ? true : undefined,
    policy: policy === 'default' ? undefined : policy,
    breakglassJustification: binaryAuthorizationBreakglass,
  })
  const buildConfig = defined({
    name: settings.buildName,
    sourceLocation: settings.buildSourceLocation,
    functionTarget: settings.buildFunctionTarget,
    imageUri: settings.buildImageUri,
    baseImage: settings.buildBaseImage,
    enableAutomaticUpdates: settings.buildAutomaticUpdates,
    workerPool: settings.buildWorkerPool,
    environmentVariables: shown(settings.buildEnvironmentVariables),
    serviceAccount: settings.buildServiceAccount,
  })
  return defined({
    description: settings.description,
    client: settings.clientName,
    clientVersion: settings.clientVersion,
    ingress: ingressWords.write(settings.ingress),
    launchStage: settings.launchStage ?? 'GA',
    invokerIamDisabled: settings.invokerIamDisabled || undefined,
    defaultUriDisabled: settings.defaultUrlDisabled || undefined,
    iapEnabled: settings.iapEnabled || undefined,
    customAudiences: filled(shown(settings.customAudiences)),
    scaling: filled(scaling),
    binaryAuthorization: filled(binaryAuthorization),
    buildConfig: filled(buildConfig),
  })
}

export function templateToV2(template: RevisionTemplate) {
  const { settings, volumes = [] } = template
  return {
    ...defined({ revision: template.name }),
    ...map('labels', template.labels),
    ...map('annotations', template.annotations),
    ...revisionSettingsToV2(settings),
    timeout: `${template.timeoutSeconds}s`,
    serviceAccount: template.serviceAccount,
    containers: template.containers.map((container, index) => containerToV2(container, index, settings)),
    ...(volumes.length ? { volumes: volumes.map(volumeToV2) } : {}),
    maxInstanceRequestConcurrency: template.containerConcurrency,
  } satisfies run_v2.Schema$GoogleCloudRunV2RevisionTemplate
}

function revisionSettingsToV2(settings: RevisionSettings) {
  const { keyShutdownHours, accelerator, mesh } = settings
  const vpcAccess = defined({
    connector: settings.vpcConnector,
    egress: egressWords.write(settings.vpcEgress),
    networkInterfaces: filled(shown(settings.networkInterfaces)),
  })
  return {
    scaling: defined({
      minInstanceCount: settings.minInstances,
      maxInstanceCount: settings.maxInstances,
    }),
    ...defined({
      vpcAccess: filled(vpcAccess),
      executionEnvironment: environmentWords.write(settings.executionEnvironment),
      encryptionKey: settings.encryptionKey,
      encryptionKeyRevocationAction: revocationWords.write(settings.keyRevocationAction),
      encryptionKeyShutdownDuration:
        keyShutdownHours === undefined ? undefined : `${keyShutdownHours * 3600}s`,
      sessionAffinity: settings.sessionAffinity || undefined,
      healthCheckDisabled: settings.healthCheckDisabled || undefined,
      client: settings.clientName,
      clientVersion: settings.clientVersion,
      gpuZonalRedundancyDisabled: settings.gpuZonalRedundancyDisabled || undefined,
      nodeSelector: accelerator === undefined ? undefined : { accelerator },
      serviceMesh: mesh === undefined ? undefined : { mesh },
    }),
  }
}

function containerToV2(container: Container, index: number, settings: RevisionSettings) {
  const { name, image, command, args, env, port, portName, limits } = container
  return {
    ...(name ? { name } : {}),
    image,
    ...(command.length ? { command: [...command] } : {}),
    ...(args.length ? { args: [...args] } : {}),
    ...(env.length ? { env: env.map(variableToV2) } : {}),
    resources: {
      ...defined({ limits: limits && { ...limits } }),
      // Both are said once for a revision in v1; the first container carries them here.
      ...(index === 0
        ? defined({
            cpuIdle: settings.cpuThrottling === false ? undefined : true,
            startupCpuBoost: settings.startupCpuBoost || undefined,
          })
        : {}),
    },
    ...(port === undefined ? {} : { ports: [{ name: portName ?? 'http1', containerPort: port }] }),
    ...defined({
      volumeMounts: shown(container.volumeMounts),
      workingDir: container.workingDir,
      livenessProbe: shown(container.livenessProbe),
      startupProbe: shown(container.startupProbe),
      readinessProbe: shown(container.readinessProbe),
      dependsOn: shown(container.dependsOn),
    }),
  }
}

function variableToV2(variable: Container['env'][number]) {
  if ('value' in variable) return { ...variable }
  const { name, secret } = variable
  return { name, valueSource: { secretKeyRef: { secret: secret.secret, version: secret.version } } }
}

function volumeToV2({ name, source }: Volume): run_v2.Schema$GoogleCloudRunV2Volume {
  switch (source.kind) {
    case 'emptyDir': {
      const { memory, sizeLimit } = source
      return { name, emptyDir: defined({ medium: memory ? 'MEMORY' : undefined, sizeLimit }) }
    }
    case 'secret': {
      const { secret, items, defaultMode } = source
      return { name, secret: { secret: secret.secret, ...defined({ items: shown(items), defaultMode }) } }
    }
    case 'gcs': {
      const { kind: _, ...gcs } = source
      return { name, gcs: shown(gcs) }
    }
    case 'nfs': {
      const { kind: _, ...nfs } = source
      return { name, nfs }
    }
    case 'cloudSql':
      return { name, cloudSqlInstance: { instances: [...source.instances] } }
  }
}

function conditionToV2(condition: ResourceCondition) {
  const { type, status, severity, message, reason, lastTransitionTime } = condition
  return {
    type,
    state: CONDITION_STATE[status],
    ...defined({ message, severity: severity?.toUpperCase() }),
    lastTransitionTime,
    ...(reason === undefined || severity !== undefined
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

function targetType(latest: boolean): string {
  return `TRAFFIC_TARGET_ALLOCATION_TYPE_${latest ? 'LATEST' : 'REVISION'}`
}

function map<K extends string>(
  name: K,
  entries: Readonly<Record<string, string>>,
): { [N in K]?: Record<string, string> } {
  return Object.keys(entries).length
    ? ({ [name]: { ...entries } } as { [N in K]?: Record<string, string> })
    : {}
}
