/** The v1 spelling of services and revisions, Knative's, as Google answers it. */
import type { run_v1 } from '@googleapis/run'
import type { Place } from '../../../state/names.ts'
import type { ResourceCondition, Revision, Service } from '../../../state/resources.ts'
import { defined } from '../defined.ts'
import { routedTraffic, servedNames } from '../lookup.ts'
import { shownUrl, shownUrls } from '../urls.ts'
import { serverAnnotations, statusAnnotations, writeServiceAnnotations } from './annotations.ts'
import { specFrom, templateAnnotations } from './template-output.ts'

export function toKnative(service: Service, place: Place): run_v1.Schema$Service {
  const { name, region, template, requestedTraffic, traffic, latestReadyRevision } = service
  const url = shownUrl(service, place)
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
        ...writeServiceAnnotations(service.settings),
        ...serverAnnotations(service),
        ...statusAnnotations(service.settings, shownUrls(service, place)),
      },
    },
    spec: {
      template: {
        metadata: {
          ...(template.name === undefined ? {} : { name: template.name }),
          labels: template.labels,
          annotations: templateAnnotations(template),
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
      ...(url === undefined ? {} : { url, address: { url } }),
    },
  } satisfies run_v1.Schema$Service
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
    ...defined({ tag, url: tag === undefined ? undefined : shownUrl(service, place, tag) }),
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
      annotations: { ...templateAnnotations(template), ...serverAnnotations({ creator: revision.creator }) },
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
      ...defined({ url: status?.url, address: status?.address }),
    },
  } satisfies run_v1.Schema$Route
}

function readyAs(type: string, { conditions }: Service): run_v1.Schema$GoogleCloudRunV1Condition[] {
  return conditions
    .filter((condition) => condition.type === type)
    .map((c) => conditionFrom({ ...c, type: 'Ready' }))
}

function conditionFrom(condition: ResourceCondition) {
  const { type, status, severity, reason, message, lastTransitionTime } = condition
  return {
    type,
    status,
    ...defined({ reason, message, severity }),
    lastTransitionTime,
  } satisfies run_v1.Schema$GoogleCloudRunV1Condition
}

function selfLink(plural: string, name: string, { projectNumber }: Place): string {
  return `/apis/serving.knative.dev/v1/namespaces/${projectNumber}/${plural}/${name}`
}
