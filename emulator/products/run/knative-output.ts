/** The v1 spelling of services and revisions, Knative's, as Google answers it. */
import type { run_v1 } from '@googleapis/run'
import { type Place, serviceUrl, serviceUrls } from '../../state/names.ts'
import type {
  Container,
  ResourceCondition,
  Revision,
  RevisionTemplate,
  Service,
  TrafficTarget,
} from '../../state/resources.ts'
import { INGRESS } from './knative-input.ts'
import { servedNames } from './lookup.ts'

export function toKnative(service: Service, place: Place): run_v1.Schema$Service {
  const { name, region, template, requestedTraffic, traffic, latestReadyRevision } = service
  const url = serviceUrl(service, place)
  return {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: {
      name,
      namespace: place.projectNumber,
      selfLink: selfLink('services', name, place),
      uid: service.uid,
      resourceVersion: service.resourceVersion,
      generation: service.generation,
      creationTimestamp: service.createTime,
      labels: { ...service.labels, 'cloud.googleapis.com/location': region },
      annotations: {
        ...service.annotations,
        'serving.knative.dev/creator': service.creator,
        'serving.knative.dev/lastModifier': service.lastModifier,
        'run.googleapis.com/ingress-status': service.annotations[INGRESS] ?? 'all',
        'run.googleapis.com/urls': JSON.stringify(serviceUrls(service, place)),
      },
    },
    spec: {
      template: {
        metadata: {
          ...(template.name === undefined ? {} : { name: template.name }),
          labels: template.labels,
          annotations: template.annotations,
        },
        spec: specFrom(template),
      },
      traffic: (requestedTraffic ?? traffic).map(({ revisionName, percent, tag }) => ({
        ...(revisionName === undefined ? { latestRevision: true } : { revisionName }),
        ...(percent ? { percent } : {}),
        ...(tag === undefined ? {} : { tag }),
      })),
    },
    status: {
      observedGeneration: service.generation,
      conditions: service.conditions.map(conditionFrom),
      ...(latestReadyRevision ? { latestReadyRevisionName: latestReadyRevision } : {}),
      latestCreatedRevisionName: service.latestCreatedRevision,
      ...(routedTraffic(service).length
        ? { traffic: routedTraffic(service).map((target) => trafficStatus(target, service, place)) }
        : {}),
      url,
      address: { url },
    },
  } satisfies run_v1.Schema$Service
}

/** The traffic that goes somewhere: a target that follows the latest revision has none before one is ready. */
export function routedTraffic({
  traffic,
  latestReadyRevision,
}: Service): readonly (TrafficTarget & { readonly revisionName: string; readonly latest: boolean })[] {
  return traffic.flatMap((target) => {
    const revisionName = target.revisionName ?? latestReadyRevision
    return revisionName === undefined
      ? []
      : [{ ...target, revisionName, latest: target.revisionName === undefined }]
  })
}

function trafficStatus(
  { revisionName, latest, percent, tag }: ReturnType<typeof routedTraffic>[number],
  service: Service,
  place: Place,
): run_v1.Schema$TrafficTarget {
  return {
    revisionName,
    ...(percent ? { percent } : {}),
    ...(latest ? { latestRevision: true } : {}),
    ...(tag === undefined ? {} : { tag, url: serviceUrl(service, place, tag) }),
  }
}

export function revisionToKnative(
  revision: Revision,
  service: Service | undefined,
  place: Place,
): run_v1.Schema$Revision {
  const { name, region, template } = revision
  const active = service ? servedNames(service).has(name) : false
  return {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Revision',
    metadata: {
      name,
      namespace: place.projectNumber,
      selfLink: selfLink('revisions', name, place),
      uid: revision.uid,
      resourceVersion: service?.resourceVersion ?? '',
      generation: 1,
      creationTimestamp: revision.createTime,
      labels: {
        ...template.labels,
        'serving.knative.dev/configuration': revision.service,
        'serving.knative.dev/configurationGeneration': String(revision.ordinal),
        'serving.knative.dev/route': revision.service,
        'serving.knative.dev/service': revision.service,
        'serving.knative.dev/serviceUid': service?.uid ?? '',
        'cloud.googleapis.com/location': region,
      },
      annotations: { ...template.annotations, 'serving.knative.dev/creator': revision.creator },
      ownerReferences: [
        {
          apiVersion: 'serving.knative.dev/v1',
          kind: 'Configuration',
          name: revision.service,
          uid: service?.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: specFrom(template),
    status: {
      observedGeneration: 1,
      conditions: [
        ...revision.conditions.map(conditionFrom),
        {
          type: 'Active',
          status: active ? 'True' : 'False',
          lastTransitionTime: revision.createTime,
          severity: 'Info',
        },
      ],
      ...(revision.imageDigest ? { imageDigest: revision.imageDigest } : {}),
      serviceName: revision.service,
    },
  } satisfies run_v1.Schema$Revision
}

/** Knative splits a service in two: what is to run, and where requests go. */
export function configurationToKnative(service: Service, place: Place): run_v1.Schema$Configuration {
  const { metadata = {}, spec } = toKnative(service, place)
  return {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Configuration',
    metadata: { ...metadata, selfLink: selfLink('configurations', service.name, place) },
    spec: spec?.template ? { template: spec.template } : {},
    status: {
      observedGeneration: service.generation,
      conditions: readyAs('ConfigurationsReady', service),
      latestCreatedRevisionName: service.latestCreatedRevision,
      ...(service.latestReadyRevision ? { latestReadyRevisionName: service.latestReadyRevision } : {}),
    },
  } satisfies run_v1.Schema$Configuration
}

export function routeToKnative(service: Service, place: Place): run_v1.Schema$Route {
  const { metadata = {}, spec, status } = toKnative(service, place)
  return {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Route',
    metadata: { ...metadata, selfLink: selfLink('routes', service.name, place) },
    spec: { traffic: spec?.traffic ?? [] },
    status: {
      observedGeneration: service.generation,
      conditions: readyAs('RoutesReady', service),
      traffic: status?.traffic ?? [],
      url: serviceUrl(service, place),
      address: { url: serviceUrl(service, place) },
    },
  } satisfies run_v1.Schema$Route
}

function readyAs(type: string, { conditions }: Service): run_v1.Schema$GoogleCloudRunV1Condition[] {
  return conditions
    .filter((condition) => condition.type === type)
    .map((c) => conditionFrom({ ...c, type: 'Ready' }))
}

function specFrom(template: RevisionTemplate): run_v1.Schema$RevisionSpec {
  return {
    ...template.rest,
    containerConcurrency: template.containerConcurrency,
    timeoutSeconds: template.timeoutSeconds,
    serviceAccountName: template.serviceAccount,
    containers: template.containers.map(containerToKnative),
  }
}

function containerToKnative(container: Container): run_v1.Schema$Container {
  const { name, image, command, args, env, port, portName, rest } = container
  return {
    ...(name ? { name } : {}),
    image,
    ...(command.length ? { command: [...command] } : {}),
    ...(args.length ? { args: [...args] } : {}),
    ...(env.length ? { env: [...env] } : {}),
    ...(port === undefined ? {} : { ports: [{ name: portName ?? 'http1', containerPort: port }] }),
    ...rest,
  }
}

function conditionFrom({ type, status, reason, message, lastTransitionTime }: ResourceCondition) {
  return {
    type,
    status,
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
    lastTransitionTime,
  } satisfies run_v1.Schema$GoogleCloudRunV1Condition
}

function selfLink(plural: string, name: string, { projectNumber }: Place): string {
  return `/apis/serving.knative.dev/v1/namespaces/${projectNumber}/${plural}/${name}`
}
