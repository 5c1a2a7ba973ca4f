import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import type { Deployed } from '../state/state.fixture.ts'
import { openRig, type Rig } from './ingress.fixture.ts'

let strict: Rig
let lenient: Rig
let reached = 0

beforeAll(async () => {
  strict = await openRig()
  lenient = await openRig({ frontEndRules: 'lenient' })
})
afterAll(async () => {
  await strict.close()
  await lenient.close()
})
beforeEach(() => {
  reached = 0
  for (const rig of [strict, lenient])
    rig.container = (incoming, outgoing) => {
      reached += 1
      incoming.resume()
      outgoing.end('hello')
    }
})

const services = new Map<Rig, Deployed>()
function hostOf(rig: Rig): string {
  const known =
    services.get(rig) ??
    rig.deploy('open', { bindings: [{ role: 'roles/run.invoker', members: ['allUsers'] }] })
  services.set(rig, known)
  return known.host
}
const ask = (rig: Rig, method: string, headers: readonly string[], body = '') =>
  rig.exchange(
    [`${method} /x HTTP/1.1`, `Host: ${hostOf(rig)}`, ...headers, 'Connection: close', '', body].join('\r\n'),
  )
const HEADERS = (length: number) => [
  'content-type: text/html; charset=UTF-8',
  'referrer-policy: no-referrer',
  'date: Mon, 01 Jun 2026 12:00:00 GMT',
  `content-length: ${length}`,
  'alt-svc: h3=":443"; ma=2592000,h3-29=":443"; ma=2592000',
]

describe('facts 7.13: what is no request to Google, the container never sees', () => {
  test('facts 7.13: a POST that does not say how long its body is: 411, 286 bytes', async () => {
    for (const rig of [strict, lenient]) {
      const [head = '', body = ''] = (await ask(rig, 'POST', [])).split('\r\n\r\n')
      expect(head.split('\r\n')).toEqual(['HTTP/1.1 411 Length Required', ...HEADERS(286)])
      expect(body).toContain('<title>411 Length Required</title>')
      expect(body).toContain('<h1>Error: Length Required</h1>')
      expect(body).toContain('<h2>POST requests require a <code>Content-length</code> header.</h2>')
      expect(body).toHaveLength(286)
    }
    expect(reached).toBe(0)
    expect(strict.lastDecision()).toMatchObject({
      status: 411,
      service: 'open',
      checks: [{ name: 'request', passed: false, actual: 'a POST that does not say how long its body is' }],
    })
  })

  test('one that says so passes, with a body, with none, in chunks', async () => {
    for (const [headers, body] of [
      [['Content-Length: 0'], ''],
      [['Content-Length: 3'], 'abc'],
      [['Transfer-Encoding: chunked'], '3\r\nabc\r\n0\r\n\r\n'],
    ] as const)
      expect(await ask(strict, 'POST', headers, body)).toStartWith('HTTP/1.1 200 OK\r\n')
    expect(reached).toBe(3)
  })

  test.each(['GET', 'HEAD'])(
    'facts 7.13: a %s with a body is answered 400, unless the rules are lenient',
    async (method) => {
      for (const [headers, body] of [
        [['Content-Length: 2'], '{}'],
        [['Transfer-Encoding: chunked'], '2\r\n{}\r\n0\r\n\r\n'],
      ] as const) {
        const [head = '', page] = (await ask(strict, method, headers, body)).split('\r\n\r\n')
        expect(head.split('\r\n')).toEqual(['HTTP/1.1 400 Bad Request', ...HEADERS(273)])
        if (method === 'GET')
          expect(page).toContain('<h2>Your client has issued a malformed or illegal request.</h2>')
        expect(reached).toBe(0)
        expect(await ask(lenient, method, headers, body)).toStartWith('HTTP/1.1 200 OK\r\n')
        expect(reached).toBe(1)
        reached = 0
      }
      expect(strict.lastDecision().checks.at(-1)?.mend).toContain('--front-end-rules lenient')
    },
  )

  test('a GET that says that it has no body passes', async () => {
    expect(await ask(strict, 'GET', ['Content-Length: 0'])).toStartWith('HTTP/1.1 200 OK\r\n')
  })

  test('facts 7.13: a PUT without a length is answered 411, unless the rules are lenient', async () => {
    expect(await ask(strict, 'PUT', [])).toStartWith('HTTP/1.1 411 Length Required\r\n')
    expect(await ask(lenient, 'PUT', [])).toStartWith('HTTP/1.1 200 OK\r\n')
  })

  test.each(['PATCH', 'DELETE', 'OPTIONS'])('%s may leave the length out', async (method) => {
    expect(await ask(strict, method, [])).toStartWith('HTTP/1.1 200 OK\r\n')
  })
})
