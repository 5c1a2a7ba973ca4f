/** Operations of the Cloud Run APIs. Whatever is asked here has ended already: waiting for it is reading it. */

import type { Permission } from '../../iam/roles.ts'
import { projectPolicies } from '../../rest/caller.ts'
import type { Google } from '../../rest/google.ts'
import { message, text } from '../../rest/messages.ts'
import { operationAt, showOperation } from '../../rest/operations.ts'
import { listed } from '../../rest/paging.ts'
import type { Call, Router } from '../../rest/route.ts'
import { runDenied } from './located.ts'

const waitMessage = message({ name: text, timeout: text })
const LIST_LIMIT = 100

export function runOperations(routes: Router, { state }: Google): void {
  const parentOf = (call: Call) => {
    const project = state.project(call.param('project'))
    return `projects/${project?.projectId ?? call.param('project')}/locations/${call.param('location')}`
  }
  const authorise = (call: Call, permission: Permission, path: string) =>
    call.authorise(permission, projectPolicies(state.project(call.param('project'))), () =>
      runDenied(permission, path),
    )
  const find = (call: Call, permission: Permission) => {
    const name = `${parentOf(call)}/operations/${call.param('operation')}`
    authorise(call, permission, name)
    return operationAt(state, name)
  }

  for (const version of ['v1', 'v2']) {
    const parent = `/${version}/projects/{project}/locations/{location}/operations`
    routes.get(`${parent}/{operation}`, (call) => showOperation(find(call, 'run.operations.get')))
    routes.post(`${parent}/{operation}:wait`, async (call) => {
      await call.body(waitMessage)
      return showOperation(find(call, 'run.operations.get'))
    })
    routes.delete(`${parent}/{operation}`, (call) => {
      state.operations.delete(find(call, 'run.operations.delete').name)
      return {}
    })
    routes.get(parent, (call) => {
      const prefix = `${parentOf(call)}/operations/`
      authorise(call, 'run.operations.list', parentOf(call))
      const own = state.operations.list().filter(({ name }) => name.startsWith(prefix))
      return listed('operations', call, own, { limit: LIST_LIMIT, show: showOperation })
    })
  }
}
