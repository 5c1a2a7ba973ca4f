import { afterAll, beforeAll, expect, test } from 'bun:test'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { ServiceAccount } from '../state/resources.ts'
import type { Deployed } from '../state/state.fixture.ts'
import { INVOKER, openRig, type Rig } from './ingress.fixture.ts'

let rig: Rig
let caller: ServiceAccount
let closed: Deployed
let echo: ReturnType<typeof startEcho>
let token: string

function startEcho() {
  return Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch(request, server) {
      if (request.url.endsWith('/refuse')) return new Response('no', { status: 426 })
      const seen = request.headers.get('authorization') ?? ''
      return server.upgrade(request, { data: seen }) ? undefined : new Response('not an upgrade')
    },
    websocket: {
      data: '' as string,
      open: (socket) => void socket.send(socket.data),
      message: (socket, message) => void socket.send(message),
    },
  })
}

beforeAll(async () => {
  rig = await openRig()
  caller = rig.account('caller')
  closed = rig.deploy('closed', {
    bindings: [{ role: INVOKER, members: [`serviceAccount:${caller.email}`] }],
  })
  token = await rig.token(caller, closed.url)
  echo = startEcho()
  rig.upstreams.set('closed-00001-abc', new URL(`http://127.0.0.1:${echo.port}`))
})
afterAll(async () => {
  await echo.stop(true)
  await rig.close()
})

const open = (headers: Record<string, string>) =>
  new WebSocket(`ws://127.0.0.1:${rig.port}/socket`, { headers: { host: closed.host, ...headers } })

async function message(socket: WebSocket): Promise<unknown> {
  const [event] = (await once(socket, 'message')) as [MessageEvent]
  return event.data
}

test('a WebSocket passes the door with a token, and then every message, both ways', async () => {
  const socket = open({ authorization: `Bearer ${token}` })
  // facts 7.2: the container sees the token as it was sent.
  expect(await message(socket)).toBe(`Bearer ${token}`)
  for (const text of ['one', 'two', 'x'.repeat(300_000)]) {
    socket.send(text)
    expect(await message(socket)).toBe(text)
  }
  expect(rig.lastDecision()).toMatchObject({ allowed: true, status: 101, path: '/socket' })
  const gone = once(socket, 'close')
  socket.close(1000)
  await gone
})

test('a WebSocket without a token gets the page, not the container', async () => {
  const request = [
    ...['GET / HTTP/1.1', `Host: ${closed.host}`, 'Connection: Upgrade', 'Upgrade: websocket'],
    ...['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='],
  ]
  const answer = await rig.exchange(`${request.join('\r\n')}\r\n\r\n`)
  expect(answer).toStartWith('HTTP/1.1 403 Forbidden\r\n')
  expect(answer).toContain('content-length: 295\r\n')
  expect(answer).toEndWith('</html>\n')
})

const upgrade = (path: string) =>
  [
    ...[`GET ${path} HTTP/1.1`, `Host: ${closed.host}`, 'Connection: Upgrade', 'Upgrade: websocket'],
    ...['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='],
    ...[`Authorization: Bearer ${token}`, '', ''],
  ].join('\r\n')

test('a container that does not change the protocol is heard', async () => {
  const answer = await rig.exchange(upgrade('/refuse'))
  expect(answer).toStartWith('HTTP/1.1 426 Upgrade Required\r\n')
  expect(answer).toEndWith('no')
})

test('the answer to a change of protocol has the headers of Google Frontend', async () => {
  const socket: Socket = connect(rig.port, '127.0.0.1')
  socket.write(upgrade('/'))
  const [data] = (await once(socket, 'data')) as [Buffer]
  const head = data.toString('latin1').split('\r\n\r\n')[0] ?? ''
  expect(head).toStartWith('HTTP/1.1 101 Switching Protocols\r\n')
  expect(head).toContain('server: Google Frontend')
  expect(head.match(/^Connection: Upgrade$/gim)).toHaveLength(1)
  expect(head.match(/^Upgrade: websocket$/gim)).toHaveLength(1)
  socket.destroy()
})

test("a WebSocket ends with its revision's timeout", async () => {
  const socket = open({ authorization: `Bearer ${token}` })
  await message(socket)
  const gone = once(socket, 'close')
  for (const work of rig.timers.keys()) work()
  await gone
})

test('a caller that cuts its connection closes the socket at the container', async () => {
  const socket = open({ authorization: `Bearer ${token}` })
  await message(socket)
  expect(echo.pendingWebSockets).toBe(1)
  socket.terminate()
  while (echo.pendingWebSockets > 0) await new Promise((resolve) => setImmediate(resolve))
})

test('a container that is not there is answered 503, on the connection that asked', async () => {
  rig.upstreams.set('closed-00001-abc', new URL('http://127.0.0.1:1'))
  expect(await rig.exchange(upgrade('/'))).toStartWith('HTTP/1.1 503 Service Unavailable\r\n')
  expect(rig.faults).toEqual([])
})
