import { beforeEach, describe, expect, test } from 'bun:test'
import { NUMBER, OWNER, openWorld, PROJECT, type World } from '../products.fixture.ts'

const PATH = `/v1/projects/${PROJECT}`
let world: World
beforeEach(async () => {
  world = await openWorld()
})

describe('Cloud Resource Manager', () => {
  test('facts gcloud 3: a project by id and by number', async () => {
    const { body } = await world.get(PATH)
    expect(body).toMatchObject({ projectId: PROJECT, projectNumber: NUMBER, lifecycleState: 'ACTIVE' })
    expect((await world.get(`/v1/projects/${NUMBER}`)).body).toEqual(body)
    expect((await world.get('/v1/projects')).body.projects).toEqual([body])
  })

  test('a project that is not there and one that is not shown are answered alike', async () => {
    const stranger = world.token('user:stranger@example.com')
    for (const { status, body } of [
      await world.get('/v1/projects/nope-123'),
      await world.get(PATH, stranger),
    ]) {
      expect([status, body.error.message]).toEqual([403, 'The caller does not have permission'])
    }
    expect((await world.get('/v1/projects', stranger)).body).toEqual({})
  })

  test('facts gcloud 3: a binding is added by read and write; its holder may then', async () => {
    const viewer = world.token('user:viewer@example.com')
    const { body } = await world.post(`${PATH}:getIamPolicy`, { options: { requestedPolicyVersion: 3 } })
    const bindings = [...body.bindings, { role: 'roles/viewer', members: ['user:viewer@example.com'] }]
    const set = await world.post(`${PATH}:setIamPolicy`, { policy: { ...body, version: 3, bindings } })
    expect(set.status).toBe(200)
    expect((await world.get(PATH, viewer)).status).toBe(200)
    const refused = await world.post(`${PATH}:setIamPolicy`, { policy: {} }, viewer)
    expect([refused.status, refused.body.error.message]).toEqual([403, 'Policy update access denied.'])
    const held = await world.post(
      `${PATH}:testIamPermissions`,
      { permissions: ['resourcemanager.projects.get', 'run.services.create'] },
      viewer,
    )
    expect(held.body).toEqual({ permissions: ['resourcemanager.projects.get'] })
  })
})

describe('Cloud Resource Manager v3', () => {
  const V3 = `/v3/projects/${PROJECT}`

  test('a project, by id and by number, and by searching', async () => {
    const { body } = await world.get(V3)
    expect(body).toMatchObject({ name: `projects/${NUMBER}`, projectId: PROJECT, state: 'ACTIVE' })
    expect((await world.get(`/v3/projects/${NUMBER}`)).body).toEqual(body)
    for (const query of ['', `id:${PROJECT}`, 'projectId=demo-* AND state:ACTIVE'])
      expect(
        (await world.get(`/v3/projects:search?query=${encodeURIComponent(query)}`)).body.projects,
      ).toEqual([body])
    expect((await world.get('/v3/projects:search?query=id:other')).body).toEqual({})
    expect((await world.get('/v3/projects:search?query=labels.a:b')).status).toBe(400)
    const stranger = world.token('user:stranger@example.com')
    expect((await world.get('/v3/projects:search', stranger)).body).toEqual({})
    expect((await world.get(V3, stranger)).status).toBe(403)
  })

  test('its policy is the one that v1 shows', async () => {
    const v1 = await world.post(`${PATH}:getIamPolicy`)
    expect((await world.post(`${V3}:getIamPolicy`)).body).toEqual(v1.body)
    const bindings = [...v1.body.bindings, { role: 'roles/viewer', members: ['user:viewer@example.com'] }]
    expect((await world.post(`${V3}:setIamPolicy`, { policy: { ...v1.body, bindings } })).status).toBe(200)
    expect((await world.post(`${PATH}:getIamPolicy`)).body.bindings).toEqual(bindings)
    const permissions = ['resourcemanager.projects.get']
    expect((await world.post(`${V3}:testIamPermissions`, { permissions })).body).toEqual({ permissions })
  })
})

describe('Service Usage', () => {
  test('facts gcloud 3: enabling is an operation that is done at once, and can be read again', async () => {
    const name = 'artifactregistry.googleapis.com'
    expect((await world.get(`${PATH}/services/${name}`)).body.state).toBe('DISABLED')
    const { body } = await world.post(`${PATH}/services/${name}:enable`)
    expect(body).toMatchObject({ done: true, response: { service: { state: 'ENABLED' } } })
    expect((await world.get(`/v1/${body.name}`)).body).toEqual(body)
    expect((await world.get(`${PATH}/services/${name}`)).body).toMatchObject({
      name: `projects/${NUMBER}/services/${name}`,
      state: 'ENABLED',
    })
    expect((await world.get('/v1/operations/nope')).status).toBe(404)
  })

  test('several are enabled at once, and listed by state', async () => {
    const serviceIds = ['pubsub.googleapis.com', 'sqladmin.googleapis.com']
    expect((await world.post(`${PATH}/services:batchEnable`, { serviceIds })).body.done).toBe(true)
    const listed = (await world.get(`${PATH}/services?filter=state:ENABLED`)).body.services
    const names = listed.map(({ config }: { config: { name: string } }) => config.name)
    expect(names).toEqual(expect.arrayContaining([...serviceIds, 'run.googleapis.com']))
    expect((await world.post(`${PATH}/services:batchEnable`, { serviceIds: [] })).status).toBe(400)
    const nonsense = await world.post(`${PATH}/services/nonsense:enable`)
    expect([nonsense.status, nonsense.body.error.message]).toEqual([
      403,
      'Not found or permission denied for service(s): nonsense.',
    ])
  })

  test('what is off cannot be turned off', async () => {
    const service = `${PATH}/services/logging.googleapis.com`
    expect((await world.post(`${service}:disable`)).status).toBe(200)
    const { status, body } = await world.post(`${service}:disable`)
    expect([status, body.error.status]).toEqual([400, 'FAILED_PRECONDITION'])
    expect(body.error.message).toContain('logging.googleapis.com is not enabled')
  })

  test('whoever may not is told so', async () => {
    const stranger = world.token('user:stranger@example.com')
    const { status, body } = await world.post(`${PATH}/services/run.googleapis.com:enable`, {}, stranger)
    expect(status).toBe(403)
    expect(body.error.message).toBe('Permission denied to enable service [run.googleapis.com]')
  })
})

describe('Compute Engine', () => {
  test('facts gcloud 3: a region is there or it is not', async () => {
    const regions = `/compute/v1/projects/${PROJECT}/regions`
    expect((await world.get(`${regions}/us-central1`)).body).toMatchObject({
      name: 'us-central1',
      status: 'UP',
    })
    const { status, body } = await world.get(`${regions}/mars-north1`)
    expect(status).toBe(404)
    expect(body.error.message).toBe(`The resource 'projects/${PROJECT}/regions/mars-north1' was not found`)
    expect((await world.get(regions)).body.items.length).toBeGreaterThan(10)
  })
})

describe('Cloud Logging', () => {
  const FILTER =
    'resource.type = cloud_run_revision \n AND resource.labels.service_name = receiver \n AND resource.labels.location = us-central1 \n AND severity >= DEFAULT \n'
  const add = (
    service: string,
    revision: string,
    textPayload: string,
    severity: 'DEFAULT' | 'ERROR' = 'DEFAULT',
  ) => {
    world.pass(1000)
    world.state.logs.add({
      timestamp: world.state.timestamp(),
      severity,
      log: 'run.googleapis.com/stdout',
      instance: { service: { project: PROJECT, region: 'us-central1', name: service }, revision },
      textPayload,
    })
  }
  const read = (request: object) =>
    world.post('/v2/entries:list', { resourceNames: [`projects/${PROJECT}`], ...request })
  const texts = (body: { entries?: { textPayload: string }[] }) =>
    (body.entries ?? []).map(({ textPayload }) => textPayload)

  test('facts gcloud 3: gcloud’s filter finds the lines of one service, newest first', async () => {
    add('receiver', 'receiver-00001-abc', 'one')
    add('sender', 'sender-00001-abc', 'other')
    add('receiver', 'receiver-00001-abc', 'two "quoted"', 'ERROR')
    const { body } = await read({ filter: FILTER, orderBy: 'timestamp desc' })
    expect(texts(body)).toEqual(['two "quoted"', 'one'])
    expect(body.entries[0]).toMatchObject({
      logName: `projects/${PROJECT}/logs/run.googleapis.com%2Fstdout`,
      severity: 'ERROR',
      resource: { type: 'cloud_run_revision', labels: { revision_name: 'receiver-00001-abc' } },
    })
    expect(texts((await read({ filter: 'severity>=ERROR' })).body)).toEqual(['two "quoted"'])
    expect(texts((await read({ filter: 'textPayload:"\\"QUOTED"' })).body)).toEqual(['two "quoted"'])
    expect(
      texts((await read({ filter: 'timestamp>="2026-01-01T00:00:02Z" textPayload!="one"' })).body),
    ).toHaveLength(2)
    const first = (await read({ pageSize: 2 })).body
    expect(texts(first)).toHaveLength(2)
    expect(texts((await read({ pageSize: 2, pageToken: first.nextPageToken })).body)).toHaveLength(1)
  })

  test('a filter that is not understood is refused, never ignored', async () => {
    expect((await read({ filter: 'SEARCH(textPayload, "a")' })).status).toBe(400)
    expect((await read({ filter: '(' })).status).toBe(400)
  })

  test('what a program writes is read again, beside what services logged', async () => {
    add('receiver', 'receiver-00001-abc', 'one')
    const resource = { type: 'global', labels: { project_id: PROJECT } }
    const logName = `projects/${PROJECT}/logs/my%2Flog`
    const write = (entries: object[], token?: string) =>
      world.post('/v2/entries:write', { logName, resource, labels: { a: 'b' }, entries }, token)
    expect(
      (await write([{ textPayload: 'two', severity: 'ERROR' }, { jsonPayload: { c: 3 } }])).body,
    ).toEqual({})
    const { entries } = (await read({ filter: 'resource.type=global' })).body
    expect(entries).toMatchObject([
      { logName, resource, labels: { a: 'b' }, severity: 'ERROR', textPayload: 'two' },
      { logName, jsonPayload: { c: 3 }, severity: 'DEFAULT' },
    ])
    expect(texts((await read({ filter: 'severity=ERROR' })).body)).toEqual(['two'])
    const refused = await write([{ textPayload: 'x' }, { severity: 'LOUD' }])
    expect([refused.status, (await read({ filter: 'textPayload=x' })).body]).toEqual([400, {}])
    expect((await write([{ textPayload: 'x' }], world.token('user:x@y.z'))).status).toBe(403)
  })

  test('only who may read logs does', async () => {
    const request = { resourceNames: [`projects/${PROJECT}`] }
    expect((await world.post('/v2/entries:list', request, world.token('user:x@y.z'))).status).toBe(403)
    expect((await world.post('/v2/entries:list', request, world.token(`user:${OWNER}`))).status).toBe(200)
  })
})
