/** What both versions of the Cloud Run API share: places, refusals, and the policies of services. */
import type { Permission } from '../../iam/roles.ts'
import { projectPolicies, servicePolicies } from '../../rest/caller.ts'
import { type ApiError, denied, errorInfo } from '../../rest/errors.ts'
import type { Google } from '../../rest/google.ts'
import { policyRoutes } from '../../rest/policies.ts'
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
  const { state } = google
  const at = (call: Call) => {
    const [project, region, name] = [call.param('project'), call.param('location'), call.param('service')]
    const known = state.project(project)
    const serviceName: ServiceName = { project: known?.projectId ?? project, region, name }
    const service = state.services.get(serviceKey(serviceName))
    return {
      serviceName,
      service,
      path: `projects/${project}/locations/${region}/services/${name}`,
      // Inferred: asking about what does not exist tells no more than asking about the project.
      policies: service ? servicePolicies(state, service) : projectPolicies(known),
    }
  }
  policyRoutes<Service>(routes, google, template, {
    kind: 'service',
    permissions: { get: 'run.services.getIamPolicy', set: 'run.services.setIamPolicy' },
    readBy: ['GET', 'POST'],
    find(call, permission) {
      const { serviceName, service, path, policies } = at(call)
      return call.require(permission, {
        resource: service,
        policies,
        refusal: () => runDenied(permission, path),
        missing: () => noSuchService(serviceName),
      })
    },
    put: (service, policy) => state.services.put(serviceKey(service), { ...service, policy }),
    policies: (call) => at(call).policies,
  })
}
