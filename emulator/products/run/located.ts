/** What both versions of the Cloud Run API share: places, refusals, and the policies of services. */
import type { Permission } from '../../iam/roles.ts'
import { projectPolicies, servicePolicies } from '../../rest/caller.ts'
import { type ApiError, denied, errorInfo } from '../../rest/errors.ts'
import type { Google } from '../../rest/google.ts'
import {
  getPolicyMessage,
  requestedVersion,
  setPolicy,
  setPolicyMessage,
  showPolicy,
  testPermissions,
  testPermissionsMessage,
} from '../../rest/policies.ts'
import type { Call, Router } from '../../rest/route.ts'
import { REGIONS, serviceKey } from '../../state/names.ts'
import type { Services } from '../../state/parts.ts'
import type { Project, Service, ServiceName } from '../../state/resources.ts'
import { noSuchService } from './lookup.ts'

/** Where a request's resources are; `path` is the parent as a refusal names it. */
export interface Located {
  readonly project: Project | undefined
  readonly region: string
  readonly path: string
}

/** facts 6.9. */
export function runDenied(permission: Permission, resource: string): ApiError {
  return denied(`Permission '${permission}' denied on resource '${resource}' (or resource may not exist).`)
}

export function mayList(call: Call, { project, region, path }: Located, permission: Permission): void {
  if (region !== '-' && !REGIONS.includes(region)) throw noSuchLocation(region)
  call.authorise(permission, projectPolicies(project), () => runDenied(permission, path))
}

/** Inferred: what Google's regional APIs say. */
export function noSuchLocation(region: string): ApiError {
  return denied(`Permission denied on 'locations/${region}' (or it may not exist).`, [
    errorInfo('LOCATION_ACCESS_DENIED', 'googleapis.com', { location: `locations/${region}` }),
  ])
}

/** `getIamPolicy`, `setIamPolicy` and `testIamPermissions` of a service, at either version's path. */
export function servicePolicyRoutes(routes: Router, google: Google<Services>, template: string): void {
  const { state, random } = google

  const find = (call: Call) => {
    const [project, region, name] = [call.param('project'), call.param('location'), call.param('service')]
    const known = state.project(project)
    const at: ServiceName = { project: known?.projectId ?? project, region, name }
    const service = state.services.get(serviceKey(at))
    return { at, service, path: `projects/${project}/locations/${region}/services/${name}`, project: known }
  }
  const require = (call: Call, permission: Permission): Service => {
    const { at, service, path, project } = find(call)
    const policies = service ? servicePolicies(state, service) : projectPolicies(project)
    call.authorise(permission, policies, () => runDenied(permission, path))
    if (!service) throw noSuchService(at)
    return service
  }

  routes.get(`${template}:getIamPolicy`, (call) => {
    const { policy } = require(call, 'run.services.getIamPolicy')
    return showPolicy(policy, requestedVersion(call.query('options.requestedPolicyVersion')))
  })
  routes.post(`${template}:getIamPolicy`, async (call) => {
    const { options } = await call.body(getPolicyMessage)
    const { policy } = require(call, 'run.services.getIamPolicy')
    return showPolicy(policy, options?.requestedPolicyVersion)
  })
  routes.post(`${template}:setIamPolicy`, async (call) => {
    const request = await call.body(setPolicyMessage)
    const key = serviceKey(require(call, 'run.services.setIamPolicy'))
    const service = () => require(call, 'run.services.setIamPolicy')
    const holder = {
      kind: 'service',
      current: () => service().policy,
      put: (policy: Service['policy']) => state.services.put(key, { ...service(), policy }),
    } as const
    return setPolicy(state, random, holder, request)
  })
  routes.post(`${template}:testIamPermissions`, async (call) => {
    const request = await call.body(testPermissionsMessage)
    const { service, project } = find(call)
    // Inferred: asking about what does not exist tells no more than asking about the project.
    const policies = service ? servicePolicies(state, service) : projectPolicies(project)
    return testPermissions(state, call.caller, policies, request)
  })
}
