import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type AnswerEnd, type AnswerHead, AnswerReader, MalformedAnswer, MOST_HEAD } from './answer-reader.ts'
import { framingOf } from './framing.ts'
import { llhttpReads } from './llhttp.fixture.ts'

interface Read {
  readonly interim: readonly number[]
  readonly head: AnswerHead | undefined
  readonly body: string
  readonly trailers: readonly string[] | undefined
  readonly rest: string
  readonly fault: string | undefined
}

/** As the front door reads an answer: what frames it is decided from its head. */
function endOf(head: AnswerHead, toHead: boolean): AnswerEnd {
  const framing = framingOf(head.headers, head.version)
  if (framing.kind === 'malformed') throw new MalformedAnswer(framing.fault)
  if (toHead || head.status === 204 || head.status === 304) return { kind: 'none' }
  return framing.kind === 'none' ? { kind: 'close' } : framing
}

function read(chunks: readonly Buffer[], { head: toHead = false, ended = true } = {}): Read {
  const interim: number[] = []
  const state: { head?: AnswerHead; trailers?: readonly string[] } = {}
  let body = ''
  let rest = ''
  const reader = new AnswerReader({
    interim: ({ status }) => void interim.push(status),
    head: (head) => {
      state.head = head
      return endOf(head, toHead)
    },
    data: (chunk) => {
      body += chunk.toString('latin1')
    },
    end: (trailers) => {
      state.trailers = trailers
    },
  })
  let fault: string | undefined
  try {
    for (const chunk of chunks) rest += reader.push(chunk).toString('latin1')
    if (ended && !reader.close()) fault = 'cut'
  } catch (error) {
    if (!(error instanceof MalformedAnswer)) throw error
    fault = error.message
  }
  return { interim, head: state.head, body, trailers: state.trailers, rest, fault }
}

const whole = (text: string, options = {}) => read([Buffer.from(text, 'latin1')], options)

describe('an answer', () => {
  test('with a length ends where it says, and what follows is left', () => {
    const { head, body, rest, fault } = whole(
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nhelloHTTP/1.1',
    )
    expect(head).toEqual({
      version: '1.1',
      status: 200,
      reason: 'OK',
      headers: ['Content-Length', '5', 'X-A', 'b'],
    })
    expect([body, rest, fault]).toEqual(['hello', 'HTTP/1.1', undefined])
  })

  test('in chunks is put together, extensions left out, trailers kept', () => {
    const { body, trailers } = whole(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-T: 1\r\n\r\n',
    )
    expect(body).toBe('hello!')
    expect(trailers).toEqual(['X-T', '1'])
  })

  test('without a length ends with the connection', () => {
    expect(whole('HTTP/1.0 200\r\n\r\nhello')).toMatchObject({
      body: 'hello',
      trailers: [],
      fault: undefined,
    })
  })

  test('comes after interim ones', () => {
    const { interim, head } = whole(
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
    )
    expect(interim).toEqual([100, 103])
    expect(head?.status).toBe(204)
  })

  test.each([
    ['another protocol', '\x15\x03\x01\x00\x02', 'HTTP/1'],
    ['a version of its own', 'HTTP/1.2 200 OK\r\n\r\n', 'first line'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n', 'first line'],
    ['a status that begins with 0', 'HTTP/1.1 099 No\r\n\r\n', 'first line'],
    ['a control character in the reason', 'HTTP/1.1 200 O\x01K\r\n\r\n', 'first line'],
    ['a header that goes on in the next line', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n', 'NAME: VALUE'],
    ['a space before the colon', 'HTTP/1.1 200 OK\r\nA : b\r\n\r\n', 'NAME: VALUE'],
    ['a line feed alone', 'HTTP/1.1 200 OK\nA: b\r\n\r\n', 'first line'],
    ['a NUL in a value', 'HTTP/1.1 200 OK\r\nA: \0\r\n\r\n', 'NAME: VALUE'],
    ['a chunk without a length', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n', 'its length'],
    [
      'a chunk that is longer than it says',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n',
      'longer than it says',
    ],
    [
      'a chunk line that ends in a line feed alone',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n',
      'carriage return',
    ],
  ])('%s is malformed', (_, text, sentence) => {
    expect(whole(text).fault).toContain(sentence)
  })

  test('a head that does not end is given up on', () => {
    expect(whole(`HTTP/1.1 200 OK\r\nA: ${'a'.repeat(MOST_HEAD)}\r\n\r\n`).fault).toContain('longer than')
    expect(whole(`HTTP/1.1 200 OK\r\nA: ${'a'.repeat(MOST_HEAD)}`).fault).toContain('longer than')
  })

  test('a body that is cut is no whole answer', () => {
    expect(whole('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell')).toMatchObject({
      fault: 'cut',
      trailers: undefined,
    })
  })
})

/** Answers as they are, with a part of most exchanged for what servers and attackers send. */
const piece = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('Content-Length: 3', 'Transfer-Encoding: chunked', 'X-A: b') },
  fc.constantFrom(
    'Content-Length: 03',
    'Content-Length: +3',
    'Content-Length:',
    'Transfer-Encoding: gzip, chunked',
    'Transfer-Encoding : chunked',
    ' folded',
    'X-Empty:',
    'X-Obs: \xe9',
    'X-Ctl: \x07',
    'no colon',
    ': no name',
    'Connection: close',
  ),
)
const answer = fc
  .record({
    line: fc.constantFrom(
      'HTTP/1.1 200 OK',
      'HTTP/1.1 204 No Content',
      'HTTP/1.1 304',
      'HTTP/1.0 200 OK',
      'HTTP/1.1 2000 OK',
      'HTTP/1.1  200 OK',
      'http/1.1 200 OK',
    ),
    headers: fc.array(piece, { maxLength: 3 }),
    eol: fc.constantFrom('\r\n', '\r\n', '\r\n', '\n', '\r'),
    body: fc.constantFrom(
      'abc',
      '3\r\nabc\r\n0\r\n\r\n',
      '3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n',
      '3 \r\nabc\r\n0\r\n\r\n',
      '0x3\r\nabc\r\n0\r\n\r\n',
      '-3\r\nabc\r\n0\r\n\r\n',
      'fffffffffffffffff\r\nabc',
      '3\r\nabcd\r\n0\r\n\r\n',
      '',
    ),
  })
  .map(({ line, headers, eol, body }) => Buffer.from([line, ...headers, '', body].join(eol), 'latin1'))

describe('properties', () => {
  test('what an answer is does not depend on how its bytes arrive', () => {
    fc.assert(
      fc.property(answer, fc.array(fc.nat(200), { maxLength: 6 }), (bytes, cuts) => {
        const at = [...new Set([0, ...cuts.filter((cut) => cut < bytes.length), bytes.length])].sort(
          (a, b) => a - b,
        )
        const chunks = at.slice(1).map((end, index) => bytes.subarray(at[index], end))
        const one = read([bytes])
        const many = read(chunks)
        expect(many.fault === undefined).toBe(one.fault === undefined)
        if (one.fault === undefined) expect(many).toEqual(one)
      }),
      { numRuns: 3000 },
    )
  })

  test('what is read here llhttp reads the same way: nothing is taken that it refuses', () => {
    let taken = 0
    fc.assert(
      fc.property(answer, (bytes) => {
        const ours = read([bytes])
        if (ours.fault !== undefined) return
        taken += 1
        const theirs = llhttpReads('response', bytes)
        expect(theirs.error).toBeUndefined()
        expect(theirs).toMatchObject({ status: ours.head?.status, body: ours.body, complete: true })
      }),
      { numRuns: 3000 },
    )
    expect(taken).toBeGreaterThan(300)
  })
})
