import { afterAll, beforeAll, expect, test } from 'bun:test'
import type { Deployed } from '../state/state.fixture.ts'
import { EVERYONE, openRig, type Rig } from './ingress.fixture.ts'

let rig: Rig
let open: Deployed
let raw: string[] = []

beforeAll(async () => {
  rig = await openRig({ randomHex: (bytes) => 'ab'.repeat(bytes) })
  open = rig.deploy('open', { bindings: EVERYONE })
})
afterAll(() => rig.close())

/** What the container got: the values of every header, by lower-case name. */
async function received(...headers: string[]): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  rig.container = (incoming, outgoing) => {
    raw = incoming.rawHeaders
    for (let index = 0; index < raw.length; index += 2) {
      const name = raw[index]?.toLowerCase() ?? ''
      found.set(name, [...(found.get(name) ?? []), raw[index + 1] ?? ''])
    }
    outgoing.end()
  }
  await rig.call({ host: `${open.host}:8080`, headers })
  return found
}

const TRACE = 'ab'.repeat(16)
const SPAN = 'ab'.repeat(8)

test('facts 1.5, 6.5: these headers and no others are added', async () => {
  const found = await received('accept', '*/*')
  expect(Object.fromEntries(found)).toEqual({
    host: [open.host],
    accept: ['*/*'],
    'x-cloud-trace-context': [`${TRACE}/${BigInt(`0x${SPAN}`)};o=1`],
    traceparent: [`00-${TRACE}-${SPAN}-01`],
    'x-forwarded-for': ['127.0.0.1'],
    'x-forwarded-proto': ['http'],
    forwarded: ['for="127.0.0.1";proto=http'],
  })
})

test('facts 1.5: X-Forwarded-For and Forwarded are appended to, X-Forwarded-Proto is not believed', async () => {
  const found = await received(
    ...['X-Forwarded-For', '1.2.3.4', 'x-forwarded-for', '5.6.7.8', 'Forwarded', 'for=1.2.3.4'],
    ...['X-Forwarded-Proto', 'https'],
  )
  expect(found.get('x-forwarded-for')).toEqual(['1.2.3.4, 5.6.7.8, 127.0.0.1'])
  expect(found.get('forwarded')).toEqual(['for=1.2.3.4, for="127.0.0.1";proto=http'])
  expect(found.get('x-forwarded-proto')).toEqual(['http'])
})

test.each([
  'X-Google-Anything',
  'x-goog-iap-jwt-assertion',
  'X-Goog-Authenticated-User-Email',
  'Keep-Alive',
  'Proxy-Authorization',
  'Proxy-Connection',
  'TE',
])('facts 1.5: %s of the caller is removed', async (name) => {
  expect((await received(name, 'x')).has(name.toLowerCase())).toBe(false)
})

test('facts 1.5: Trailer of the caller is removed', async () => {
  rig.container = (incoming, outgoing) => outgoing.end(String(incoming.headers.trailer))
  const request = `POST / HTTP/1.1\r\nHost: ${open.host}\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\nX-T: 1\r\n\r\n`
  expect(await rig.exchange(request)).toContain('undefined')
})

test('facts 1.5: Connection is removed, and what it names for this hop alone', async () => {
  const found = await received('Connection', 'close, X-Hop', 'X-Hop', '1', 'X-Kept', '2')
  expect([found.get('x-hop'), found.get('x-kept'), found.get('connection')]).toEqual([
    undefined,
    ['2'],
    undefined,
  ])
})

test('everything else keeps its spelling, its order and its duplicates', async () => {
  await received('X-Two', '1', 'aCCept', 'a', 'x-two', '2', 'Cookie', 'a=1', 'Cookie', 'b=2')
  expect(raw.slice(2, 12)).toEqual([
    'X-Two',
    '1',
    'aCCept',
    'a',
    'x-two',
    '2',
    'Cookie',
    'a=1',
    'Cookie',
    'b=2',
  ])
})

const THEIRS = '0123456789abcdef0123456789abcdef'
test.each([
  ['traceparent', `00-${THEIRS}-00f067aa0ba902b7-01`, THEIRS, true],
  ['traceparent', `00-${THEIRS}-00f067aa0ba902b7-00`, THEIRS, false],
  ['X-Cloud-Trace-Context', `${THEIRS}/123;o=1`, THEIRS, true],
  ['X-Cloud-Trace-Context', `${THEIRS.toUpperCase()}/123;o=0`, THEIRS, false],
  ['X-Cloud-Trace-Context', THEIRS, THEIRS, true],
  ['traceparent', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, TRACE, true],
  ['traceparent', `00-${THEIRS}-${'0'.repeat(16)}-01`, TRACE, true],
  ['traceparent', `ff-${THEIRS}-00f067aa0ba902b7-01`, TRACE, true],
  ['X-Cloud-Trace-Context', 'nonsense', TRACE, true],
])('a trace is continued when it is one: %s: %s', async (name, value, id, sampled) => {
  const found = await received(name, value)
  expect(found.get('traceparent')).toEqual([`00-${id}-${SPAN}-${sampled ? '01' : '00'}`])
  expect(found.get('x-cloud-trace-context')).toEqual([`${id}/${BigInt(`0x${SPAN}`)}${sampled ? ';o=1' : ''}`])
  expect(rig.lastDecision().trace).toBe(id)
})

test('tracestate goes with its traceparent, and with nothing else', async () => {
  const valid = await received('traceparent', `00-${THEIRS}-00f067aa0ba902b7-01`, 'tracestate', 'a=1')
  expect(valid.get('tracestate')).toEqual(['a=1'])
  expect((await received('tracestate', 'a=1')).has('tracestate')).toBe(false)
})

test('facts 1.3: what the container answers gets the headers of Google Frontend', async () => {
  rig.container = (_incoming, outgoing) => {
    outgoing.sendDate = false
    outgoing.writeHead(207, 'Odd Reason', [
      ...['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Server', 'mine', 'Alt-Svc', 'clear', 'X-CaSe', '1'],
      ...['X-Hop', '1', 'Connection', 'X-Hop', 'Keep-Alive', 'timeout=9', 'Content-Length', '2'],
    ])
    outgoing.end('ok')
  }
  const reply = await rig.call({ host: open.host })
  expect([reply.status, reply.reason, reply.body]).toEqual([207, 'Odd Reason', 'ok'])
  expect(reply.raw).toEqual([
    ...['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'X-CaSe', '1', 'Content-Length', '2'],
    ...['x-cloud-trace-context', `${TRACE};o=1`, 'date', 'Mon, 01 Jun 2026 12:00:00 GMT'],
    ...['server', 'Google Frontend', 'alt-svc', 'h3=":443"; ma=2592000,h3-29=":443"; ma=2592000'],
  ])
})

test("a container's own Date is kept", async () => {
  rig.container = (_incoming, outgoing) => {
    outgoing.writeHead(200, ['Date', 'Thu, 01 Jan 1970 00:00:00 GMT'])
    outgoing.end()
  }
  const { raw: headers } = await rig.call({ host: open.host })
  expect(headers.filter((name) => name.toLowerCase() === 'date')).toHaveLength(1)
  expect(headers).toContain('Thu, 01 Jan 1970 00:00:00 GMT')
})
