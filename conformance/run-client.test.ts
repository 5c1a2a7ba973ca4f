/** Google's own client of Cloud Run, `@google-cloud/run` over REST, on the Admin API v2. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { protos, v2 } from '@google-cloud/run'
import { OAuth2Client } from 'google-auth-library'
import { signIn } from '../emulator/emulator.fixture.ts'
import { type Emulator, startEmulator } from '../emulator/emulator.ts'

setDefaultTimeout(20_000)

const PARENT = 'projects/demo-project/locations/us-central1'
const SERVICE = `${PARENT}/services/billing`
const MEMBER = 'user:somebody@example.com'
const { Condition, ExecutionEnvironment, TrafficTargetAllocationType } = protos.google.cloud.run.v2

const upstream = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('an invoice') })
let emulator: Emulator
let services: v2.ServicesClient
let revisions: v2.RevisionsClient

beforeAll(async () => {
  emulator = await startEmulator({ port: 0, upstream: { billing: upstream.url.href } })
  const { hostname, port } = new URL(emulator.url)
  const { accessToken } = await signIn(emulator.url)
  const authClient = new OAuth2Client()
  authClient.setCredentials({ access_token: accessToken })
  const options = {
    fallback: true,
    apiEndpoint: hostname,
    port: Number(port),
    protocol: 'http',
    authClient,
  }
  services = new v2.ServicesClient(options)
  revisions = new v2.RevisionsClient(options)
})

afterAll(async () => {
  await Promise.all([services.close(), revisions.close()])
  await emulator.close()
  await upstream.stop(true)
})

describe('a service', () => {
  test('is created by an operation that is waited for, and read again by its name', async () => {
    const [operation] = await services.createService({
      parent: PARENT,
      serviceId: 'billing',
      service: {
        template: {
          containers: [{ image: 'gcr.io/demo-project/billing', env: [{ name: 'A', value: '1' }] }],
          timeout: { seconds: 30 },
          executionEnvironment: ExecutionEnvironment.EXECUTION_ENVIRONMENT_GEN2,
        },
      },
    })
    const [made] = await operation.promise()
    expect(made.name).toBe(SERVICE)
    expect(made.uri).toBe('http://billing-123456789012.us-central1.run.app')
    expect(made.terminalCondition?.state).toBe(Condition.State.CONDITION_SUCCEEDED)

    // The operation is a resource: another client finds it by its name.
    const again = await services.checkCreateServiceProgress(operation.name ?? '')
    expect(again.done).toBe(true)
    expect(again.result).toEqual(made)

    const [read] = await services.getService({ name: SERVICE })
    expect(read).toMatchObject({
      name: SERVICE,
      uid: made.uid,
      etag: made.etag,
      terminalCondition: { type: 'Ready', state: 'CONDITION_SUCCEEDED' },
    })
    expect(read.template).toMatchObject({
      timeout: { seconds: '30', nanos: 0 },
      executionEnvironment: 'EXECUTION_ENVIRONMENT_GEN2',
      containers: [{ image: 'gcr.io/demo-project/billing', env: [{ name: 'A', value: '1' }] }],
    })
  })

  test('is changed by a mask: a revision is made, and traffic is split by revision and tag', async () => {
    const [operation] = await services.updateService({
      service: {
        name: SERVICE,
        template: {
          containers: [{ image: 'gcr.io/demo-project/billing', env: [{ name: 'A', value: '2' }] }],
        },
      },
      updateMask: { paths: ['template'] },
    })
    await operation.promise()
    const [list] = await revisions.listRevisions({ parent: SERVICE })
    const [newest, oldest] = list.map(({ name }) => name?.split('/').at(-1) ?? '')
    expect(list).toHaveLength(2)
    expect(newest).toStartWith('billing-00002-')

    const type = TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
    const traffic = [
      { type, revision: oldest ?? '', percent: 75, tag: 'blue' },
      { type, revision: newest ?? '', percent: 25 },
    ]
    const [split] = await services.updateService({
      service: { name: SERVICE, traffic },
      updateMask: { paths: ['traffic'] },
    })
    const [changed] = await split.promise()
    expect(changed.trafficStatuses).toMatchObject([
      {
        revision: oldest,
        percent: 75,
        tag: 'blue',
        uri: 'http://blue---billing-123456789012.us-central1.run.app',
      },
      { revision: newest, percent: 25 },
    ])
  })

  test('is listed, in all pages and one after the other', async () => {
    const [list] = await services.listServices({ parent: PARENT })
    const streamed: unknown[] = []
    for await (const { name } of services.listServicesAsync({ parent: PARENT }, { autoPaginate: false }))
      streamed.push(name)
    expect(list.map(({ name }) => name)).toEqual([SERVICE])
    expect(streamed).toEqual([SERVICE])
  })

  test('has a policy that is set and read', async () => {
    const [before] = await services.getIamPolicy({ resource: SERVICE })
    const bindings = [{ role: 'roles/run.invoker', members: [MEMBER] }]
    await services.setIamPolicy({ resource: SERVICE, policy: { ...before, bindings } })
    const [after] = await services.getIamPolicy({ resource: SERVICE })
    expect(after.bindings).toMatchObject(bindings)
    // facts 6.9: a stale etag loses, and the library reads the refusal as it reads Google's.
    const stale = services.setIamPolicy({ resource: SERVICE, policy: { ...before, bindings: [] } })
    expect(await stale.catch(({ code }: { code: number }) => code)).toBe(10) // ABORTED
    const [allowed] = await services.testIamPermissions({
      resource: SERVICE,
      permissions: ['run.services.get', 'run.routes.invoke'],
    })
    expect(allowed.permissions).toEqual(['run.services.get', 'run.routes.invoke'])
  })
})

describe('what fails', () => {
  test.each([
    ['a service that is not there', () => services.getService({ name: `${PARENT}/services/nobody` }), 5],
    [
      'a second service of the same name',
      () =>
        services.createService({
          parent: PARENT,
          serviceId: 'billing',
          service: { template: { containers: [{ image: 'gcr.io/demo-project/billing' }] } },
        }),
      6,
    ],
    [
      'an image of another host',
      () =>
        services.createService({
          parent: PARENT,
          serviceId: 'other',
          service: { template: { containers: [{ image: 'registry.example/a/b' }] } },
        }),
      3,
    ],
  ] as const)('%s has the code that it has at Google', async (_what, call, code) => {
    const error = await call().then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toMatchObject({ code, message: expect.any(String) })
  })

  test('a service whose image nobody has is the error of its operation', async () => {
    const [operation] = await services.createService({
      parent: PARENT,
      serviceId: 'lost',
      service: { template: { containers: [{ image: 'gcr.io/demo-project/lost' }] } },
    })
    await expect(operation.promise()).rejects.toThrow(/Image 'gcr\.io\/demo-project\/lost' not found\./)
  })
})

test('a revision and then a service are deleted', async () => {
  const [list] = await revisions.listRevisions({ parent: SERVICE })
  const { name } = list[0] ?? {}
  const [one] = await revisions.getRevision({ name: name ?? '' })
  expect(one.service).toBe('billing')

  const [operation] = await services.deleteService({ name: SERVICE })
  const [gone] = await operation.promise()
  expect(gone.name).toBe(SERVICE)
  expect(gone.deleteTime).toBeTruthy()
  await expect(services.getService({ name: SERVICE })).rejects.toMatchObject({ code: 5 })
})
