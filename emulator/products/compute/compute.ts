/** Compute Engine API v1: regions, which `gcloud config set compute/region` asks for (facts gcloud 3). */
import type { Permission } from '../../iam/roles.ts'
import { ApiError } from '../../rest/errors.ts'
import { page } from '../../rest/paging.ts'
import type { Call, Router } from '../../rest/route.ts'
import { REGIONS } from '../../state/names.ts'
import type { Project } from '../../state/resources.ts'

const REGIONS_PATH = '/compute/v1/projects/{project}/regions'
const ROOT = 'https://www.googleapis.com/compute/v1'
const LIST_LIMIT = 500

export function compute(routes: Router): void {
  const projectFor = (call: Call, permission: Permission, resource: string): Project => {
    // Inferred: Compute Engine's own wording, and its older error list.
    const refusal = () =>
      new ApiError('PERMISSION_DENIED', `Required '${permission}' permission for '${resource}'`, {
        reason: 'forbidden',
      })
    return call.project(permission, refusal)
  }

  routes.get(REGIONS_PATH, (call) => {
    const { projectId } = projectFor(call, 'compute.regions.list', `projects/${call.param('project')}`)
    const { items, nextPageToken } = page(REGIONS, call, LIST_LIMIT)
    return {
      kind: 'compute#regionList',
      id: `projects/${projectId}/regions`,
      items: items.map((region) => showRegion(projectId, region)),
      selfLink: `${ROOT}/projects/${projectId}/regions`,
      ...(nextPageToken ? { nextPageToken } : {}),
    }
  })
  routes.get(`${REGIONS_PATH}/{region}`, (call) => {
    const region = call.param('region')
    const resource = `projects/${call.param('project')}/regions/${region}`
    const { projectId } = projectFor(call, 'compute.regions.get', resource)
    if (!REGIONS.includes(region)) {
      throw new ApiError('NOT_FOUND', `The resource '${resource}' was not found`, { reason: 'notFound' })
    }
    return showRegion(projectId, region)
  })
}

function showRegion(project: string, region: string) {
  const url = `${ROOT}/projects/${project}`
  return {
    kind: 'compute#region',
    name: region,
    description: region,
    status: 'UP',
    zones: ['a', 'b', 'c'].map((letter) => `${url}/zones/${region}-${letter}`),
    selfLink: `${url}/regions/${region}`,
  }
}
