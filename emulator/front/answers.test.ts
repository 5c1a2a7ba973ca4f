/** Whatever another server sends back: the emulator lives, and each caller gets an answer or a closed connection, soon. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Socket } from 'node:net'
import fc from 'fast-check'
import { type Answer, anyAnswer } from './answers.fixture.ts'
import { HOST, openWire, type WireRig } from './wire.fixture.ts'

let rig: WireRig
beforeAll(async () => {
  rig = await openWire()
})
afterAll(() => rig.close())

const door = `GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`
const proxy = () =>
  `GET http://127.0.0.1:${rig.container.port}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

function answerWith(bytes: string): void {
  rig.container.answer = (socket) => socket.end(bytes, 'latin1')
}

async function push(): Promise<number> {
  const response = await fetch(`${rig.emulator.url}/_emulator/push`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"product":"scheduler","service":"api"}',
    signal: AbortSignal.timeout(5000),
  })
  await response.text()
  return response.status
}

describe('early hints', () => {
  test.each([
    ['one', ['</a>; rel=preload'], ['</a>; rel=preload']],
    ['two in one line', ['</a>; rel=preload, </b>; rel=preload'], ['</a>; rel=preload', '</b>; rel=preload']],
    ['two lines', ['</a>; rel=preload', '</b>; rel=preload'], ['</a>; rel=preload', '</b>; rel=preload']],
    ['one that is no link', ['bad'], []],
    ['an empty one', [''], []],
  ])('%s is passed on or dropped, and the answer comes', async (_what, links, passed) => {
    answerWith(`HTTP/1.1 103 Early Hints\r\n${links.map((link) => `Link: ${link}\r\n`).join('')}\r\n${OK}`)
    const answer = await rig.talk('main', door)
    expect(answer).toContain('HTTP/1.1 200 OK')
    expect(answer).toEndWith('ok')
    for (const link of passed) expect(answer?.split('HTTP/1.1 200')[0]).toContain(link)
    if (passed.length === 0) expect(answer).not.toContain('103')
  })
})

describe('an answer that HTTP cannot say', () => {
  const malformed = [
    ['a status of two digits and a nought', 'HTTP/1.1 099 x\r\nContent-Length: 2\r\n\r\nok'],
    ['a control character in the reason', 'HTTP/1.1 200 a\u0001b\r\nContent-Length: 2\r\n\r\nok'],
    ['an unasked 101', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'],
    ['a bare 101', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok'],
    [
      'a length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    ],
    ['another transfer coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok'],
  ] as const

  test.each(malformed)(
    '%s is a 502 at the front door, in the forward proxy and for a push',
    async (_what, bytes) => {
      answerWith(bytes)
      expect(await rig.talk('main', door)).toStartWith('HTTP/1.1 502 Bad Gateway\r\n')
      expect(await rig.talk('main', proxy())).toStartWith('HTTP/1.1 502 Bad Gateway\r\n')
      expect(await push()).toBe(200) // the report of a 502
    },
  )

  test('a Trailer that no trailer can follow is not passed on; the answer is', async () => {
    answerWith('HTTP/1.1 200 OK\r\nTrailer: X-T\r\nContent-Length: 2\r\n\r\nok')
    for (const bytes of [door, proxy()]) {
      const answer = await rig.talk('main', bytes)
      expect(answer).toStartWith('HTTP/1.1 200 OK\r\n')
      expect(answer).toEndWith('\r\n\r\nok')
      expect(answer).not.toContain('X-T')
    }
  })

  test('a 204 that says that it has no body is a 204', async () => {
    answerWith('HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n')
    expect(await rig.talk('main', door)).toStartWith('HTTP/1.1 204 No Content\r\n')
  })

  test('facts 7.13: a 204 that says how long its body is, is a 503 with the sentence in the log', async () => {
    answerWith('HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello')
    expect(await rig.talk('main', door)).toStartWith('HTTP/1.1 503 Service Unavailable\r\n')
    expect(rig.emulator.state.decisions.list().at(-1)?.log).toContain('HTTP response was malformed')
  })

  test('a body that is cut ends the connection, with no end of a whole body', async () => {
    for (const framing of ['Content-Length: 10', 'Transfer-Encoding: chunked']) {
      answerWith(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n2\r\nok\r\n`)
      for (const bytes of [door, proxy()]) {
        const answer = await rig.talk('main', bytes)
        expect(answer).toContain('ok')
        expect(answer).not.toEndWith('0\r\n\r\n')
      }
      expect(await push()).toBe(502)
    }
  })

  test('a body that is not compressed as it says is a 502 of the push', async () => {
    answerWith('HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok')
    expect(await push()).toBe(502)
  })
})

test('whatever is answered, every caller gets an answer or a closed connection, and the next one an answer', async () => {
  const send = (socket: Socket, { bytes, cut }: Answer) => {
    if (cut === undefined) socket.end(bytes, 'latin1')
    else socket.write(bytes.slice(0, cut), 'latin1', () => socket.destroy())
  }
  await fc.assert(
    fc.asyncProperty(anyAnswer, async (answer) => {
      rig.container.answer = (socket) => send(socket, answer)
      const seen = await Promise.all([
        rig.talk('main', door),
        rig.talk('published', door),
        rig.talk('connect-tls', door),
        rig.talk('main', proxy()),
        push().then(String),
      ])
      for (const text of seen) expect(text).toBeDefined()
    }),
    { numRuns: 150 },
  )
  rig.container.answer = (socket) => socket.end(OK)
  expect(await rig.talk('main', door)).toEndWith('\r\n\r\nok')
  expect(rig.lines.filter((line) => line.startsWith('fault'))).toEqual([])
}, 60_000)
