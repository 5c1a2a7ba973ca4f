/**
 * Reads answers from the bytes of a connection (RFC 9112), stricter than most clients: what two readers could take for two
 * different answers is malformed, not mended.
 */
import type { RawHeaders } from './raw-headers.ts'

export interface AnswerHead {
  /** `1.0` or `1.1`. */
  readonly version: string
  /** Three digits, 100 to 999. */
  readonly status: number
  readonly reason: string
  readonly headers: RawHeaders
}

/** How the body of one answer ends: `close` is the end of the connection. */
export type AnswerEnd =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'close' }

export interface AnswerEvents {
  /** A head with a status of 100 to 199 but 101: the answer is still to come. */
  interim(head: AnswerHead): void
  /** The answer's head. Returns how its body ends, or undefined to read no further. */
  head(head: AnswerHead): AnswerEnd | undefined
  /** `last`: the body ends with this, as far as can be told before its end. */
  data(chunk: Buffer, last: boolean): void
  /** The answer is whole. */
  end(trailers: RawHeaders): void
}

/** What came is no answer; the message says why. */
export class MalformedAnswer extends Error {
  override readonly name = 'MalformedAnswer'
  readonly code = 'ERR_MALFORMED_ANSWER'
}

/** The most that a head, or the trailers, may take. Bytes. */
export const MOST_HEAD = 256 * 1024
/** The most that a chunk's first line may take: its length, and extensions that nobody reads. Bytes. */
const MOST_CHUNK_LINE = 4096
const END_OF_HEAD = Buffer.from('\r\n\r\n')
const NOTHING = Buffer.alloc(0)
const NO_TRAILERS: RawHeaders = []

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/
const HEADER_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)$/
const CHUNK_LINE = /^([0-9a-fA-F]{1,13})(?:;[\t\x20-\x7e\x80-\xff]*)?$/

type Phase = 'head' | 'length' | 'chunk-line' | 'chunk' | 'chunk-end' | 'trailers' | 'close' | 'done'

export class AnswerReader {
  readonly #events: AnswerEvents
  #phase: Phase = 'head'
  /** Bytes that do not yet make a whole line or head. */
  #held: Buffer = NOTHING
  /** Bytes of the body, or of the chunk, still to come. */
  #left = 0

  constructor(events: AnswerEvents) {
    this.#events = events
  }

  /** True once an answer has been read whole. */
  get done(): boolean {
    return this.#phase === 'done'
  }

  /**
   * Takes bytes as they come. Returns those that lie behind the answer's end.
   * @throws {MalformedAnswer}
   */
  push(chunk: Buffer): Buffer {
    let bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    this.#held = NOTHING
    while (bytes.length > 0 && this.#phase !== 'done') {
      const rest = this.#step(bytes)
      if (rest === undefined) {
        this.#held = bytes
        return NOTHING
      }
      bytes = rest
    }
    return bytes
  }

  /** The connection has ended. True where that is the answer's own end. */
  close(): boolean {
    if (this.#phase !== 'close') return this.#phase === 'done'
    this.#finish(NO_TRAILERS)
    return true
  }

  /** One step on; the bytes that are left, or undefined where it takes more of them. */
  #step(bytes: Buffer): Buffer | undefined {
    switch (this.#phase) {
      case 'head':
        return this.#readHead(bytes)
      case 'length':
      case 'chunk':
        return this.#readCounted(bytes)
      case 'chunk-line':
        return this.#readChunkLine(bytes)
      case 'chunk-end':
        return this.#readChunkEnd(bytes)
      case 'trailers':
        return this.#readTrailers(bytes)
      case 'close':
        this.#events.data(bytes, false)
        return NOTHING
      case 'done':
        return bytes
    }
  }

  #readHead(bytes: Buffer): Buffer | undefined {
    const end = bytes.indexOf(END_OF_HEAD)
    if (end > MOST_HEAD || (end < 0 && bytes.length > MOST_HEAD + 3))
      throw new MalformedAnswer(`the head is longer than ${MOST_HEAD} bytes`)
    if (end < 0) {
      refuseOtherProtocol(bytes)
      return undefined
    }
    const head = parseHead(bytes.toString('latin1', 0, end))
    const rest = bytes.subarray(end + 4)
    if (head.status < 200 && head.status !== 101) {
      this.#events.interim(head)
      return rest
    }
    const body = this.#events.head(head)
    if (body === undefined) this.#phase = 'done'
    else if (body.kind === 'close') this.#phase = 'close'
    else if (body.kind === 'chunked') this.#phase = 'chunk-line'
    else if (body.kind === 'none' || body.length === 0) this.#finish(NO_TRAILERS)
    else {
      this.#phase = 'length'
      this.#left = body.length
    }
    return rest
  }

  #readCounted(bytes: Buffer): Buffer {
    const taken = Math.min(this.#left, bytes.length)
    this.#left -= taken
    const whole = this.#left === 0
    const last = whole && this.#phase === 'length'
    if (whole) this.#phase = 'chunk-end'
    this.#events.data(taken === bytes.length ? bytes : bytes.subarray(0, taken), last)
    if (last) this.#finish(NO_TRAILERS)
    return bytes.subarray(taken)
  }

  #readChunkLine(bytes: Buffer): Buffer | undefined {
    const end = endOfLine(bytes, MOST_CHUNK_LINE)
    if (end === undefined) return undefined
    const [, digits] = CHUNK_LINE.exec(bytes.toString('latin1', 0, end)) ?? []
    const length = digits === undefined ? Number.NaN : Number.parseInt(digits, 16)
    if (!Number.isSafeInteger(length)) throw new MalformedAnswer('a chunk does not begin with its length')
    this.#left = length
    this.#phase = length === 0 ? 'trailers' : 'chunk'
    return bytes.subarray(end + 2)
  }

  #readChunkEnd(bytes: Buffer): Buffer | undefined {
    if (bytes[0] !== 13 || (bytes.length > 1 && bytes[1] !== 10))
      throw new MalformedAnswer('a chunk is longer than it says')
    if (bytes.length < 2) return undefined
    this.#phase = 'chunk-line'
    return bytes.subarray(2)
  }

  #readTrailers(bytes: Buffer): Buffer | undefined {
    if (bytes[0] === 13 && bytes[1] === 10) {
      this.#finish(NO_TRAILERS)
      return bytes.subarray(2)
    }
    const end = bytes.indexOf(END_OF_HEAD)
    if (end > MOST_HEAD || (end < 0 && bytes.length > MOST_HEAD + 3))
      throw new MalformedAnswer(`the trailers are longer than ${MOST_HEAD} bytes`)
    if (end < 0) return undefined
    this.#finish(parseHeaders(bytes.toString('latin1', 0, end), 0))
    return bytes.subarray(end + 4)
  }

  #finish(trailers: RawHeaders): void {
    this.#phase = 'done'
    this.#events.end(trailers)
  }
}

/** A server for HTTPS or HTTP/2, or none at all, is told by its first bytes: there may never be an end of a head. */
function refuseOtherProtocol(bytes: Buffer): void {
  const expected = 'HTTP/1.'
  const came = bytes.toString('latin1', 0, Math.min(bytes.length, expected.length))
  if (!expected.startsWith(came)) throw new MalformedAnswer('the answer does not begin with HTTP/1')
}

/** Where a line ends, undefined while it is too short to tell. */
function endOfLine(bytes: Buffer, most: number): number | undefined {
  const feed = bytes.indexOf(10)
  if (feed < 0 ? bytes.length > most : feed > most)
    throw new MalformedAnswer(`a chunk's first line is longer than ${most} bytes`)
  if (feed < 0) return undefined
  if (feed === 0 || bytes[feed - 1] !== 13) throw new MalformedAnswer('a line ends without a carriage return')
  return feed - 1
}

function parseHead(text: string): AnswerHead {
  const end = text.indexOf('\r\n')
  const line = end < 0 ? text : text.slice(0, end)
  const [, minor, status, reason = ''] = STATUS_LINE.exec(line) ?? []
  if (status === undefined)
    throw new MalformedAnswer('the first line is not HTTP/1.1, a status of three digits and a reason')
  const headers = end < 0 ? NO_TRAILERS : parseHeaders(text, end + 2)
  return { version: `1.${minor}`, status: Number(status), reason, headers }
}

/** Names and values in turn, from `start` on. Lines that go on in the next one, and a lone CR or LF, are refused. */
function parseHeaders(text: string, start: number): RawHeaders {
  const headers: string[] = []
  for (let at = start; at <= text.length; ) {
    const feed = text.indexOf('\r\n', at)
    const end = feed < 0 ? text.length : feed
    const [, name, value] = HEADER_LINE.exec(text.slice(at, end)) ?? []
    if (name === undefined || value === undefined) throw new MalformedAnswer('a line is not NAME: VALUE')
    headers.push(name, endsInSpace(value) ? value.replace(/[\t ]+$/, '') : value)
    at = end + 2
  }
  return headers
}

function endsInSpace(value: string): boolean {
  const last = value.charCodeAt(value.length - 1)
  return last === 32 || last === 9
}
