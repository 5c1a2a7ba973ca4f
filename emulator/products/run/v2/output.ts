/** The v2 spelling of services and revisions, as Google answers it. */
import type { run_v2 } from '@googleapis/run'
import type { Place } from '../../../state/names.ts'
import type { ResourceCondition, Revision, Service } from '../../../state/resources.ts'
import type { ServiceSettings } from '../../../state/settings.ts'
import { readiness } from '../conditions.ts'
import { defined, filled, shown } from '../defined.ts'
import { routedTraffic } from '../lookup.ts'
import { shownUrl, shownUrls } from '../urls.ts'
import { withoutSystemLabels } from './faults.ts'
import { map, templateToV2 } from './template-output.ts'
import { ingressWords, scalingWords } from './words.ts'

export function toV2(service: Service, place: Place) {
  const { template, requestedTraffic, traffic, latestReadyRevision } = service
  const revisions = `${v2Name(service)}/revisions`
  const ready = readiness(service)
  return {
    name: v2Name(service),
    uid: service.uid,
    generation: String(service.generation),
    ...map('labels', withoutSystemLabels(service.labels)),
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
