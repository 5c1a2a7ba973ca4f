import { afterAll, beforeAll, expect, test } from 'bun:test'
import type { Deployed } from '../state/state.fixture.ts'
import { openRig, type Rig } from './ingress.fixture.ts'
import { NOT_FOUND, RATE_EXCEEDED, SERVER_ERROR, TIMED_OUT, TOO_LARGE } from './pages.ts'

let rig: Rig
let closed: Deployed

beforeAll(async () => {
  rig = await openRig({ randomHex: (bytes) => 'ab'.repeat(bytes) })
  closed = rig.deploy('closed')
})
afterAll(() => rig.close())

const get = (path: string, ...headers: string[]) =>
  rig.exchange(
    [`GET ${path} HTTP/1.1`, `Host: ${closed.host}`, ...headers, 'Connection: close', '', ''].join('\r\n'),
  )
const TRACE = 'ab'.repeat(16)

test('facts 1.3, 1.4, 7.4: the 403, byte for byte, without www-authenticate', async () => {
  expect(await get('/')).toBe(
    [
      'HTTP/1.1 403 Forbidden',
      'content-type: text/html; charset=UTF-8',
      `x-cloud-trace-context: ${TRACE};o=1`,
      'date: Mon, 01 Jun 2026 12:00:00 GMT',
      'server: Google Frontend',
      'content-length: 295',
      'alt-svc: h3=":443"; ma=2592000,h3-29=":443"; ma=2592000',
      '',
      '\n<html><head>\n<meta http-equiv="content-type" content="text/html;charset=utf-8">\n<title>403 Forbidden</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n<h1>Error: Forbidden</h1>\n<h2>Your client does not have permission to get URL <code>/</code> from this server.</h2>\n<h2></h2>\n</body></html>\n',
    ].join('\r\n'),
  )
})

test('facts 1.3, 6.1: the 401, byte for byte', async () => {
  expect(await get('/endpoint/xxxxx', 'Authorization: Bearer nonsense')).toBe(
    [
      'HTTP/1.1 401 Unauthorized',
      'content-type: text/html; charset=UTF-8',
      'www-authenticate: Bearer error="invalid_token" error_description="The access token could not be verified"',
      `x-cloud-trace-context: ${TRACE};o=1`,
      'date: Mon, 01 Jun 2026 12:00:00 GMT',
      'server: Google Frontend',
      'content-length: 308',
      'alt-svc: h3=":443"; ma=2592000,h3-29=":443"; ma=2592000',
      '',
      '\n<html><head>\n<meta http-equiv="content-type" content="text/html;charset=utf-8">\n<title>401 Unauthorized</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n<h1>Error: Unauthorized</h1>\n<h2>Your client does not have permission to the requested URL <code>/endpoint/xxxxx</code>.</h2>\n<h2></h2>\n</body></html>\n',
    ].join('\r\n'),
  )
})

test('facts 6.1: 294 bytes for the 401 at /', async () => {
  expect(await get('/', 'Authorization: Bearer nonsense')).toContain('\r\ncontent-length: 294\r\n')
})

test('facts 6.2: the headers of /healthz are these and no others', async () => {
  const [head = '', body = ''] = (await get('/healthz')).split('\r\n\r\n')
  expect(head.split('\r\n')).toEqual([
    'HTTP/1.1 404 Not Found',
    'content-type: text/html; charset=UTF-8',
    'referrer-policy: no-referrer',
    'date: Mon, 01 Jun 2026 12:00:00 GMT',
    'content-length: 1568',
    'alt-svc: h3=":443"; ma=2592000,h3-29=":443"; ma=2592000',
  ])
  expect(body).toEndWith(
    '  <p>The requested URL <code>/healthz</code> was not found on this server.  <ins>That’s all we know.</ins>\n',
  )
})

test('facts 7.4: the page holds the path and the query; what would be markup is escaped', async () => {
  const escaped = '<code>/a/&lt;b&gt;&quot;&amp;&#39;?name=blabla&amp;x=&lt;i&gt;</code>'
  const target = '/a/<b>"&\'?name=blabla&x=<i>'
  expect(await get(target)).toContain(escaped)
  expect(await get(target, 'Authorization: Bearer nonsense')).toContain(escaped)
  expect(await get('/healthz?x=1')).toContain('<code>/healthz?x=1</code>')
  // What is kept of the request has no query: it may hold secrets.
  expect(rig.lastDecision().path).toBe('/healthz')
})

test('facts 7.3: a gRPC call that is refused gets the ordinary page with its status, and no grpc-status', async () => {
  const call = (...headers: string[]) =>
    rig.exchange(
      [
        'POST /grpc.health.v1.Health/Check HTTP/1.1',
        `Host: ${closed.host}`,
        'Content-Type: application/grpc+proto',
        'TE: trailers',
        'Content-Length: 5',
        ...headers,
        'Connection: close',
        '',
        '\0\0\0\0\0',
      ].join('\r\n'),
    )
  for (const [answer, status] of [
    [await call(), 'HTTP/1.1 403 Forbidden'],
    [await call('Authorization: Bearer nonsense'), 'HTTP/1.1 401 Unauthorized'],
  ] as const) {
    expect(answer).toStartWith(`${status}\r\ncontent-type: text/html; charset=UTF-8\r\n`)
    expect(answer).toContain('<code>/grpc.health.v1.Health/Check</code>')
    expect(answer).not.toContain('grpc-status')
  }
})

test('HEAD is answered with the same head and no body', async () => {
  const request = `HEAD / HTTP/1.1\r\nHost: ${closed.host}\r\nConnection: close\r\n\r\n`
  const [head = '', body] = (await rig.exchange(request)).split('\r\n\r\n')
  expect(head).toStartWith('HTTP/1.1 403 Forbidden\r\n')
  expect(head).toContain('content-length: 295')
  expect(body).toBe('')
})

test('facts 1.4, 6.3, 7.4: lengths and words of the other pages', () => {
  expect(NOT_FOUND.body).toHaveLength(272)
  expect(SERVER_ERROR.body).toHaveLength(323)
  expect(RATE_EXCEEDED.body).toBe('Rate exceeded.')
  expect(TIMED_OUT.body).toBe('upstream request timeout')
  expect(TOO_LARGE.body).toContain(
    '<h1>Error: Request Entity Too Large</h1>\n<h2>Your client issued a request that was too large.\n</h2>\n<h2><script>\n',
  )
  // facts 7.4: whole, with the one script.
  expect(TOO_LARGE.body).toHaveLength(1123)
  expect(TOO_LARGE.body.match(/<script>/g)).toHaveLength(1)
  expect(TOO_LARGE.body).toEndWith(' })();\n</script>\n</h2>\n</body></html>\n')
})
