/** Connections whose caller is done, or never will be. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { exchange, HOST, openWire, WAYS, type WireRig } from './wire.fixture.ts'

let rig: WireRig
beforeAll(async () => {
  rig = await openWire()
})
afterAll(() => rig.close())

describe('a caller that has closed its half of the connection gets its answer', () => {
  // TLS inside CONNECT ends both halves at once: Bun's TLS over a connection of its HTTP server has no other way.
  test.each(WAYS.filter((way) => way !== 'connect-tls'))('by %s, however slow', async (way) => {
    rig.container.answer = (socket) => {
      setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nat '), 150)
      setTimeout(() => socket.end('last!'), 300)
    }
    const answer = await rig.talk(way, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`, { half: true })
    expect(answer).toStartWith('HTTP/1.1 200 OK\r\n')
    expect(answer).toEndWith('\r\n\r\nat last!')
  })

  test.each(['metadata.google.internal', 'accounts.google.com', 'localhost'])('from %s', async (host) => {
    const bytes = `GET /computeMetadata/v1/project/project-id HTTP/1.1\r\nHost: ${host}\r\nMetadata-Flavor: Google\r\n\r\n`
    expect(await rig.talk('main', bytes, { half: true })).toStartWith('HTTP/1.1 ')
  })

  test('from another server, through the forward proxy and through a tunnel', async () => {
    rig.container.answer = (socket) =>
      setTimeout(() => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate'), 150)
    const at = `127.0.0.1:${rig.container.port}`
    const plain = await rig.talk('main', `GET http://${at}/ HTTP/1.1\r\nHost: a\r\n\r\n`, { half: true })
    expect(plain).toEndWith('\r\n\r\nlate')
    const port = Number(new URL(rig.emulator.url).port)
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    socket.write(`CONNECT ${at} HTTP/1.1\r\nHost: ${at}\r\n\r\n`)
    await new Promise((resolve) => socket.once('data', resolve))
    expect(await exchange(socket, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', { half: true })).toEndWith(
      '\r\n\r\nlate',
    )
  })
})
