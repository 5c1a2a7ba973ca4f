/** Cloud Resource Manager API v1: projects and their policies. */
import type { Permission } from '../../iam/roles.ts'
import { holds, projectPolicies } from '../../rest/caller.ts'
import { denied, errorInfo } from '../../rest/errors.ts'
import type { Google } from '../../rest/google.ts'
import { listed } from '../../rest/paging.ts'
import { policyRoutes } from '../../rest/policies.ts'
import type { Call, Router } from '../../rest/route.ts'
import type { Projects } from '../../state/parts.ts'
import type { Project } from '../../state/resources.ts'

const LIST_LIMIT = 500
const PROJECT = '/v1/projects/{project}'

export function cloudResourceManager(routes: Router, google: Google<Projects>): void {
  const { state } = google
  // A project that does not exist and one that is not shown are the same to a caller.
  const projectFor = (call: Call, permission: Permission): Project =>
    call.project(permission, () => refusal(permission, call.param('project')))

  routes.get(PROJECT, (call) => showProject(projectFor(call, 'resourcemanager.projects.get')))
  routes.get('/v1/projects', (call) => {
    const visible = state.projects
      .list()
      .filter((project) =>
        holds(state, call.caller, 'resourcemanager.projects.get', projectPolicies(project)),
      )
    return listed('projects', call, visible, { limit: LIST_LIMIT, show: showProject })
  })
  policyRoutes<Project>(routes, google, PROJECT, {
    kind: 'project',
    permissions: {
      get: 'resourcemanager.projects.getIamPolicy',
      set: 'resourcemanager.projects.setIamPolicy',
    },
    readBy: ['POST'],
    find: projectFor,
    put: (project, policy) => state.projects.put(project.projectId, { ...project, policy }),
    policies: (call) => projectPolicies(state.project(call.param('project'))),
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
