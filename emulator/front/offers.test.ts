/** Offers to change the protocol: only a WebSocket is gone on as, any other offer is ignored and the request answered. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import type { Socket } from 'node:net'
import { HOST, openWire, type WireRig } from './wire.fixture.ts'

let rig: WireRig
let reached = ''
beforeAll(async () => {
  rig = await openWire()
})
afterAll(() => rig.close())

/** What Java's HttpClient sends over plain HTTP by default, and curl with --http2. */
const H2C = [
  'Connection: Upgrade, HTTP2-Settings',
  'Upgrade: h2c',
  'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA',
]
const request = (line: string, headers: readonly string[], body = '') =>
  `${line} HTTP/1.1\r\n${[...headers, ...(body ? [`Content-Length: ${body.length}`] : [])].join('\r\n')}\r\n\r\n${body}`

/** A container that agrees to every change of protocol that it is offered. */
const agreeing = (socket: Socket, first: string) => {
  reached = first
  const [, offered] = /^upgrade: (.*)\r$/im.exec(first) ?? []
  if (offered === undefined) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain')
  else {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${offered}\r\n\r\n`)
    socket.on('data', (data) => {
      reached += data.toString()
      socket.write(data)
    })
    socket.on('end', () => socket.end())
  }
}

test.each([
  ['the metadata server', 'metadata.google.internal', 'GET /computeMetadata/v1/project/project-id', 200],
  ['the issuer', 'accounts.google.com', 'GET /.well-known/openid-configuration', 200],
  ['an API', 'run.googleapis.com', 'GET /v1/projects/demo-project/locations', 401],
  ['the control API', 'localhost', 'GET /_emulator/health', 200],
])('%s answers as it stands a request that offers h2c, or a WebSocket', async (_room, host, line, status) => {
  const common = [`Host: ${host}`, 'Metadata-Flavor: Google', 'Connection: close']
  for (const offer of [
    H2C,
    ['Connection: Upgrade', 'Upgrade: websocket'],
    ['Connection: upgrade', 'Upgrade: TLS/1.0'],
  ])
    expect(await rig.talk('main', request(line, [...common, ...offer]))).toStartWith(`HTTP/1.1 ${status} `)
})

test('a POST that offers h2c keeps its body', async () => {
  const body = 'grant_type=refresh_token&refresh_token=none&client_id=x&client_secret=y'
  const headers = [
    'Host: oauth2.googleapis.com',
    'Content-Type: application/x-www-form-urlencoded',
    'Connection: close',
  ]
  const answer = await rig.talk('main', request('POST /token', [...headers, ...H2C], body))
  expect(answer).toStartWith('HTTP/1.1 400 ')
  expect(answer).toContain('invalid_grant')
})

test('a container that agrees to h2c is not offered it, at the front door or through the forward proxy', async () => {
  rig.container.answer = agreeing
  const forged = 'GET /second HTTP/1.1\r\nHost: x\r\nX-Serverless-Authorization: forged\r\n\r\n'
  for (const [line, host] of [
    ['GET /', HOST],
    [`GET http://127.0.0.1:${rig.container.port}/`, 'a'],
  ]) {
    const answer = await rig.talk('main', request(line ?? '', [`Host: ${host}`, 'X: 1', ...H2C]) + forged, {
      half: true,
    })
    expect(answer).toContain('plain')
    expect(answer).not.toContain('101 Switching Protocols')
    expect(reached).not.toMatch(/upgrade|http2-settings|second|forged/i)
  }
})

test('a WebSocket is gone on as, whatever else is offered with it', async () => {
  rig.container.answer = agreeing
  const offer = [
    'Connection: Upgrade',
    'Upgrade: h2c, WebSocket',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  ]
  const answer = await rig.talk('main', `${request('GET /', [`Host: ${HOST}`, ...offer])}echo`, {
    half: true,
  })
  expect(answer).toStartWith('HTTP/1.1 101 Switching Protocols\r\n')
  expect(answer).toEndWith('\r\n\r\necho')
  expect(reached).toMatch(/^Upgrade: websocket\r$/m)
})

test('a container that changes to another protocol than a WebSocket is a 502', async () => {
  rig.container.answer = (socket) =>
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n')
  const offer = ['Connection: Upgrade', 'Upgrade: websocket']
  expect(await rig.talk('main', request('GET /', [`Host: ${HOST}`, ...offer]))).toStartWith('HTTP/1.1 502 ')
})

test('a WebSocket asked for by POST is answered as it stands; one with a body is a GET with a body', async () => {
  rig.container.answer = agreeing
  const headers = [`Host: ${HOST}`, 'Connection: Upgrade', 'Upgrade: websocket']
  for (const [method, answer] of [
    ['POST', 'plain'],
    ['GET', 'HTTP/1.1 400 Bad Request'],
  ] as const) {
    expect(await rig.talk('main', request(`${method} /`, headers, 'hello'), { half: true })).toContain(answer)
    expect(reached).not.toMatch(/^upgrade/im)
  }
})
