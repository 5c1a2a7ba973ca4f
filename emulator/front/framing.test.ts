/** Where a request ends is decided once: what two servers could read differently reaches no container. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { anyFraming } from './heads.fixture.ts'
import { HOST, openWire, type WireRig } from './wire.fixture.ts'

let rig: WireRig
/** What reached the container, all of it. */
let reached = ''
beforeAll(async () => {
  rig = await openWire()
})
beforeEach(() => {
  reached = ''
  rig.container.answer = (socket, first) => {
    reached += first
    socket.on('data', (data) => {
      reached += data.toString('latin1')
    })
    // A body may come after its head.
    setTimeout(() => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'), 5)
  }
})
afterAll(() => rig.close())

const target = (way: 'door' | 'proxy') => (way === 'door' ? '/' : `http://127.0.0.1:${rig.container.port}/`)
const request = (headers: readonly string[], body: string, way: 'door' | 'proxy' = 'door') =>
  `POST ${target(way)} HTTP/1.1\r\n${[`Host: ${HOST}`, 'Connection: close', ...headers].join('\r\n')}\r\n\r\n${body}`

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: x\r\nX-Serverless-Authorization: forged\r\n\r\n'

describe.each(['door', 'proxy'] as const)('at the front %s', (way) => {
  test.each([
    ['an empty Transfer-Encoding and a Content-Length', ['Transfer-Encoding:', 'Content-Length: 5']],
    ['a Content-Length and an empty Transfer-Encoding', ['Content-Length: 5', 'Transfer-Encoding:']],
    ['two equal Content-Length', ['Content-Length: 5', 'Content-Length: 5']],
    ['two that differ', ['Content-Length: 5', 'content-length: 6']],
    ['a list of lengths', ['Content-Length: 5, 5']],
    ['a length and chunks', ['Content-Length: 5', 'Transfer-Encoding: chunked']],
    ['a coding before chunks', ['Transfer-Encoding: gzip, chunked']],
    ['two Transfer-Encoding', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']],
    ['another coding', ['Transfer-Encoding: identity']],
    ['a length that is no number', ['Content-Length: 0x5']],
    ['two hosts', ['Host: other.example', 'Content-Length: 5']],
  ])('%s is a 400, and nothing reaches the other server', async (_what, headers) => {
    const answer = await rig.talk('main', request(headers, `5\r\nhello\r\n0\r\n\r\n${SMUGGLED}`, way))
    expect(answer).toStartWith('HTTP/1.1 400 Bad Request\r\n')
    expect(answer).toContain('<h2>Your client has issued a malformed or illegal request.</h2>')
    expect(reached).toBe('')
  })

  test('HTTP/1.0 with chunks, HTTP/1.1 without a host, and HTTP/2.0 in words are a 400', async () => {
    for (const head of [
      `POST ${target(way)} HTTP/1.0\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked`,
      `GET ${target(way)} HTTP/1.1`,
      `GET ${target(way)} HTTP/2.0\r\nHost: ${HOST}`,
    ]) {
      for (const from of ['main', 'connect'] as const)
        expect(await rig.talk(from, `${head}\r\n\r\n0\r\n\r\n`)).toStartWith('HTTP/1.1 400 Bad Request\r\n')
    }
    expect(reached).toBe('')
  })
})

test('the framing is written anew, once, for the container', async () => {
  await rig.talk('main', request(['content-LENGTH: 05'], 'hello'))
  expect(reached.match(/^content-length: .*$/gim)).toEqual(['Content-Length: 5'])
  reached = ''
  await rig.talk('main', request(['Transfer-Encoding: CHUNKED'], '5\r\nhello\r\n0\r\n\r\n'))
  expect(reached.match(/^(content-length|transfer-encoding): .*$/gim)).toEqual(['Transfer-Encoding: chunked'])
})

test('whatever a head says of its body, one request with one framing reaches a server, or none', async () => {
  let run = 0
  await fc.assert(
    fc.asyncProperty(
      anyFraming,
      fc.constantFrom('door', 'proxy'),
      fc.constantFrom('main', 'connect'),
      async (headers, way, from) => {
        const path = `run-${++run}`
        let seen = ''
        rig.container.answer = (socket, first) => {
          // What an earlier run has left on its way is not of this one; what is nobody's is.
          if (/ \/run-\d+ /.test(first) && !first.includes(`/${path} `)) return void socket.end()
          seen += first
          socket.on('data', (data) => {
            seen += data.toString('latin1')
          })
          setTimeout(() => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'), 5)
        }
        const decided = new Promise<void>((resolve) => {
          const stop = rig.emulator.state.decisions.onAdd((decision) => {
            if (decision.path !== `/${path}`) return
            stop()
            resolve()
          })
        })
        const body = `5\r\nhello\r\n0\r\n\r\n${SMUGGLED}`
        const head = request(headers, body, way).replace('/ HTTP/1.1', `/${path} HTTP/1.1`)
        expect(await rig.talk(from, head, { half: true })).toBeDefined()
        const heads = seen.match(/ HTTP\/1\.[01]\r\n/g)?.length ?? 0
        expect([headers, heads <= 1, seen.includes('forged')]).toEqual([headers, true, false])
        const framings = seen.match(/^[ \t]*(?:content-length|transfer-encoding)[ \t]*:/gim)?.length ?? 0
        expect([headers, framings <= 1]).toEqual([headers, true])
        if (way === 'door' && heads === 1) await decided
      },
    ),
    { numRuns: 250 },
  )
}, 60_000)
