/** Cloud Resource Manager API v1: projects and their policies. */
import type { Policy } from '../../iam/policy.ts'
import type { Permission } from '../../iam/roles.ts'
import { holds, projectPolicies } from '../../rest/caller.ts'
import { denied, errorInfo } from '../../rest/errors.ts'
import type { Google } from '../../rest/google.ts'
import { page } from '../../rest/paging.ts'
import {
  getPolicyMessage,
  setPolicy,
  setPolicyMessage,
  showPolicy,
  testPermissions,
  testPermissionsMessage,
} from '../../rest/policies.ts'
import type { Call, Router } from '../../rest/route.ts'
import type { Project } from '../../state/resources.ts'

const LIST_LIMIT = 500
const PROJECT = '/v1/projects/{project}'

export function cloudResourceManager(routes: Router, { state, random }: Google): void {
  const projectFor = (call: Call, permission: Permission): Project => {
    const name = call.param('project')
    const project = state.project(name)
    call.authorise(permission, projectPolicies(project), () => refusal(permission, name))
    // A project that does not exist and one that is not shown are the same to a caller.
    if (!project) throw refusal(permission, name)
    return project
  }

  routes.get(PROJECT, (call) => showProject(projectFor(call, 'resourcemanager.projects.get')))
  routes.get('/v1/projects', (call) => {
    const visible = state.projects
      .list()
      .filter((project) =>
        holds(state, call.caller, 'resourcemanager.projects.get', projectPolicies(project)),
      )
    const { items, nextPageToken } = page(visible, call, LIST_LIMIT)
    return {
      ...(items.length ? { projects: items.map(showProject) } : {}),
      ...(nextPageToken ? { nextPageToken } : {}),
    }
  })
  routes.post(`${PROJECT}:getIamPolicy`, async (call) => {
    const { options } = await call.body(getPolicyMessage)
    const { policy } = projectFor(call, 'resourcemanager.projects.getIamPolicy')
    return showPolicy(policy, options?.requestedPolicyVersion)
  })
  routes.post(`${PROJECT}:setIamPolicy`, async (call) => {
    const request = await call.body(setPolicyMessage)
    const project = () => projectFor(call, 'resourcemanager.projects.setIamPolicy')
    const holder = {
      kind: 'project',
      current: () => project().policy,
      put: (policy: Policy) => {
        const current = project()
        state.projects.put(current.projectId, { ...current, policy })
      },
    } as const
    return setPolicy(state, random, holder, request)
  })
  routes.post(`${PROJECT}:testIamPermissions`, async (call) => {
    const request = await call.body(testPermissionsMessage)
    return testPermissions(state, call.caller, projectPolicies(state.project(call.param('project'))), request)
  })
}

function showProject({ projectId, projectNumber, name, createTime }: Project) {
  return { projectNumber, projectId, lifecycleState: 'ACTIVE', name, createTime }
}

/** Inferred: v1's own sentences, with the detail that Google adds to every IAM refusal. */
function refusal(permission: Permission, project: string) {
  const message =
    permission === 'resourcemanager.projects.setIamPolicy'
      ? 'Policy update access denied.'
      : 'The caller does not have permission'
  return denied(message, [
    errorInfo('IAM_PERMISSION_DENIED', 'cloudresourcemanager.googleapis.com', {
      permission,
      resource: `projects/${project}`,
    }),
  ])
}
