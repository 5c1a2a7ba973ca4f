import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import { keptLog } from '../service/log.fixture.ts'
import { createApp, type SenderDeps } from './app.ts'
import { readConfig } from './config.ts'
import { type MetadataServer, startMetadataServer, useMetadataServer } from './metadata.fixture.ts'
import { googleIdTokens } from './tokens.ts'

let metadata: MetadataServer
let restore: () => void
let answer: (request: Request) => Response | Promise<Response>
let received: { url: string; headers: Headers }[] = []
const receiver = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch(request) {
    // Copied: Bun lets go of a request once it is answered.
    received.push({ url: request.url, headers: new Headers(request.headers) })
    return answer(request)
  },
})

beforeAll(async () => {
  metadata = await startMetadataServer()
  restore = useMetadataServer(metadata.host)
})
afterEach(() => {
  received = []
  metadata.answer = undefined
})
afterAll(async () => {
  restore()
  await Promise.all([metadata.stop(), receiver.stop(true)])
})

function sender(env: Record<string, string> = {}, deps: Partial<SenderDeps> = {}) {
  const log = keptLog()
  const config = readConfig({ RECEIVING_SERVICE_URL: receiver.url.origin, ...env })
  return { log, app: createApp(config, { logger: log.logger, tokens: googleIdTokens(), ...deps }) }
}
const greet = () => new Response('Hello from the receiving service!')
/** A port that nothing listens on. */
const NOBODY = 'http://127.0.0.1:1'

test("answers the receiver's words after the prefix, as text", async () => {
  answer = greet
  const response = await sender().app.request('/')
  expect(response.status).toBe(200)
  expect(await response.text()).toBe('Response from receiving service: Hello from the receiving service!')
  expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
})

test("sends an ID token whose audience is the receiver's origin, and calls the URL as it was given", async () => {
  answer = greet
  metadata.asked.length = 0
  await sender({ RECEIVING_SERVICE_URL: `${receiver.url.origin}/path?q=1` }).app.request('/')
  expect(metadata.asked).toEqual([receiver.url.origin])
  expect(received[0]?.url).toBe(`${receiver.url.origin}/path?q=1`)
  expect(received[0]?.headers.get('authorization')).toBe(`Bearer ${metadata.tokens.at(-1)}`)
})

test('facts 1.6: RECEIVING_SERVICE_AUDIENCE asks for a custom audience', async () => {
  answer = greet
  metadata.asked.length = 0
  await sender({ RECEIVING_SERVICE_AUDIENCE: 'https://custom.example.com/x?y=z' }).app.request('/')
  expect(metadata.asked).toEqual(['https://custom.example.com/x?y=z'])
})

test.each(['', '<html>Sign in</html>', 'not.a.token'])(
  'a metadata server that answers 200 with %j is no credential: 500, and the receiver is not called',
  async (body) => {
    answer = greet
    metadata.answer = () => new Response(body, { headers: { 'metadata-flavor': 'Google' } })
    const response = await sender().app.request('/')
    expect([response.status, await response.text()]).toEqual([500, 'Failed to create authenticated client'])
    expect(received).toEqual([])
  },
)

test('SENDER_AUTH=none sends no token and asks for none', async () => {
  answer = greet
  metadata.asked.length = 0
  expect((await sender({ SENDER_AUTH: 'none' }).app.request('/')).status).toBe(200)
  expect(received[0]?.headers.has('authorization')).toBe(false)
  expect(metadata.asked).toEqual([])
})

test('many requests at once ask for one token', async () => {
  answer = greet
  metadata.asked.length = 0
  const { app } = sender()
  const responses = await Promise.all(Array.from({ length: 20 }, () => app.request('/')))
  expect(responses.every((response) => response.status === 200)).toBe(true)
  expect(metadata.asked).toHaveLength(1)
})

test.each([401, 403])(
  "a %d is the receiver's answer: passed on to the byte, and the receiver is not called twice",
  async (status) => {
    const bytes = new Uint8Array([10, 60, 0, 255, 195, 40, 10])
    const challenge =
      'Bearer error="invalid_token" error_description="The access token could not be verified"'
    answer = () =>
      new Response(bytes, { status, headers: { 'content-type': 'text/html', 'www-authenticate': challenge } })
    const response = await sender().app.request('/')
    expect(response.status).toBe(status)
    expect(response.headers.get('www-authenticate')).toBe(challenge)
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    const prefix = new TextEncoder().encode('Response from receiving service: ')
    expect(await response.bytes()).toEqual(new Uint8Array([...prefix, ...bytes]))
    expect(received).toHaveLength(1)
  },
)

test('a redirect is passed on and not followed, so that the token stays here', async () => {
  answer = () => new Response(null, { status: 302, headers: { location: '/elsewhere' } })
  const response = await sender().app.request('/')
  expect(response.status).toBe(302)
  expect(response.headers.get('location')).toBe(`${receiver.url.origin}/elsewhere`)
  expect(received).toHaveLength(1)
})

test('a status that cannot have a body is passed on without one', async () => {
  answer = () => new Response(null, { status: 204 })
  const response = await sender().app.request('/')
  expect([response.status, await response.text()]).toEqual([204, ''])
})

test('the trace goes on to the receiver, and the rest of the request does not', async () => {
  answer = greet
  const trace = {
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    tracestate: 'a=1',
    'x-cloud-trace-context': '4bf92f3577b34da6a3ce929d0e0e4736/7;o=1',
  }
  await sender({ SENDER_AUTH: 'none' }).app.request('/', {
    headers: {
      ...trace,
      cookie: 'a=b',
      authorization: 'Bearer theirs',
      'x-serverless-authorization': 'bearer theirs',
    },
  })
  expect(Object.fromEntries(received[0]?.headers ?? [])).toMatchObject(trace)
  for (const name of ['cookie', 'authorization', 'x-serverless-authorization']) {
    expect(received[0]?.headers.has(name)).toBe(false)
  }
})

test('a failing token source is 500, logged with its cause, and the receiver is not called', async () => {
  metadata.answer = () => new Response('no', { status: 404, headers: { 'metadata-flavor': 'Google' } })
  const { app, log } = sender()
  const response = await app.request('/')
  expect([response.status, await response.text()]).toEqual([500, 'Failed to create authenticated client'])
  expect(received).toHaveLength(0)
  expect(log.lines[0]).toMatchObject({
    severity: 'ERROR',
    message: 'Failed to create authenticated client',
    err: { code: 'ERR_TOKEN_SOURCE', cause: { code: 404 } },
  })
})

test('an unreachable receiver is 502, logged with its cause and without the token', async () => {
  const { app, log } = sender({ RECEIVING_SERVICE_URL: NOBODY })
  const response = await app.request('/')
  expect([response.status, await response.text()]).toEqual([502, 'Failed to make request'])
  expect(log.lines[0]).toMatchObject({
    severity: 'ERROR',
    message: 'Failed to make request',
    receiver: NOBODY,
    err: { message: expect.stringContaining('connect') },
  })
  expect(log.text()).not.toContain(metadata.tokens.at(-1) ?? 'no token was minted')
})

test('a body that breaks off is 502, logged with its cause', async () => {
  using broken = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data(socket) {
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf of it')
      },
    },
  })
  const { app, log } = sender({
    SENDER_AUTH: 'none',
    RECEIVING_SERVICE_URL: `http://127.0.0.1:${broken.port}`,
  })
  const response = await app.request('/')
  expect([response.status, await response.text()]).toEqual([502, 'Failed to read response body'])
  expect(log.lines[0]).toMatchObject({ severity: 'ERROR', err: { cause: { message: expect.any(String) } } })
})

test('a receiver that takes too long is 504, and logged', async () => {
  const gate = Promise.withResolvers<Response>()
  const timer = new AbortController()
  answer = () => {
    timer.abort(new DOMException('10 s have passed', 'TimeoutError'))
    return gate.promise
  }
  const { app, log } = sender({ SENDER_AUTH: 'none' }, { deadline: () => timer.signal })
  const response = await app.request('/')
  gate.resolve(greet())
  expect([response.status, await response.text()]).toEqual([504, 'Failed to make request: no answer in time'])
  expect(log.lines[0]).toMatchObject({ severity: 'ERROR', err: { message: '10 s have passed' } })
})

test('a body that takes too long is 504 too', async () => {
  const timer = new AbortController()
  answer = () =>
    new Response(
      new ReadableStream({
        pull(controller) {
          controller.enqueue(new TextEncoder().encode('begun'))
          timer.abort(new DOMException('10 s have passed', 'TimeoutError'))
          return new Promise<void>(() => {})
        },
      }),
    )
  const { app } = sender({ SENDER_AUTH: 'none' }, { deadline: () => timer.signal })
  expect((await app.request('/')).status).toBe(504)
})

test('an unknown path is 404 and calls nobody', async () => {
  expect((await sender().app.request('/other')).status).toBe(404)
  expect(received).toHaveLength(0)
})
