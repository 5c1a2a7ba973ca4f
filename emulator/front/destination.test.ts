import { describe, expect, test } from 'bun:test'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { directoryOf } from '../catalogue/hosts.ts'
import { createJudge } from './destination.ts'
import { ask } from './front.fixture.ts'
import { createProxy } from './proxy.ts'
import { createFront, type RawRoom, type Rooms } from './server.ts'

const OPEN = 8080
const asked: string[] = []
const NAMES: Readonly<Record<string, readonly string[]>> = {
  'public.example': ['198.51.100.7', '2001:db8::7'],
  'me.example': ['127.0.0.1'],
  'mapped.example': ['::ffff:127.0.0.1'],
  'half.example': ['198.51.100.7', '127.0.0.1'],
  'any.example': ['0.0.0.0'],
  'metadata.example': ['169.254.169.254'],
  'billing.example': ['198.51.100.8'],
}
const judge = createJudge({
  ports: () => new Set([OPEN, 9000]),
  serviceAt: async (address) => (address === '198.51.100.8' ? 'billing' : undefined),
  resolve: async (host) => {
    asked.push(host)
    const addresses = NAMES[host]
    if (!addresses) throw new Error('getaddrinfo ENOTFOUND')
    return addresses
  },
})
const services = { port: 9000, forService: true }
const main = { port: OPEN, forService: false }
const from = (address: string, host: string, port = 80) =>
  ({ host, port, scheme: 'http', peer: { address } }) as const

describe('where a name leads is judged by its addresses', () => {
  test.each(['me.example', 'mapped.example', 'half.example', 'any.example'])(
    "%s leads to the emulator's own ports from no service",
    async (host) => {
      for (const way of ['plain', 'tunnel'] as const)
        for (const peer of ['127.0.0.1', '198.51.100.1'])
          expect(await judge(from(peer, host, OPEN), services, way)).toMatchObject({
            kind: 'refused',
            status: 403,
            message: expect.stringContaining('never back to the emulator itself'),
          })
    },
  )

  test('a server beside the emulator is for programs of its own machine', async () => {
    const far = await judge(from('198.51.100.1', 'me.example', 5432), services, 'tunnel')
    expect(far).toMatchObject({ kind: 'refused', message: expect.stringContaining('no_proxy') })
    const near = await judge(from('127.0.0.1', 'me.example', 5432), services, 'tunnel')
    expect(near).toEqual({ kind: 'elsewhere', addresses: ['127.0.0.1'], port: 5432 })
  })

  test("a machine's own metadata server is never reached by another name", async () => {
    for (const listener of [services, main])
      expect(await judge(from('127.0.0.1', 'metadata.example'), listener, 'plain')).toMatchObject({
        kind: 'refused',
        message: expect.stringContaining('ask for metadata.google.internal'),
      })
  })

  test('another service is reached by its URL, not at its container', async () => {
    expect(await judge(from('198.51.100.1', 'billing.example'), services, 'plain')).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('reached through the front door only'),
    })
  })

  test('any other host is somebody else, at the addresses that were judged', async () => {
    expect(await judge(from('198.51.100.1', 'public.example'), services, 'plain')).toEqual({
      kind: 'elsewhere',
      addresses: NAMES['public.example'] ?? [],
      port: 80,
    })
    expect(await judge(from('127.0.0.1', 'nowhere.example'), main, 'plain')).toMatchObject({
      kind: 'refused',
      status: 502,
    })
  })

  test('another machine learns nothing from the resolver', async () => {
    asked.length = 0
    expect(await judge(from('198.51.100.1', 'public.example'), main, 'plain')).toMatchObject({ status: 403 })
    expect(asked).toEqual([])
  })
})

test('a name is resolved once: it cannot lead elsewhere between the question and the connection', async () => {
  const server = createServer((incoming, outgoing) => outgoing.end(`for ${incoming.headers.host}`))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const web = { fetch: () => new Response('here') }
  const ingress: RawRoom = { handle: async () => {}, upgrade: async () => {} }
  const authority = () => Promise.reject(new Error('nothing is encrypted here'))
  const elsewhere = createProxy({ authority, now: Date.now })
  const rooms: Rooms = { directory: directoryOf([]), product: () => web, console: web, ingress, elsewhere }
  let times = 0
  const front = createFront(() => {}, {
    // Only the first answer is a server that listens; a second one would be this machine's own metadata server.
    resolve: async () => (times++ === 0 ? ['127.0.0.1'] : ['169.254.169.254']),
  })
  front.serve(rooms)
  try {
    const listener = await front.listen({ host: '127.0.0.1', port: 0 })
    const at = { address: '127.0.0.1', port: listener.port }
    const plain = await ask(at, [`GET http://turns.example:${port}/ HTTP/1.1`, `Host: turns.example:${port}`])
    expect(plain.text).toEndWith(`for turns.example:${port}`)
    expect(times).toBe(1)
    const next = await ask(at, [`GET http://turns.example:${port}/ HTTP/1.1`, `Host: turns.example:${port}`])
    expect(next.status).toBe(403)
  } finally {
    await front.close()
    server.close()
  }
})
