import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { type AddressInfo, createServer } from 'node:net'
import { gzipSync } from 'node:zlib'
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose'
import { ACCOUNTS, callApi, LOCATED, manifest, SERVICES, signIn } from '../emulator/emulator.fixture.ts'
import { type Emulator, startEmulator } from '../emulator/emulator.ts'

setDefaultTimeout(20_000)

const PUSHER = 'pusher-sa@demo-project.iam.gserviceaccount.com'
const URL_OF_API = 'http://api-123456789012.us-central1.run.app'
const APIS_GOOGLE = 'APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)'

interface Received {
  readonly method: string
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: string
}

const received: Received[] = []
const container = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: async (request) => {
    const { pathname, search } = new URL(request.url)
    const headers = Object.fromEntries(request.headers)
    received.push({ method: request.method, path: pathname + search, headers, body: await request.text() })
    return new Response(gzipSync('thanks'), {
      status: 202,
      headers: { 'Content-Encoding': 'gzip', 'X-Answer': 'yes' },
    })
  },
})
/** A container that promises ten bytes, sends four, and is gone. */
const dying = createServer((socket) => {
  socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'))
})
await new Promise<void>((resolve) => dying.listen(0, '127.0.0.1', resolve))
const { port: dyingPort } = dying.address() as AddressInfo
let emulator: Emulator
let strict: Emulator
let call: (method: string, path: string, body?: object) => ReturnType<typeof callApi>

beforeAll(async () => {
  const config = { port: 0, upstream: { api: container.url.href, dying: `http://127.0.0.1:${dyingPort}` } }
  emulator = await startEmulator(config)
  strict = await startEmulator({ ...config, audiencePath: 'refuse' })
  for (const one of [strict, emulator]) {
    const { accessToken } = await signIn(one.url)
    call = (method, path, body) => callApi(one.url, accessToken, method, path, body)
    await call('POST', ACCOUNTS, { accountId: 'pusher-sa' })
    await call('POST', SERVICES, manifest('api'))
    await letIn(PUSHER)
  }
})
afterAll(async () => {
  await emulator.close()
  await strict.close()
  await container.stop(true)
  dying.close()
})
beforeEach(() => {
  received.length = 0
})

const letIn = (email: string, service = 'api') =>
  call('POST', `${LOCATED}/${service}:setIamPolicy`, {
    policy: { bindings: [{ role: 'roles/run.invoker', members: [`serviceAccount:${email}`] }] },
  })

async function push(body: object, at = emulator.url) {
  const response = await fetch(`${at}/_emulator/push`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  // biome-ignore lint/suspicious/noExplicitAny: a test reads any part of an answer, and fails where it is not there
  return { status: response.status, body: (await response.json()) as any }
}

const last = () => {
  const [request] = received.slice(-1)
  if (!request) throw new Error('nothing was received')
  return request
}
const tokenOf = ({ headers }: Received) => decodeJwt((headers.authorization ?? '').replace(/^bearer /i, ''))

describe('Pub/Sub', () => {
  test('facts 6.5: sends its envelope and headers, with a token for the endpoint', async () => {
    const { status, body } = await push({
      product: 'pubsub',
      service: 'api',
      path: '/push/here',
      serviceAccount: PUSHER,
      body: { order: 7 },
      attributes: { kind: 'new' },
      subscription: 'orders',
    })
    expect(status).toBe(200)
    const request = last()
    expect([request.method, request.path]).toEqual(['POST', '/push/here'])
    expect(request.headers).toMatchObject({
      host: 'api-123456789012.us-central1.run.app',
      'content-type': 'application/json',
      accept: 'application/json',
      from: 'noreply@google.com',
      'user-agent': APIS_GOOGLE,
    })
    const { message, subscription } = JSON.parse(request.body)
    expect(subscription).toBe('projects/demo-project/subscriptions/orders')
    expect(Object.keys(message)).toEqual([
      ...['attributes', 'data', 'messageId', 'message_id', 'publishTime', 'publish_time'],
    ])
    expect(JSON.parse(Buffer.from(message.data, 'base64').toString())).toEqual({ order: 7 })
    expect(message).toMatchObject({ attributes: { kind: 'new' }, message_id: message.messageId })
    expect(tokenOf(request)).toMatchObject({
      aud: `${URL_OF_API}/push/here`,
      email: PUSHER,
      email_verified: true,
    })
    // facts 7.2: the container can verify it once more.
    const keys = createRemoteJWKSet(new URL(`${emulator.url}/oauth2/v3/certs`))
    const [, token = ''] = (request.headers.authorization ?? '').split(' ')
    expect((await jwtVerify(token, keys, { audience: `${URL_OF_API}/push/here` })).payload.email).toBe(PUSHER)

    expect(body.response).toMatchObject({ status: 202, body: 'thanks', headers: { 'x-answer': 'yes' } })
    expect(body.request).toMatchObject({
      method: 'POST',
      url: `${URL_OF_API}/push/here`,
      audience: `${URL_OF_API}/push/here`,
    })
    expect(body.decision).toMatchObject({
      service: 'api',
      allowed: true,
      status: 202,
      caller: { member: `serviceAccount:${PUSHER}` },
    })
    expect(JSON.stringify(body)).not.toMatch(/eyJ[\w-]+\./) // no token is told
  })

  test('without a service account sends no token: 403, and the reason', async () => {
    const { body } = await push({ product: 'pubsub', service: 'api', body: 'x' })
    expect(body.response.status).toBe(403)
    expect(body.response.body).toContain('403 Forbidden')
    expect(body.decision).toMatchObject({ allowed: false, status: 403 })
    expect(body.decision.why).toStartWith('credential:')
    expect(received).toEqual([])
  })
})

describe('Cloud Scheduler', () => {
  test('sends its headers and the body as it is', async () => {
    await push({
      product: 'scheduler',
      service: 'api',
      path: '/run?x=1',
      serviceAccount: PUSHER,
      audience: URL_OF_API,
      job: 'nightly',
      body: 'go',
    })
    const { headers, path, body } = last()
    expect([path, body]).toEqual(['/run?x=1', 'go'])
    expect(headers).toMatchObject({
      'user-agent': 'Google-Cloud-Scheduler',
      'x-cloudscheduler': 'true',
      'x-cloudscheduler-jobname': 'nightly',
      'content-type': 'application/octet-stream',
    })
    expect(headers['x-cloudscheduler-scheduletime']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  })

  test('takes a method and headers of the job, but none of its own', async () => {
    await push({
      product: 'scheduler',
      service: 'api',
      serviceAccount: PUSHER,
      method: 'PUT',
      headers: { 'Content-Type': 'text/plain', 'X-CloudScheduler': 'no', 'User-Agent': 'mine' },
      body: 'x',
    })
    const { method, headers } = last()
    expect(method).toBe('PUT')
    expect(headers).toMatchObject({
      'content-type': 'text/plain',
      'x-cloudscheduler': 'true',
      'user-agent': 'mine Google-Cloud-Scheduler',
    })
  })

  test('GET has no body', async () => {
    await push({ product: 'scheduler', service: 'api', serviceAccount: PUSHER, method: 'GET' })
    expect(last()).toMatchObject({ method: 'GET', body: '' })
    expect(last().headers).not.toHaveProperty('content-type')
  })
})

test('Cloud Tasks: sends its headers, and a content type only where the task has one', async () => {
  const task = {
    product: 'tasks',
    service: 'api',
    path: '/work',
    serviceAccount: PUSHER,
    queue: 'mail',
    body: { a: 1 },
  }
  await push({ ...task, task: 'one', retryCount: 2, executionCount: 1 })
  const { headers, body } = last()
  expect(headers).toMatchObject({
    'user-agent': 'Google-Cloud-Tasks',
    'x-cloudtasks-queuename': 'mail',
    'x-cloudtasks-taskname': 'one',
    'x-cloudtasks-taskretrycount': '2',
    'x-cloudtasks-taskexecutioncount': '1',
  })
  expect(headers['x-cloudtasks-tasketa']).toMatch(/^\d{10}\.\d{6}$/)
  expect(headers).not.toHaveProperty('content-type')
  expect(body).toBe('{"a":1}')
  expect(tokenOf(last()).aud).toBe(`${URL_OF_API}/work`)
  await push({ ...task, headers: { 'content-type': 'application/json' } })
  expect(last().headers['content-type']).toBe('application/json')
  expect(last().headers['x-cloudtasks-taskname']).toMatch(/^\d{20}$/)
})

test('Eventarc: sends a CloudEvent in binary mode, with a token for the origin (facts 6.4)', async () => {
  await push({
    product: 'eventarc',
    service: 'api',
    path: '/events',
    serviceAccount: PUSHER,
    type: 'google.cloud.storage.object.v1.finalized',
    source: '//storage.googleapis.com/projects/_/buckets/b',
    subject: 'objects/o',
    attributes: { bucket: 'b' },
    body: { name: 'o' },
  })
  const { headers, path, body } = last()
  expect(path).toBe('/events?__GCP_CloudEventsMode=GCS_NOTIFICATION')
  expect(headers).toMatchObject({
    'ce-specversion': '1.0',
    'ce-type': 'google.cloud.storage.object.v1.finalized',
    'ce-source': '//storage.googleapis.com/projects/_/buckets/b',
    'ce-subject': 'objects/o',
    'ce-bucket': 'b',
    'content-type': 'application/json',
    'user-agent': APIS_GOOGLE,
  })
  expect(headers['ce-id']).toBeString()
  expect(Date.parse(headers['ce-time'] ?? '')).toBeGreaterThan(0)
  expect(JSON.parse(body)).toEqual({ name: 'o' })
  expect(tokenOf(last()).aud).toBe(URL_OF_API)
})

describe('the door is the same for all', () => {
  const pubsub = { product: 'pubsub', service: 'api', serviceAccount: PUSHER, body: 'x' }

  test('an account without the invoker role is 403', async () => {
    await call('POST', ACCOUNTS, { accountId: 'stranger-sa' })
    const { body } = await push({
      ...pubsub,
      serviceAccount: 'stranger-sa@demo-project.iam.gserviceaccount.com',
    })
    expect(body.response.status).toBe(403)
    expect(body.decision.caller.email).toStartWith('stranger-sa@')
  })

  test('facts 6.4: the default audience of a URL with a query is 401, and names the audience', async () => {
    const { body } = await push({ ...pubsub, path: '/a?b=c' })
    expect(body.response.status).toBe(401)
    expect(body.decision.why).toStartWith('token-audience:')
  })

  test('facts 6.4: whether a path in the audience is taken is one setting', async () => {
    expect((await push({ ...pubsub, path: '/a' })).body.response.status).toBe(202)
    expect((await push({ ...pubsub, path: '/a' }, strict.url)).body.response.status).toBe(401)
    expect(
      (await push({ ...pubsub, path: '/a', audience: URL_OF_API }, strict.url)).body.response.status,
    ).toBe(202)
  })

  test("facts 1.1: an internal service is open to Google's own products, and to nobody else on the internet", async () => {
    const service = (await call('GET', `${SERVICES}/api`)).body
    const annotations = { ...service.metadata.annotations, 'run.googleapis.com/ingress': 'internal' }
    await call('PUT', `${SERVICES}/api`, { ...service, metadata: { ...service.metadata, annotations } })
    const { body } = await push(pubsub)
    expect(body.response.status).toBe(202)
    expect(body.decision.checks).toContainEqual(
      expect.objectContaining({ name: 'ingress', passed: true, actual: "one of Google's own products" }),
    )
    expect((await fetch(URL_OF_API, { proxy: emulator.url })).status).toBe(404)
  })

  test('an answer that breaks off is told as that', async () => {
    await call('POST', SERVICES, manifest('dying'))
    await letIn(PUSHER, 'dying')
    const { status, body } = await push({ ...pubsub, service: 'dying' })
    expect(status).toBe(502)
    expect(body.error).toStartWith('The answer broke off')
  })

  test('a service that is not there is 404', async () => {
    const { body } = await push({ product: 'tasks', url: 'http://none-123456789012.us-central1.run.app/' })
    expect(body.response.status).toBe(404)
  })
})

describe('what a person got wrong is one line', () => {
  test.each([
    [{}, /^product: /],
    [{ product: 'pubsub' }, /^Expected one of url and service\.$/],
    [
      { product: 'pubsub', service: 'none' },
      /^service: none is not deployed in us-central1\. Deployed are: api/,
    ],
    [{ product: 'tasks', url: 'http://example.com/' }, /^url: expected the URL of a service/],
    [
      { product: 'tasks', service: 'api', serviceAccount: 'no@x.iam.gserviceaccount.com' },
      /does not exist\.$/,
    ],
    [{ product: 'tasks', service: 'api', headers: { 'a b': 'c' } }, /^headers/],
    [{ product: 'eventarc', service: 'api' }, /^type: /],
    [{ product: 'pubsub', service: 'api', queue: 'x' }, /queue/],
  ])('%j', async (request, sentence) => {
    const { status, body } = await push(request)
    expect(status).toBe(400)
    expect(body.error).toMatch(sentence)
    expect(received).toEqual([])
  })

  test('a page on the web cannot push: only JSON is taken', async () => {
    const body = JSON.stringify({ product: 'pubsub', service: 'api' })
    const response = await fetch(`${emulator.url}/_emulator/push`, { method: 'POST', body })
    expect(response.status).toBe(400)
    expect(received).toEqual([])
  })
})
