import { beforeEach, describe, expect, test } from 'bun:test'
import {
  COMPUTE,
  knative,
  LOCATED,
  openWorld,
  PROJECT,
  SERVICES,
  type World,
} from '../products/products.fixture.ts'

const POLICY = `${LOCATED}/receiver`
const INVOKER = 'roles/run.invoker'
const CONDITION = { title: 'soon', expression: 'request.time < timestamp("2026-06-01T00:00:00Z")' }

let world: World
beforeEach(async () => {
  world = await openWorld()
  await world.post(SERVICES, knative('receiver'))
})

const read = (version?: number) =>
  world.get(
    `${POLICY}:getIamPolicy${version === undefined ? '' : `?options.requestedPolicyVersion=${version}`}`,
  )
const write = (policy: object, updateMask?: string) =>
  world.post(`${POLICY}:setIamPolicy`, { policy, ...(updateMask ? { updateMask } : {}) })

describe('etags', () => {
  test('facts 6.9: a policy nobody has set is its etag alone', async () => {
    expect((await read()).body).toEqual({ etag: 'ACAB' })
  })

  test('facts 6.9: a stale etag is answered 409 ABORTED', async () => {
    const { etag } = (await read()).body
    await write({ etag, bindings: [{ role: INVOKER, members: ['allUsers'] }] })
    const { status, body } = await write({ etag, bindings: [] })
    expect(status).toBe(409)
    expect(body.error).toEqual({
      code: 409,
      message:
        'There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.',
      status: 'ABORTED',
    })
    expect((await read()).body.bindings).toHaveLength(1)
  })

  test('of many racers with one etag exactly one wins', async () => {
    const { etag } = (await read()).body
    const racers = Array.from({ length: 8 }, (_, index) =>
      write({ etag, bindings: [{ role: INVOKER, members: [`user:u${index}@example.com`] }] }),
    )
    const statuses = (await Promise.all(racers)).map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(1)
    expect(statuses.filter((status) => status === 409)).toHaveLength(7)
    expect((await read()).body.bindings[0].members).toHaveLength(1)
  })

  test('facts gcloud 4.1: an etag comes back in the URL-safe alphabet and is the same', async () => {
    for (let round = 0; round < 20; round += 1) {
      const { etag } = (await read()).body
      const spelled = etag.replaceAll('+', '-').replaceAll('/', '_')
      const { status } = await write({ etag: spelled, bindings: [{ role: INVOKER, members: ['allUsers'] }] })
      expect(status).toBe(200)
    }
  })

  test('a set without an etag overwrites', async () => {
    await write({ bindings: [{ role: INVOKER, members: ['allUsers'] }] })
    const { status, body } = await write({
      bindings: [{ role: 'roles/run.viewer', members: ['user:a@b.c'] }],
    })
    expect([status, body.bindings]).toEqual([200, [{ role: 'roles/run.viewer', members: ['user:a@b.c'] }]])
  })

  test('an update mask without bindings leaves them', async () => {
    await write({ bindings: [{ role: INVOKER, members: ['allUsers'] }] })
    await write({ bindings: [] }, 'etag')
    expect((await read()).body.bindings).toHaveLength(1)
    await write({ bindings: [] }, 'bindings,etag')
    expect((await read()).body).not.toHaveProperty('bindings')
  })
})

describe('facts 6.9: what setIamPolicy refuses', () => {
  const nobody = `nobody@${PROJECT}.iam.gserviceaccount.com`
  for (const [title, binding, message] of [
    [
      'an unknown service account',
      { role: INVOKER, members: [`serviceAccount:${nobody}`] },
      `Service account ${nobody} does not exist.`,
    ],
    [
      'a wrong prefix',
      { role: INVOKER, members: ['serviceAccount:someone@gmail.com'] },
      'Account someone@gmail.com is of type "user". Please set the type prefix to be "user:".',
    ],
    [
      'an unknown role',
      { role: 'roles/x', members: ['allUsers'] },
      'Role roles/x is not supported for this resource.',
    ],
  ] as const) {
    test(title, async () => {
      const { status, body } = await write({ bindings: [binding] })
      expect(status).toBe(400)
      expect(body.error).toEqual({ code: 400, message, status: 'INVALID_ARGUMENT' })
    })
  }

  test('a condition on allUsers, and one that cannot be read', async () => {
    const version = 3
    for (const binding of [
      { role: INVOKER, members: ['allUsers'], condition: CONDITION },
      { role: INVOKER, members: ['user:a@b.c'], condition: { title: 't', expression: 'request.time <' } },
    ]) {
      expect((await write({ version, bindings: [binding] })).status).toBe(400)
    }
  })

  test('a field that a policy does not have', async () => {
    const { body } = await world.post(`${POLICY}:setIamPolicy`, { policy: { binding: [] } })
    expect(body.error.message).toBe(
      'Invalid JSON payload received. Unknown name "binding" at \'policy\': Cannot find field.',
    )
  })
})

describe('conditions', () => {
  test('are shown to whoever asks for version 3; others see another role', async () => {
    const bindings = [{ role: INVOKER, members: ['user:a@b.c'], condition: CONDITION }]
    const set = await write({ version: 3, bindings })
    expect(set.body).toMatchObject({ version: 3, bindings })
    expect((await read(3)).body).toMatchObject({ version: 3, bindings })
    const plain = (await read()).body
    expect(plain.version).toBe(1)
    expect(plain.bindings).toEqual([
      { role: expect.stringMatching(/^roles\/run\.invoker_withcond_[0-9a-f]{20}$/), members: ['user:a@b.c'] },
    ])
    expect((await read(7)).status).toBe(400)
  })
})

describe('who may', () => {
  test('roles/editor may read but not set the policy of a service; the owner may', async () => {
    const editor = world.token(`serviceAccount:${COMPUTE}`)
    expect((await world.get(`${POLICY}:getIamPolicy`, editor)).status).toBe(200)
    const { status, body } = await world.post(`${POLICY}:setIamPolicy`, { policy: {} }, editor)
    expect(status).toBe(403)
    expect(body.error.message).toBe(
      `Permission 'run.services.setIamPolicy' denied on resource 'projects/${PROJECT}/locations/us-central1/services/receiver' (or resource may not exist).`,
    )
  })

  test('testIamPermissions answers what the caller holds', async () => {
    const permissions = ['run.services.setIamPolicy', 'run.services.get', 'no.such.thing']
    const ask = (token?: string) => world.post(`${POLICY}:testIamPermissions`, { permissions }, token)
    expect((await ask()).body).toEqual({ permissions: permissions.slice(0, 2) })
    expect((await ask(world.token(`serviceAccount:${COMPUTE}`))).body).toEqual({
      permissions: ['run.services.get'],
    })
    expect((await ask(world.token('user:stranger@example.com'))).body).toEqual({})
    expect((await world.post(`${POLICY}:testIamPermissions`, { permissions: ['run.*'] })).status).toBe(400)
  })
})
