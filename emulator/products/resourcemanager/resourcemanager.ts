/** Cloud Resource Manager API, v1 and v3: projects and their policies. */
import type { Permission } from '../../iam/roles.ts'
import { holds, projectPolicies } from '../../rest/caller.ts'
import { denied, errorInfo, invalid } from '../../rest/errors.ts'
import type { Google } from '../../rest/google.ts'
import { listed } from '../../rest/paging.ts'
import { policyRoutes } from '../../rest/policies.ts'
import type { Call, Router } from '../../rest/route.ts'
import type { Projects } from '../../state/parts.ts'
import type { Project } from '../../state/resources.ts'

const LIST_LIMIT = 500
const PROJECT = '/v1/projects/{project}'
const PROJECT_V3 = '/v3/projects/{project}'

export function cloudResourceManager(routes: Router, google: Google<Projects>): void {
  const { state } = google
  // A project that does not exist and one that is not shown are the same to a caller.
  const projectFor = (call: Call, permission: Permission): Project =>
    call.project(permission, () => refusal(permission, call.param('project')))

  routes.get(PROJECT, (call) => showProject(projectFor(call, 'resourcemanager.projects.get')))
  const visible = (call: Call): readonly Project[] =>
    state.projects
      .list()
      .filter((project) =>
        holds(state, call.caller, 'resourcemanager.projects.get', projectPolicies(project)),
      )
  routes.get('/v1/projects', (call) =>
    listed('projects', call, visible(call), { limit: LIST_LIMIT, show: showProject }),
  )
  routes.get(PROJECT_V3, (call) => showProjectV3(projectFor(call, 'resourcemanager.projects.get')))
  routes.get('/v3/projects:search', (call) => {
    const found = visible(call).filter(projectQuery(call.query('query') ?? ''))
    return listed('projects', call, found, { limit: LIST_LIMIT, show: showProjectV3 })
  })
  for (const template of [PROJECT, PROJECT_V3])
    policyRoutes<Project>(routes, google, template, {
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

/** v3's reference. What carries the project's policy has the policy's etag: inferred. */
function showProjectV3({ projectId, projectNumber, name, createTime, policy }: Project) {
  return {
    name: `projects/${projectNumber}`,
    projectId,
    state: 'ACTIVE',
    displayName: name,
    createTime,
    updateTime: createTime,
    etag: policy.etag,
  }
}

/** `projects.search`: terms that all have to hold, `*` at the end standing for any rest. Others are refused by name. */
function projectQuery(query: string): (project: Project) => boolean {
  const terms = query.split(/\s+(?:AND\s+)?/).filter((term) => term !== '')
  const tests = terms.map((term) => {
    const [, field, value = ''] = /^(id|projectId|name|displayName|state)[:=]"?([^"]*)"?$/.exec(term) ?? []
    if (field === undefined)
      throw invalid(
        `query: the emulator finds projects by id, displayName and state, such as id:my-project; got ${JSON.stringify(term)}.`,
      )
    return ({ projectId, name }: Project) => {
      const shown = field === 'state' ? 'ACTIVE' : /^(?:id|projectId)$/.test(field) ? projectId : name
      const [has, wanted] = [shown.toLowerCase(), value.toLowerCase()]
      return wanted.endsWith('*') ? has.startsWith(wanted.slice(0, -1)) : has === wanted
    }
  })
  return (project) => tests.every((holds) => holds(project))
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
