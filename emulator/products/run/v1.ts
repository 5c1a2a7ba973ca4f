/** Cloud Run Admin API v1: Knative's resources by namespace, and by location what Knative has no place for. */
import type { run_v1 } from '@googleapis/run'
import type { Permission } from '../../iam/roles.ts'
import { projectPolicies, servicePolicies } from '../../rest/caller.ts'
import { badRequest, invalid } from '../../rest/errors.ts'
import type { Google } from '../../rest/google.ts'
import { page } from '../../rest/paging.ts'
import type { Call, Router } from '../../rest/route.ts'
import { REGIONS, serviceKey } from '../../state/names.ts'
import type { Project, Revision, Service, ServiceName } from '../../state/resources.ts'
import type { RunContext } from './deployer.ts'
import { matchesLabels } from './labels.ts'
import { type Located, mayList, noSuchLocation, runDenied, servicePolicyRoutes } from './located.ts'
import { noSuch, noSuchService } from './lookup.ts'
import { fromKnative } from './v1/input.ts'
import { knativeService } from './v1/messages.ts'
import { configurationToKnative, revisionToKnative, routeToKnative, toKnative } from './v1/output.ts'

const LIST_LIMIT = 1000
/** Every region: only lists look there. */
const EVERYWHERE = '-'
const API_VERSION = 'serving.knative.dev/v1'

/** Where a request's resources are, and how the API spells that in a refusal. */
type Locate = (call: Call) => Located

export function runV1(routes: Router, google: RunContext): void {
  const byNamespace: Locate = (call) => {
    const project = google.state.project(call.param('namespace'))
    const namespace = call.param('namespace')
    return { project, region: regionOf(call.host, google), path: `namespaces/${namespace}` }
  }
  const byLocation: Locate = (call) => {
    const [project, region] = [call.param('project'), call.param('location')]
    return { project: google.state.project(project), region, path: `projects/${project}/locations/${region}` }
  }
  knativeRoutes(routes, google, '/apis/serving.knative.dev/v1/namespaces/{namespace}', byNamespace)
  knativeRoutes(routes, google, '/v1/projects/{project}/locations/{location}', byLocation)
  servicePolicyRoutes(routes, google, '/v1/projects/{project}/locations/{location}/services/{service}')
  locationRoutes(routes, google)
}

function knativeRoutes(routes: Router, google: RunContext, base: string, locate: Locate): void {
  serviceRoutes(routes, google, base, locate)
  revisionRoutes(routes, google, base, locate)
  derivedRoutes(routes, google, base, locate)
}

function serviceRoutes(routes: Router, google: RunContext, base: string, locate: Locate): void {
  const { state, deployer } = google
  const { place } = state

  routes.get(`${base}/services`, (call) => {
    const located = locate(call)
    const services = listed(call, located, 'run.services.list', state.services.list())
    return list('ServiceList', call, services, (service) => toKnative(service, place))
  })
  routes.get(`${base}/services/{service}`, (call) =>
    toKnative(serviceAt(google, call, locate(call), 'run.services.get'), place),
  )
  routes.post(`${base}/services`, async (call) => {
    const located = locate(call)
    const document = await readService(google, call, located)
    const name = document.metadata?.name ?? ''
    const service = nameIn(located, name)
    if (!REGIONS.includes(service.region)) throw noSuchLocation(service.region)
    const at = `${located.path}/services/${name}`
    call.authorise('run.services.create', projectPolicies(located.project), () =>
      runDenied('run.services.create', at),
    )
    const desired = fromKnative(document, service, place)
    return toKnative(await deployer.deploy({ ...deployment(call), desired, mode: 'create' }), place)
  })
  routes.put(`${base}/services/{service}`, async (call) => {
    const located = locate(call)
    const document = await readService(google, call, located)
    const service = serviceAt(google, call, located, 'run.services.update')
    const { name, resourceVersion } = document.metadata ?? {}
    if (name !== undefined && name !== service.name) {
      // Inferred wording.
      throw invalid(`metadata.name: '${name}' does not match the name '${service.name}' of the URL.`)
    }
    const desired = fromKnative(document, service, place)
    const expected = resourceVersion ? { expectedVersion: resourceVersion } : {}
    return toKnative(
      await deployer.deploy({ ...deployment(call), ...expected, desired, mode: 'replace' }),
      place,
    )
  })
  routes.delete(`${base}/services/{service}`, async (call) => {
    const service = serviceAt(google, call, locate(call), 'run.services.delete')
    if (call.query('dryRun') !== 'all') await deployer.delete(service)
    return { status: 'Success' } satisfies run_v1.Schema$Status
  })
}

function revisionRoutes(routes: Router, google: RunContext, base: string, locate: Locate): void {
  const { state, deployer } = google
  routes.get(`${base}/revisions`, (call) => {
    const revisions = listed(call, locate(call), 'run.revisions.list', state.revisions.list())
    return list('RevisionList', call, newestFirst(revisions), (revision) =>
      revisionDocument(google, revision),
    )
  })
  routes.get(`${base}/revisions/{revision}`, (call) =>
    revisionDocument(google, revisionAt(google, call, locate(call), 'run.revisions.get')),
  )
  routes.delete(`${base}/revisions/{revision}`, async (call) => {
    const revision = revisionAt(google, call, locate(call), 'run.revisions.delete')
    if (call.query('dryRun') !== 'all') await deployer.deleteRevision(revision)
    return { status: 'Success' } satisfies run_v1.Schema$Status
  })
}

/** What Knative has beside services and Cloud Run derives from them. */
function derivedRoutes(routes: Router, google: RunContext, base: string, locate: Locate): void {
  const { state } = google
  const { place } = state
  routes.get(`${base}/configurations`, (call) => {
    const services = listed(call, locate(call), 'run.configurations.list', state.services.list())
    return list('ConfigurationList', call, services, (service) => configurationToKnative(service, place))
  })
  routes.get(`${base}/configurations/{service}`, (call) =>
    configurationToKnative(serviceAt(google, call, locate(call), 'run.configurations.get'), place),
  )
  routes.get(`${base}/routes`, (call) => {
    const services = listed(call, locate(call), 'run.routes.list', state.services.list())
    return list('RouteList', call, services, (service) => routeToKnative(service, place))
  })
  routes.get(`${base}/routes/{service}`, (call) =>
    routeToKnative(serviceAt(google, call, locate(call), 'run.routes.get'), place),
  )
}

function locationRoutes(routes: Router, google: Google): void {
  const { state } = google
  routes.get('/v1/projects/{project}/locations', (call) => {
    const name = call.param('project')
    call.authorise('run.locations.list', projectPolicies(state.project(name)), () =>
      runDenied('run.locations.list', `projects/${name}`),
    )
    const { items, nextPageToken } = page(REGIONS, call, LIST_LIMIT)
    return {
      locations: items.map((region) => ({
        name: `projects/${name}/locations/${region}`,
        locationId: region,
        labels: { 'cloud.googleapis.com/region': region },
      })),
      ...(nextPageToken ? { nextPageToken } : {}),
    } satisfies run_v1.Schema$ListLocationsResponse
  })
}

/** Reads a Knative service that belongs where the URL says. */
async function readService({ state }: Google, call: Call, { project, path }: Located) {
  const document = await call.body(knativeService, 'service')
  const { apiVersion, kind, metadata } = document
  // Inferred wordings.
  if (apiVersion !== undefined && apiVersion !== API_VERSION) {
    throw invalid(`apiVersion: Expected '${API_VERSION}' but obtained '${apiVersion}'.`)
  }
  if (kind !== undefined && kind !== 'Service') {
    throw invalid(`kind: Expected 'Service' but obtained '${kind}'.`)
  }
  // facts gcloud 3: a namespace is the project's id or its number.
  const namespace = metadata?.namespace
  if (namespace && project && state.project(namespace) !== project) {
    throw invalid(`metadata.namespace: '${namespace}' does not match the project of '${path}'.`)
  }
  return document
}

function deployment(call: Call) {
  return {
    caller: call.caller,
    spelling: { version: 'v1' },
    dryRun: call.query('dryRun') === 'all',
  } as const
}

function serviceAt(google: RunContext, call: Call, located: Located, permission: Permission): Service {
  const name = nameIn(located, call.param('service'))
  const service = google.state.services.get(serviceKey(name))
  return call.require(permission, {
    resource: service,
    policies: service ? servicePolicies(google.state, service) : projectPolicies(located.project),
    refusal: () => runDenied(permission, `${located.path}/${pluralOf(permission)}/${name.name}`),
    missing: () => noSuchService(name),
  })
}

function revisionAt(google: RunContext, call: Call, located: Located, permission: Permission): Revision {
  const name = nameIn(located, call.param('revision'))
  return call.require(permission, {
    resource: google.state.revisions.get(serviceKey(name)),
    policies: projectPolicies(located.project),
    refusal: () => runDenied(permission, `${located.path}/revisions/${name.name}`),
    missing: () => noSuch('REVISION', name),
  })
}

function revisionDocument({ state }: RunContext, revision: Revision): run_v1.Schema$Revision {
  const service = state.services.get(serviceKey({ ...revision, name: revision.service }))
  return revisionToKnative(revision, service, state.place)
}

/** What of a collection lies where the call looks; location `-` is every region. */
function listed<T extends ServiceName>(
  call: Call,
  located: Located,
  permission: Permission,
  items: readonly T[],
): readonly T[] {
  mayList(call, located, permission)
  const { region } = located
  return items.filter(
    (item) =>
      item.project === located.project?.projectId && (region === EVERYWHERE || item.region === region),
  )
}

function list<T, D extends { metadata?: run_v1.Schema$ObjectMeta }>(
  kind: string,
  call: Call,
  items: readonly T[],
  toDocument: (item: T) => D,
) {
  const fields = call.query('fieldSelector')
  // gcloud asks so for services of several regions, which there are none of. Google's reference: nothing else is supported.
  if (fields !== undefined && fields !== 'multiRegionOnly')
    throw invalid(`fieldSelector: '${fields}' is not supported.`)
  const selector = call.query('labelSelector')
  const inRegions = fields === undefined ? items : []
  const selected = selector
    ? inRegions.filter((item) => matchesLabels(selector, toDocument(item).metadata?.labels ?? {}))
    : inRegions
  const { items: shown, nextPageToken } = page(selected, call, LIST_LIMIT)
  return {
    apiVersion: API_VERSION,
    kind,
    metadata: nextPageToken ? { continue: nextPageToken } : {},
    items: shown.map(toDocument),
  }
}

function newestFirst(revisions: readonly Revision[]): readonly Revision[] {
  return revisions.toSorted((a, b) => a.service.localeCompare(b.service) || b.ordinal - a.ordinal)
}

function nameIn(
  { project, region }: { project: Project | undefined; region: string },
  name: string,
): ServiceName {
  if (region === EVERYWHERE) {
    // facts 8.1.
    const description = 'No region provided in host name, in resource name/parent, or in the request.'
    throw badRequest(`region: ${description}`, [{ field: 'region', description }])
  }
  return { project: project?.projectId ?? '', region, name }
}

/** facts gcloud 3: the region of a Knative call is in the host name alone. A host that is not Google's says nothing of it. */
function regionOf(host: string, { state }: Google): string {
  const named = REGIONS.find((name) => host.startsWith(`${name}-`))
  return named ?? (host === 'run.googleapis.com' ? EVERYWHERE : state.region)
}

/** `run.routes.get` is about `routes`. */
function pluralOf(permission: Permission): string {
  return permission.split('.')[1] ?? ''
}
