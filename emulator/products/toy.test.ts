/** A Google API that does not exist, added as any other would be: one declaration, and one line in the table. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { addedRoles, apisOf, collectionsOf, endpointOverrides } from '../catalogue/apis.ts'
import { aliasesOf } from '../catalogue/hosts.ts'
import { type Emulator, startEmulator } from '../emulator.ts'
import { addedPermission } from '../iam/roles.ts'
import { projectPolicies } from '../rest/caller.ts'
import { denied } from '../rest/errors.ts'
import { message, text } from '../rest/messages.ts'
import { listed } from '../rest/paging.ts'
import type { RestProduct } from '../rest/product.ts'
import type { CollectionDeclaration } from '../state/collection.ts'
import { catalogue } from './catalogue.ts'
import { apisPage } from './page.ts'
import { openWorld, RecordingRuntime } from './products.fixture.ts'
import { createProducts } from './products.ts'

interface Toy {
  readonly name: string
}

const CREATE = addedPermission('toy.things.create')
const LIST = addedPermission('toy.things.list')
const toys: CollectionDeclaration<Toy> = { name: 'toys', survivesReset: false, survivesRestart: true }
const toyMessage = message({ name: text })

const toy: RestProduct = {
  name: 'toy',
  api: { name: 'toy.googleapis.com', title: 'Toy API', enabled: 'on request' },
  hosts: ['toy.googleapis.com'],
  endpointOverrides: ['TOY'],
  serves: ['things'],
  leavesOut: ['batteries'],
  permissions: [CREATE, LIST],
  roles: {
    'roles/toy.viewer': { title: 'Toy Viewer', permissions: [LIST] },
    // What one of Google's own roles holds of it.
    'roles/owner': { title: 'Owner', permissions: [CREATE, LIST] },
  },
  collections: [toys],
  async serve({ routes, state }) {
    const kept = state.store.collection(toys)
    const path = '/v1/projects/{project}/things'
    routes.post(path, async (call) => {
      const { name = '' } = await call.body(toyMessage)
      const project = state.project(call.param('project'))
      call.authorise(CREATE, projectPolicies(project), () => denied(`Permission '${CREATE}' denied.`))
      kept.put(name, { name })
      return { name }
    })
    routes.get(path, (call) => {
      const project = state.project(call.param('project'))
      call.authorise(LIST, projectPolicies(project), () => denied(`Permission '${LIST}' denied.`))
      return listed('things', call, kept.list(), { limit: 10, show: (kind) => kind })
    })
    return {}
  },
}

const everything = [...catalogue, toy]
const PROJECT = 'demo-project'
const THINGS = `http://toy.googleapis.com/v1/projects/${PROJECT}/things`

describe('a product that is added by its declaration', () => {
  let emulator: Emulator
  beforeAll(async () => {
    emulator = await startEmulator({ port: 0 }, { catalogue: everything })
  })
  afterAll(() => emulator.close())

  const owner = () => tokenOf('user:developer@example.com')
  const reader = () => tokenOf('user:reader@example.com')

  test('is found by its host, and has to be enabled', async () => {
    const off = await ask('GET', THINGS, owner())
    expect(off.status).toBe(403)
    expect(off.body.error.message).toStartWith(`Toy API has not been used in project ${PROJECT} before`)
    const usage = `http://serviceusage.googleapis.com/v1/projects/${PROJECT}/services`
    const on = await ask('POST', `${usage}/toy.googleapis.com:enable`, owner(), {})
    expect(on.body.response.service).toMatchObject({ config: { title: 'Toy API' }, state: 'ENABLED' })
    expect((await ask('GET', THINGS, owner())).status).toBe(200)
  })

  test('is authorised by its own permission, which its own role and one of Google’s hold', async () => {
    expect((await ask('POST', THINGS, owner(), { name: 'ball' })).body).toEqual({ name: 'ball' })
    expect((await ask('GET', THINGS, reader())).body.error.message).toBe(
      "Permission 'toy.things.list' denied.",
    )
    await grant('roles/toy.viewer', 'user:reader@example.com')
    expect((await ask('GET', THINGS, reader())).body).toEqual({ things: [{ name: 'ball' }] })
    expect((await ask('POST', THINGS, reader(), { name: 'kite' })).status).toBe(403)
    const project = `http://cloudresourcemanager.googleapis.com/v1/projects/${PROJECT}`
    const held = await ask('POST', `${project}:testIamPermissions`, reader(), { permissions: [CREATE, LIST] })
    expect(held.body).toEqual({ permissions: [LIST] })
  })

  test('answers under its own name and the emulator’s, and says what it does not serve', async () => {
    const path = `/v1/projects/${PROJECT}/things`
    expect((await ask('GET', `${emulator.url}${path}`, owner())).status).toBe(200)
    expect((await ask('GET', `http://run.googleapis.com${path}`, owner())).status).toBe(400)
    expect((await ask('GET', 'http://toy.googleapis.com/v1/batteries', owner())).body.error).toMatchObject({
      status: 'UNIMPLEMENTED',
      message:
        'The emulator does not serve GET /v1/batteries of toy.googleapis.com; of the Toy API it serves things.',
    })
  })

  test('loses what it keeps with a reset, as it says', async () => {
    await fetch(`${emulator.url}/_emulator/reset`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    })
    expect(emulator.state.store.collection(toys).size).toBe(0)
  })

  function tokenOf(member: string): string {
    return emulator.state.issueAccessToken({ member, scopes: [] }).token
  }

  /** As a program does whose proxy the emulator is. */
  async function ask(method: string, url: string, token: string, body?: object) {
    const response = await fetch(url, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
      proxy: url.startsWith(emulator.url) ? '' : emulator.url,
    })
    // biome-ignore lint/suspicious/noExplicitAny: a test reads any part of an answer, and fails where it is not there
    const answer: any = await response.json()
    return { status: response.status, body: answer }
  }

  async function grant(role: string, member: string): Promise<void> {
    const project = `http://cloudresourcemanager.googleapis.com/v1/projects/${PROJECT}`
    const { body: policy } = await ask('POST', `${project}:getIamPolicy`, owner(), {})
    const bindings = [...policy.bindings, { role, members: [member] }]
    const set = await ask('POST', `${project}:setIamPolicy`, owner(), { policy: { ...policy, bindings } })
    expect(set.status).toBe(200)
  }
})

test('every list that is derived has it', () => {
  expect(aliasesOf(everything, [])).toContain('toy.googleapis.com')
  expect(apisOf(everything).get('toy.googleapis.com')?.title).toBe('Toy API')
  expect(endpointOverrides(everything).direct).toContain('TOY')
  expect(addedRoles(everything).get('roles/toy.viewer')?.permissions).toEqual(new Set([LIST]))
  expect(collectionsOf(everything)).toContain(toys)
})

test('the page of what is served has it', async () => {
  const { state } = await openWorld()
  const { routes } = await createProducts({ catalogue: everything, state, runtime: new RecordingRuntime() })
  const page = apisPage(everything, routes)
  expect(page).toContain('| `POST`, `GET` | `/v1/projects/{project}/things` |')
  expect(page).toContain('- batteries')
})
