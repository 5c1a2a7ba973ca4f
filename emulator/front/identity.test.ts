/** Is this me, is this loopback, is this a name of mine: asked of addresses, on every listener, over real sockets. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import fc from 'fast-check'
import { callApi, manifest, SERVICES, signIn } from '../emulator.fixture.ts'
import { type Emulator, startEmulator } from '../emulator.ts'
import { ask, ipv4Spelling, outside } from './front.fixture.ts'

setDefaultTimeout(30_000)

let emulator: Emulator
let main: number
let instance: number
let published: number
/** A server of this machine that has nothing to do with the emulator. */
const neighbour = createServer((_incoming, outgoing) => outgoing.end('a neighbour'))
let neighbourPort: number
beforeAll(async () => {
  emulator = await startEmulator({
    port: 0,
    host: '0.0.0.0',
    publish: { '0': 'receiver' },
    instance: { '0': 'sender' },
    alias: ['emulator.example'],
  })
  main = portOf(emulator.url)
  instance = portOf(emulator.instances.sender)
  published = portOf(emulator.published.receiver)
  await new Promise<void>((resolve) => neighbour.listen(0, '0.0.0.0', resolve))
  neighbourPort = (neighbour.address() as AddressInfo).port
})
afterAll(async () => {
  neighbour.close()
  await emulator?.close()
})

function portOf(url: string | undefined): number {
  return Number(new URL(url ?? '').port)
}

if (!outside)
  console.log('SKIPPED: requests from another machine: this one has no other address than loopback')
const far = (port: number) => ({ address: outside ?? '', port })
const near = (port: number) => ({ address: '127.0.0.1', port })

const TOKEN =
  '/computeMetadata/v1/instance/service-accounts/default/identity?audience=https://receiver.example&format=full'
/** What would be another service's identity, if it came to the main port from a peer of which nothing is known. */
const asBilling = ['Host: billing.metadata.google.internal', 'Metadata-Flavor: Google']

/** Spellings of every IPv4 address that leads back to this machine, and those of IPv6 that do. */
function ownHost(): fc.Arbitrary<string> {
  const addresses = Object.values(networkInterfaces()).flatMap((all = []) => all)
  const own = [
    ...['127.0.0.1', '127.8.9.10', '0.0.0.0'],
    ...addresses.filter(({ family }) => family === 'IPv4').map(({ address }) => address),
  ]
  const spelled = own.map((address) => ipv4Spelling(address.split('.').map(Number)))
  const names = [
    'localhost',
    'LOCALHOST',
    'localhost.',
    'anything.localhost',
    '[::1]',
    '[::]',
    '[0:0:0:0:0:0:0:1]',
  ]
  return fc.oneof(...spelled, fc.constantFrom(...names))
}

describe("a service's port leads to Google and to services, never back to the emulator", () => {
  test.skipIf(!outside)('asked by another machine, in no spelling of an address of this one', async () => {
    const ports = fc.constantFrom('main', 'published', 'instance', 'neighbour')
    await fc.assert(
      fc.asyncProperty(ownHost(), ports, fc.boolean(), async (host, kind, tunnel) => {
        const port = { main, published, instance, neighbour: neighbourPort }[kind]
        if (tunnel) {
          const { status, text } = await ask(far(instance), [
            `CONNECT ${host}:${port} HTTP/1.1`,
            `Host: ${host}`,
          ])
          expect([status, host, text]).toEqual([403, host, text])
          return
        }
        const lines = [`GET http://${host}:${port}${TOKEN} HTTP/1.1`, ...asBilling]
        const { status, text } = await ask(far(instance), lines)
        // Its own port is itself, as the service that it is: one that is not deployed has no token.
        if (port === instance)
          expect(text).toContain('Revision sender-none of service sender no longer exists')
        else expect([status, host]).toEqual([403, host])
      }),
      { numRuns: 150 },
    )
  })

  test('asked by this machine neither, but to its other servers', async () => {
    for (const port of [main, published]) {
      const plain = await ask(near(instance), [`GET http://0x7f000001:${port}/ HTTP/1.1`, 'Host: x'])
      expect(plain.status).toBe(403)
      expect(plain.text).toContain('never back to the emulator itself')
      const tunnel = await ask(near(instance), [`CONNECT 127.0.0.1:${port} HTTP/1.1`, 'Host: x'])
      expect(tunnel.status).toBe(403)
    }
    const other = await ask(near(instance), [`GET http://127.1:${neighbourPort}/ HTTP/1.1`, 'Host: x'])
    expect(other.text).toEndWith('a neighbour')
  })

  test("the metadata server's address is Google's, in every spelling", async () => {
    await fc.assert(
      fc.asyncProperty(ipv4Spelling([169, 254, 169, 254]), async (host) => {
        const lines = [
          `GET http://${host}/computeMetadata/v1/project/project-id HTTP/1.1`,
          'Metadata-Flavor: Google',
        ]
        const { text } = await ask(near(main), [...lines, `Host: ${host}`])
        expect(text).toEndWith('demo-project')
      }),
      { numRuns: 50 },
    )
  })

  test('a published port is no proxy', async () => {
    const lines = ['CONNECT metadata.google.internal:80 HTTP/1.1', 'Host: metadata.google.internal:80']
    const { status, text } = await ask(near(published), lines)
    expect([status, text]).toEqual([403, expect.stringContaining("a service's front door, and no proxy")])
  })
})

describe('the control API is not for services', () => {
  const body =
    '{"serviceAccount":"123456789012-compute@developer.gserviceaccount.com","audience":"https://a.example"}'
  const mint = (host: string) => [
    'POST /_emulator/tokens HTTP/1.1',
    `Host: ${host}`,
    'Content-Type: application/json',
  ]

  test("at a service's port it is refused, by whatever name", async () => {
    for (const host of [`localhost:${instance}`, `127.0.0.1:${instance}`, 'emulator']) {
      const { status, text } = await ask(near(instance), mint(host), body)
      expect(status).toBe(403)
      expect(text).toContain('The control API is not for services')
      expect(text).not.toContain('eyJ')
    }
    const page = await ask(near(instance), ['GET / HTTP/1.1', 'Host: localhost', 'Accept: text/html'])
    expect(page.text).not.toContain('/_emulator')
    expect((await ask(near(main), mint(`localhost:${main}`), body)).text).toContain('"token":"eyJ')
  })

  test.skipIf(!outside)(
    "it is refused to a service's container, which may ask whether it is up, and whom to trust",
    async () => {
      const one = await startEmulator({
        port: 0,
        host: '0.0.0.0',
        upstream: { api: `http://${outside}:1` },
      })
      try {
        const { accessToken } = await signIn(one.url)
        expect((await callApi(one.url, accessToken, 'POST', SERVICES, manifest('api'))).status).toBe(200)
        const at = portOf(one.url)
        const { status, text } = await ask(far(at), mint('emulator'), body)
        expect([status, text]).toEqual([403, expect.stringContaining('this request comes from api')])
        for (const path of ['/_emulator/health', '/_emulator/ca.pem'])
          expect((await ask(far(at), [`GET ${path} HTTP/1.1`, 'Host: emulator'])).status).toBe(200)
        expect((await ask(near(at), mint('emulator'), body)).status).toBe(200)
      } finally {
        await one.close()
      }
    },
  )
})

describe('the control API has its own names, and answers no page but its own', () => {
  const health = (host: string, ...more: readonly string[]) =>
    ask(near(main), ['GET /_emulator/health HTTP/1.1', `Host: ${host}`, ...more])

  test('names that nobody else can have, and those that it was given', async () => {
    const hosts = [
      'localhost',
      'a.localhost',
      '127.0.0.1',
      '[::1]',
      '192.0.2.7',
      'emulator',
      'host.docker.internal',
    ]
    for (const host of [...hosts, 'emulator.example', 'EMULATOR.example.'])
      expect([host, (await health(`${host}:${main}`)).status]).toEqual([host, 200])
  })

  test('another Host is refused, with what to do, whatever is asked for', async () => {
    for (const path of ['/_emulator/health', '/_emulator/decisions', TOKEN, '/v1/projects', '/token', '/']) {
      const { status, text } = await ask(near(main), [
        `GET ${path} HTTP/1.1`,
        'Host: evil.example:8080',
        'Metadata-Flavor: Google',
      ])
      expect([path, status]).toEqual([path, 403])
      expect(text).toContain('start it with --alias evil.example')
    }
  })

  test('no public name is one of its own', async () => {
    await fc.assert(
      fc.asyncProperty(fc.domain(), fc.boolean(), async (domain, withPort) => {
        const { status } = await health(
          withPort ? `${domain}:${main}` : domain,
          `Origin: http://${domain}:${main}`,
        )
        expect([domain, status]).toEqual([domain, 403])
      }),
      { numRuns: 60 },
    )
  })

  test('another Origin is refused, its own is not, in every spelling', async () => {
    const host = `localhost:${main}`
    for (const origin of [`http://${host}`, `HTTP://LOCALHOST:${main}`])
      expect((await health(host, `Origin: ${origin}`)).status).toBe(200)
    expect((await health(`0x7f.1:${main}`, `Origin: http://127.0.0.1:${main}`)).status).toBe(200)
    const foreign = fc.oneof(
      fc.constantFrom(
        'null',
        '',
        'http://localhost',
        `http://127.0.0.1:${main}`,
        `http://localhost:${main + 1}`,
        'file://',
        `http://${host}.evil.example`,
        `http://evil.example#${host}`,
      ),
      fc.webUrl({ validSchemes: ['http', 'https'] }).map((url) => new URL(url).origin),
      fc.string({ unit: fc.constantFrom(...'abc:/.@ 0') }).map((text) => text.trim()),
    )
    await fc.assert(
      fc.asyncProperty(foreign, async (origin) => {
        const { status, text } = await health(host, `Origin: ${origin}`)
        expect([origin, status]).toEqual([origin, 403])
        expect(text).toContain('pages of')
      }),
      { numRuns: 100 },
    )
  })
})
