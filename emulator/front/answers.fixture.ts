/** Generators of what a container, or another server, may send in place of a good answer. Bytes, as latin1 text. */
import fc from 'fast-check'

const odd = fc.constantFrom('', '\u0001', '\u007f', '\u00e9', '\t', ' ', '"', '\u0000', 'x'.repeat(300))

const statusLine = fc.oneof(
  { weight: 6, arbitrary: fc.constant('HTTP/1.1 200 OK') },
  fc.tuple(fc.integer({ min: 0, max: 1100 }), odd).map(([code, reason]) => `HTTP/1.1 ${code} ${reason}`),
  fc
    .constantFrom(99, 100, 101, 102, 103, 199, 204, 205, 304, 599, 600, 999)
    .map((code) => `HTTP/1.1 ${String(code).padStart(3, '0')} X`),
  odd.map((reason) => `HTTP/1.1 200 ${reason}`),
  fc.constantFrom(
    'HTTP/1.0 200 OK',
    'HTTP/1.1 200',
    'HTTP/1.2 200 OK',
    'HTTP/2.0 200 OK',
    'ICY 200 OK',
    'nonsense',
    '',
  ),
)

const length = fc.constantFrom(
  '2',
  '5',
  '0',
  '02',
  '+2',
  '0x2',
  '2, 2',
  '-1',
  '',
  '99999999999999999999',
  'two',
)
const coding = fc.constantFrom(
  'chunked',
  'gzip',
  'gzip, chunked',
  'chunked, chunked',
  'identity',
  '',
  'xchunked',
)
const header = fc.oneof(
  { weight: 3, arbitrary: length.map((value) => `Content-Length: ${value}`) },
  { weight: 3, arbitrary: coding.map((value) => `Transfer-Encoding: ${value}`) },
  odd.map((value) => `X-Odd: a${value}b`),
  odd.map((name) => `X${name}Y: a`),
  fc.constantFrom(
    'Trailer: X-T',
    'Connection: close',
    'Connection: Upgrade',
    'Connection: content-length',
    'Upgrade: websocket',
    'Upgrade: h2c',
    'Content-Encoding: gzip',
    'Content-Encoding: br',
    ' folded: x',
    ': nameless',
    'no colon',
    'Keep-Alive: timeout=0',
    'Set-Cookie: a=\u00e9',
    `X-Long: ${'a'.repeat(20_000)}`,
  ),
)
const head = fc
  .tuple(statusLine, fc.array(header, { maxLength: 4 }))
  .map(([line, headers]) => [line, ...headers, '', ''].join('\r\n'))

const link = fc.constantFrom(
  '</a>; rel=preload',
  '</a>; rel=preload, </b>; rel=preload',
  '</a,b>; title="c, d"; rel=preload',
  'bad',
  '',
  '<',
  ',',
  `<${'a'.repeat(5000)}>`,
  '\u00e9',
)
const interim = fc
  .tuple(
    fc.constantFrom(100, 101, 102, 103, 103, 103, 150, 199),
    fc.array(link, { maxLength: 3 }),
    fc.array(header, { maxLength: 1 }),
  )
  .map(([code, links, more]) =>
    [`HTTP/1.1 ${code} Hint`, ...links.map((value) => `Link: ${value}`), ...more, '', ''].join('\r\n'),
  )

const body = fc.constantFrom(
  'ok',
  '',
  'hello',
  '2\r\nok\r\n0\r\n\r\n',
  '2\r\nok\r\n0\r\nX-T: 1\r\n\r\n',
  '2\r\nok\r\n0\r\nContent-Length: 2\r\nX T: \u0001\r\n\r\n',
  '2\r\nok\r\n0\r\nX-T: \u0001\r\n\r\n',
  '2\r\nok\r\n',
  '2;a="\u0001"\r\nok\r\n0\r\n\r\n',
  'zz\r\nok\r\n0\r\n\r\n',
  'ffffffffffffffffff\r\nok',
  '2\nok\n0\n\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno',
)

export interface Answer {
  readonly bytes: string
  /** The connection is cut after so many of them, in place of closed after all. */
  readonly cut?: number
}

/** An answer that is good, malformed, or cut short, after any number of interim ones. It always ends. */
export const anyAnswer: fc.Arbitrary<Answer> = fc
  .tuple(fc.array(interim, { maxLength: 3 }), head, body, fc.option(fc.nat(400), { nil: undefined }))
  .map(([interims, final, rest, cut]) => {
    const bytes = [...interims, final, rest].join('')
    return cut === undefined ? { bytes } : { bytes, cut: Math.min(cut, bytes.length) }
  })
