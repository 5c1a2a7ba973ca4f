import { afterAll, beforeAll, expect, test } from 'bun:test'
import { endServices, spawnService } from '../service/spawned.fixture.ts'
import { type MetadataServer, startMetadataServer } from './metadata.fixture.ts'

afterAll(endServices)

const main = `${import.meta.dir}/main.ts`
const arrived = Promise.withResolvers<void>()
const gate = Promise.withResolvers<void>()
const receiver = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  async fetch() {
    arrived.resolve()
    await gate.promise
    return new Response('late')
  },
})
let metadata: MetadataServer
beforeAll(async () => {
  metadata = await startMetadataServer()
})
afterAll(() => Promise.all([metadata.stop(), receiver.stop(true)]))

test.each([
  [{}, /^sender: RECEIVING_SERVICE_URL is not set; expected .*\n$/],
  [{ RECEIVING_SERVICE_URL: '' }, /^sender: RECEIVING_SERVICE_URL is empty; expected .*\n$/],
  [
    { RECEIVING_SERVICE_URL: 'http://r', SENDER_AUHT: 'none' },
    /^sender: SENDER_AUHT is not a setting; .*\n$/,
  ],
  [
    { RECEIVING_SERVICE_URL: 'http://r', RECEIVING_SERVICE_URI: 'x' },
    /^sender: RECEIVING_SERVICE_URI is not .*\n$/,
  ],
  [
    { RECEIVING_SERVICE_URL: 'http://r', SENDER_HOST: '127.0.0.1', PORT: '80a' },
    /^sender: PORT is "80a"; .*\n$/,
  ],
])('a wrong configuration ends the process with one line: %j', async (env, line) => {
  const { process } = spawnService(main, env)
  expect(await process.exited).toBe(1)
  expect(await new Response(process.stderr).text()).toMatch(line)
})

test('SIGTERM: the request in flight is answered, then the process ends with 0', async () => {
  const sender = spawnService(main, {
    SENDER_HOST: '127.0.0.1',
    RECEIVING_SERVICE_URL: receiver.url.origin,
    GCE_METADATA_HOST: metadata.host,
    K_SERVICE: 'sending-service',
  })
  const url = await sender.url()
  const inFlight = fetch(url, { headers: { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00` } })
  await arrived.promise
  sender.process.kill('SIGTERM')
  await sender.line((line) => line.message === 'SIGTERM: finishing the requests in flight')
  gate.resolve()
  expect(await (await inFlight).text()).toBe('Response from receiving service: late')
  expect(await sender.line((line) => line.httpRequest !== undefined)).toMatchObject({
    severity: 'INFO',
    serviceContext: { service: 'sending-service' },
    'logging.googleapis.com/trace': 'a'.repeat(32),
  })
  expect(await sender.process.exited).toBe(0)
  expect(await new Response(sender.process.stderr).text()).toBe('')
  // Nothing but the token, for the one request: neither start nor logging asks the metadata server for anything.
  expect(metadata.requests).toHaveLength(1)
  expect(metadata.asked).toEqual([receiver.url.origin])
})

test('http_proxy carries the call to the metadata server and the call to the receiver', async () => {
  const urls: string[] = []
  await using proxy = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch(request) {
      urls.push(request.url)
      return new Response('e30.eyJleHAiOjQxMDI0NDQ4MDB9.AAAA', { headers: { 'metadata-flavor': 'Google' } })
    },
  })
  const receivingService = 'http://receiving-service-123456789012.us-central1.run.app'
  const sender = spawnService(main, {
    SENDER_HOST: '127.0.0.1',
    RECEIVING_SERVICE_URL: receivingService,
    K_SERVICE: 'sending-service',
    http_proxy: proxy.url.origin,
  })
  expect((await fetch(await sender.url())).status).toBe(200)
  expect(urls).toEqual([
    `http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/identity?format=full&audience=${receivingService}`,
    `${receivingService}/`,
  ])
})
