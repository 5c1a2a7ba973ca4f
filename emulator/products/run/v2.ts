/** Cloud Run Admin API v2: services and revisions; changes answer with long-running operations. */

import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Permission } from '../../iam/roles.ts'
import { projectPolicies, servicePolicies } from '../../rest/caller.ts'
import { ApiError, invalid } from '../../rest/errors.ts'
import { checkMessage } from '../../rest/messages.ts'
import { keepOperation, type Outcome, showOperation } from '../../rest/operations.ts'
import { listed } from '../../rest/paging.ts'
import type { Call, Router } from '../../rest/route.ts'
import { REGIONS, serviceKey } from '../../state/names.ts'
import type { Revision, Service, ServiceName } from '../../state/resources.ts'
import { readiness } from './conditions.ts'
import type { RunContext } from './deployer.ts'
import type { DesiredService } from './desired.ts'
import { type Located, mayList, noSuchLocation, runDenied, servicePolicyRoutes } from './located.ts'
import { noSuch, noSuchService, revisionsOf } from './lookup.ts'
import { fromV2 } from './v2/input.ts'
import { mergeMasked } from './v2/mask.ts'
import { type V2Service, v2Service } from './v2/messages.ts'
import { revisionToV2, toV2, v2Etag } from './v2/output.ts'
import { templateToV2 } from './v2/template-output.ts'

const SERVICES = '/v2/projects/{project}/locations/{location}/services'
const SERVICE = `${SERVICES}/{service}`
const REVISIONS = `${SERVICE}/revisions`
const LIST_LIMIT = 1000
const SERVICE_TYPE = 'type.googleapis.com/google.cloud.run.v2.Service'
const REVISION_TYPE = 'type.googleapis.com/google.cloud.run.v2.Revision'

export function runV2(routes: Router, google: RunContext): void {
  const access = v2Access(google)
  serviceRoutes(routes, google, access)
  revisionRoutes(routes, google, access)
  servicePolicyRoutes(routes, google, SERVICE)
}

type Access = ReturnType<typeof v2Access>

/** What a call means, where its caller may, and what is answered of a change. */
function v2Access({ state }: RunContext) {
  const { place } = state
  const locate = (call: Call): Located => {
    const [project, region] = [call.param('project'), call.param('location')]
    return { project: state.project(project), region, path: `projects/${project}/locations/${region}` }
  }
  const nameOf = (call: Call, name: string): ServiceName => {
    const { project, region } = locate(call)
    return { project: project?.projectId ?? '', region, name }
  }
  const serviceFor = (call: Call, permission: Permission): Service => {
    const { project, path } = locate(call)
    const name = nameOf(call, call.param('service'))
    const service = state.services.get(serviceKey(name))
    return call.require(permission, {
      resource: service,
      policies: service ? servicePolicies(state, service) : projectPolicies(project),
      refusal: () => runDenied(permission, `${path}/services/${name.name}`),
      missing: () => noSuchService(name),
    })
  }
  const revisionFor = (call: Call, permission: Permission): Revision => {
    const { project, path } = locate(call)
    const name = nameOf(call, call.param('revision'))
    const service = call.param('service')
    const revision = state.revisions.get(serviceKey(name))
    return call.require(permission, {
      resource: service === '-' || revision?.service === service ? revision : undefined,
      policies: projectPolicies(project),
      refusal: () => runDenied(permission, `${path}/services/${service}/revisions/${name.name}`),
      missing: () => noSuch('REVISION', name),
    })
  }
  /** An operation over a resource that has ended, kept unless it was only a rehearsal. */
  const operation = (call: Call, type: string, resource: object, error?: ApiError) => {
    const { region } = locate(call)
    const name = `projects/${place.projectId}/locations/${region}/operations/${randomUUID()}`
    const typed = { '@type': type, ...resource }
    const outcome: Outcome = error ? { error } : { response: typed }
    if (validateOnly(call)) return { name, metadata: typed, done: true, response: typed }
    return showOperation(keepOperation(state, name, outcome, typed))
  }
  const deployed = (call: Call, service: Service) => {
    const ready = readiness(service)
    // Inferred code; the sentence is the condition's.
    const error =
      ready?.status === 'False' ? new ApiError('FAILED_PRECONDITION', ready.message ?? '') : undefined
    return operation(call, SERVICE_TYPE, toV2(service, place), error)
  }
  return { locate, nameOf, serviceFor, revisionFor, operation, deployed }
}

function serviceRoutes(routes: Router, { state, deployer }: RunContext, access: Access): void {
  const { locate, nameOf, serviceFor, operation, deployed } = access
  const { place } = state
  const create = async (call: Call, document: V2Service, name: ServiceName) => {
    const { project, region, path } = locate(call)
    if (!REGIONS.includes(region)) throw noSuchLocation(region)
    call.authorise('run.services.create', projectPolicies(project), () =>
      runDenied('run.services.create', `${path}/services/${name.name}`),
    )
    const spelling = { version: 'v2', request: 'CreateServiceRequest' } as const
    const service = await deployer.deploy({
      desired: fromV2(document, name, place, spelling),
      mode: 'create',
      caller: call.caller,
      spelling,
      dryRun: validateOnly(call),
    })
    return deployed(call, service)
  }

  routes.get(SERVICES, (call) => {
    const located = locate(call)
    mayList(call, located, 'run.services.list')
    const own = state.services.list().filter(isIn(located))
    return listed('services', call, own, { limit: LIST_LIMIT, show: (service) => toV2(service, place) })
  })
  routes.get(SERVICE, (call) => toV2(serviceFor(call, 'run.services.get'), place))
  routes.post(SERVICES, async (call) => {
    const document = await call.body(v2Service, 'service')
    const id = call.query('serviceId')
    // Inferred wording.
    if (id === undefined) throw invalid('Violation in CreateServiceRequest.service_id: must not be empty.')
    return create(call, document, nameOf(call, id))
  })
  routes.patch(SERVICE, async (call) => {
    const document = await call.body(v2Service, 'service')
    const name = nameOf(call, call.param('service'))
    if (call.query('allowMissing') === 'true' && !state.services.has(serviceKey(name))) {
      return create(call, document, name)
    }
    const service = serviceFor(call, 'run.services.update')
    const mask = call.query('updateMask')
    const merged =
      mask === undefined
        ? document
        : checkMessage(v2Service, mergeMasked(v2Service, toV2(service, place), document, mask), 'service')
    const spelling = { version: 'v2', request: 'UpdateServiceRequest' } as const
    const desired = unlessShownAlike(fromV2(merged, service, place, spelling, service), service)
    const forced = call.query('forceNewRevision') === 'true'
    const after = await deployer.deploy({
      desired: forced ? withNonce(desired) : desired,
      mode: 'replace',
      ...expectation(service, document.etag),
      caller: call.caller,
      spelling,
      dryRun: validateOnly(call),
    })
    return deployed(call, after)
  })
  routes.delete(SERVICE, async (call) => {
    const service = serviceFor(call, 'run.services.delete')
    const { expectedVersion } = expectation(service, call.query('etag'))
    if (!validateOnly(call)) await deployer.delete(service, expectedVersion)
    return operation(call, SERVICE_TYPE, { ...toV2(service, place), deleteTime: state.timestamp() })
  })
}

function revisionRoutes(routes: Router, { state, deployer }: RunContext, access: Access): void {
  const { locate, nameOf, revisionFor, operation } = access
  routes.get(REVISIONS, (call) => {
    const located = locate(call)
    mayList(call, located, 'run.revisions.list')
    const name = nameOf(call, call.param('service'))
    const own =
      name.name === '-'
        ? state.revisions
            .list()
            .filter(({ project, region }) => project === name.project && region === name.region)
        : revisionsOf(state, name)
    return listed('revisions', call, own.toReversed(), { limit: LIST_LIMIT, show: revisionToV2 })
  })
  routes.get(`${REVISIONS}/{revision}`, (call) => revisionToV2(revisionFor(call, 'run.revisions.get')))
  routes.delete(`${REVISIONS}/{revision}`, async (call) => {
    const revision = revisionFor(call, 'run.revisions.delete')
    if (!validateOnly(call)) await deployer.deleteRevision(revision)
    return operation(call, REVISION_TYPE, { ...revisionToV2(revision), deleteTime: state.timestamp() })
  })
}

function isIn({ project, region }: Located) {
  return (service: Service) =>
    service.project === project?.projectId && (region === '-' || service.region === region)
}

function validateOnly(call: Call): boolean {
  return call.query('validateOnly') === 'true'
}

/** An etag that a client sends back stands for the version it has read. */
function expectation(service: Service, etag: string | undefined): { readonly expectedVersion?: string } {
  if (!etag) return {}
  return { expectedVersion: etag === v2Etag(service) ? service.resourceVersion : etag.replaceAll('"', '') }
}

/** A template that looks in v2 as the one before is that one, with all that v2 does not show. */
function unlessShownAlike(desired: DesiredService, { template }: Service): DesiredService {
  return isDeepStrictEqual(templateToV2(desired.template), templateToV2(template))
    ? { ...desired, template }
    : desired
}

/** Another revision of the same template: the label is what gcloud tells two of them apart by. */
function withNonce<T extends { readonly template: Revision['template'] }>(desired: T): T {
  const { template } = desired
  const labels = { ...template.labels, 'client.knative.dev/nonce': randomUUID().slice(0, 8) }
  return { ...desired, template: { ...template, labels } }
}
