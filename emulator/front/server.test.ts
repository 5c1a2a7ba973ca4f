import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { directoryOf } from '../catalogue/hosts.ts'
import { systemTimer, type Timer } from '../wire/timer.ts'
import type { Listener } from './listener.ts'
import { createFront, type Front, type RawRoom, type Rooms } from './server.ts'
import { exchange } from './wire.fixture.ts'

const web = (name: string) => ({ fetch: () => new Response(name) })
const raw: RawRoom = {
  handle: async ({ outgoing }) => void outgoing.end('raw'),
  upgrade: async (_request, socket) => void socket.destroy(),
}
const rooms: Rooms = {
  directory: directoryOf([
    { name: 'metadata', hosts: [], paths: /^\/(?:computeMetadata|$)/, serves: [], leavesOut: [] },
  ]),
  product: web,
  console: web('console'),
  ingress: raw,
  elsewhere: {
    ...raw,
    connect: async (_request, _destination, socket) => void socket.destroy(),
    close: () => {},
  },
}

let front: Front
let listener: Listener
beforeAll(async () => {
  front = createFront(() => {})
  front.serve(rooms)
  listener = await front.listen({ host: '127.0.0.1', port: 0, control: true })
})
afterAll(() => front.close())

async function root(headers: Record<string, string>): Promise<string> {
  return (await fetch(`http://127.0.0.1:${listener.port}/`, { headers, proxy: '' })).text()
}

test('facts 2.3: GET / on the one port is the metadata server, and the console only for a browser', async () => {
  expect(await root({})).toBe('metadata')
  expect(await root({ accept: 'text/html,application/xhtml+xml' })).toBe('console')
  // Java's probe: what its standard library accepts has text/html in it.
  const java = { accept: 'text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2', 'metadata-flavor': 'Google' }
  expect(await root(java)).toBe('metadata')
})

describe('a body that nobody reads', () => {
  const talk = async (head: string, timer: Timer): Promise<string | undefined> => {
    const hasty = createFront(() => {}, { timer })
    hasty.serve(rooms)
    const { port } = await hasty.listen({ host: '127.0.0.1', port: 0 })
    try {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      return await exchange(socket, `${head}\r\nContent-Length: 1000000\r\n\r\nthe beginning`)
    } finally {
      await hasty.close()
    }
  }

  test.each(['POST', 'GET', 'PUT'])('of a %s does not hold a connection for ever', async (method) => {
    for (const host of ['localhost', 'a.run.app']) {
      const answer = await talk(`${method} / HTTP/1.1\r\nHost: ${host}`, (work) => systemTimer(work, 20))
      expect(answer).toStartWith('HTTP/1.1 200 OK\r\n')
    }
  })

  test('is announced with Expect, and the caller told to go on', async () => {
    const head = 'POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue'
    const answer = await talk(head, (work) => systemTimer(work, 20))
    expect(answer).toStartWith('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n')
  })
})
