import { afterAll, beforeAll, expect, test } from 'bun:test'
import { directoryOf } from '../catalogue/hosts.ts'
import { createFront, type Front, type Listener, type RawRoom, type Rooms } from './server.ts'

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
  elsewhere: { ...raw, connect: async (_request, _destination, socket) => void socket.destroy() },
}

let front: Front
let listener: Listener
beforeAll(async () => {
  front = createFront(rooms, () => {})
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
