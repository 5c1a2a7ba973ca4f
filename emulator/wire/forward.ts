/**
 * Passing a request on to another server and its answer back, on raw HTTP/1.1: bodies stream both ways as they come, either
 * side's pace holds back the other, and either side going away ends the other.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { AnswerEnd, AnswerHead } from './answer-reader.ts'
import { type Framing, hasBody } from './framing.ts'
import { guarded } from './guard.ts'
import { answerFraming, MOST_HINTS, requestHead, writeEarlyHints, writeHead } from './head.ts'
import { HOP_BY_HOP } from './hop-by-hop.ts'
import {
  createOutbound,
  type Exchange,
  type ExchangeEvents,
  type ExchangeFailure,
  type Outbound,
  type Upstream,
} from './outbound.ts'
import { pairs, type RawHeaders } from './raw-headers.ts'
import { systemTimer, type Timer } from './timer.ts'

export interface Forward {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  /** How the request is framed; `headers` says the same. */
  readonly framing: Framing
  readonly upstream: Upstream
  readonly target: string
  readonly headers: readonly string[]
  readonly responseHeaders: (raw: RawHeaders) => string[]
  /** For the whole of the request, its answer's last byte included. Milliseconds; none where left out. */
  readonly timeout?: number
  /** Largest request body, and largest body of a response that says its length. Bytes. */
  readonly limit: number
  /** The connection itself, when the caller asks to go on as a WebSocket, and what it has already sent. */
  readonly upgrade?: { readonly socket: Duplex; readonly head: Buffer }
}

export type Failure =
  | 'unreachable'
  | 'died'
  | 'malformed'
  | 'contradictory'
  | 'timeout'
  | 'request-too-large'
  | 'response-too-large'

export type Outcome =
  /** The head of the other server's answer is on its way to the caller. */
  | { readonly kind: 'answered'; readonly status: number }
  /** Nothing has been answered: the caller is still owed a page. */
  | { readonly kind: 'failed'; readonly failure: Failure; readonly detail: string }
  /** The caller went away before there was an answer. */
  | { readonly kind: 'abandoned' }

export interface Forwarder {
  /**
   * Resolves with the answer's head, or why there is none. Bodies go on streaming after that. Rejects for a fault of the
   * emulator's own, when the caller is still owed a page.
   */
  forward(job: Forward): Promise<Outcome>
  close(): void
}

/** Shorter than the idle timeouts of common servers (Node: 5 s), so that a connection is rarely closed under a request. Milliseconds. */
const IDLE = 4000
/** The most connections to one server that wait for a request. */
const MOST_IDLE = 256
/** Methods whose requests have no body where none is said. */
const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'])
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

export interface ForwarderOptions {
  readonly timer?: Timer
  /** Lines about faults of the emulator's own in the middle of an answer. */
  readonly log?: (line: string) => void
}

export function createForwarder({ timer = systemTimer, log = () => {} }: ForwarderOptions = {}): Forwarder {
  const outbound = createOutbound({ idle: IDLE, most: MOST_IDLE })
  return {
    forward: (job) =>
      new Promise((resolve, reject) => {
        // A caller that left while it was being checked: its `close` has been.
        if (job.outgoing.destroyed) resolve({ kind: 'abandoned' })
        else new Passage(job, outbound, timer, { resolve, reject, log }).send(false)
      }),
    close: () => outbound.close(),
  }
}

interface Report {
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (fault: unknown) => void
  readonly log: (line: string) => void
}

/** One request on its way. */
class Passage implements ExchangeEvents {
  readonly #job: Forward
  readonly #outbound: Outbound
  readonly #report: Report
  readonly #body: boolean
  readonly #stopTimer: () => void
  #exchange: Exchange | undefined
  /** How to end a connection that has changed its protocol. */
  #endUpgraded: (() => void) | undefined
  #hints = 0
  /** What was told of this request. */
  #settled: Outcome['kind'] | 'fault' | undefined
  /** The head of the answer is written, and nothing behind it yet. */
  #headAlone = false
  /** The head that changes the protocol, until the bytes that came with it are at hand. */
  #switching: AnswerHead | undefined
  #paused = false

  constructor(job: Forward, outbound: Outbound, timer: Timer, report: Report) {
    this.#job = job
    this.#outbound = outbound
    this.#report = report
    this.#body = hasBody(job.framing)
    const { timeout, incoming, outgoing } = job
    this.#stopTimer =
      timeout === undefined
        ? () => {}
        : timer(
            this.#guarded(() => this.#fail('timeout', `no complete answer in ${timeout} ms`)),
            timeout,
          )
    // `close` comes after the last byte too: then there is nothing left to end.
    const closed = this.#guarded(() => {
      this.#stopTimer()
      if (!outgoing.writableFinished) this.#exchange?.destroy()
      this.#settle({ kind: 'abandoned' })
    })
    outgoing.on('close', closed)
    const broken = this.#guarded(() => outgoing.destroy())
    outgoing.on('error', broken)
    // Told by `close` as well; an `error` that nobody listens to would end the process.
    const ignored = this.#guarded(() => {})
    incoming.on('error', ignored)
  }

  /** `fresh`: on a new connection, whatever is kept. */
  send(fresh: boolean): void {
    const { incoming, upstream, target, headers, framing, upgrade } = this.#job
    const { method = 'GET' } = incoming
    const silent = framing.kind === 'none' && !BODILESS.has(method)
    // Saying that a body is empty, where one is usual, is the standard's own advice.
    const head = requestHead(method, target, silent ? [...headers, 'Content-Length', '0'] : headers)
    if (head === undefined) {
      this.#fail('malformed', 'the request has a header that cannot be passed on')
      return
    }
    this.#exchange = this.#outbound.send(upstream, head, this, fresh || upgrade !== undefined)
    if (this.#body) this.#sendBody(this.#exchange)
    else this.#exchange.finish()
  }

  #sendBody(exchange: Exchange): void {
    const { incoming, limit, framing } = this.#job
    const chunked = framing.kind === 'chunked'
    let size = 0
    const take = this.#guarded((chunk: Buffer) => {
      // Whoever is answered, or refused, before all has come: the rest is read and forgotten.
      if (exchange !== this.#exchange) return
      size += chunk.length
      if (chunked && size > limit) {
        this.#fail('request-too-large', `more than ${limit} bytes`)
        return
      }
      if (chunked) exchange.write(`${chunk.length.toString(16)}\r\n`)
      const ready = exchange.write(chunk)
      if (chunked) exchange.write('\r\n')
      if (!ready) incoming.pause()
    })
    const finish = this.#guarded(() => {
      if (exchange !== this.#exchange) return
      if (chunked) exchange.write('0\r\n\r\n')
      exchange.finish()
    })
    incoming.on('data', take)
    incoming.on('end', finish)
  }

  drain(): void {
    this.#job.incoming.resume()
  }

  /** Node marks a response whose 100 its listener has sent already: one is enough. */
  interim({ status, headers }: AnswerHead): void {
    const { incoming, outgoing, upgrade } = this.#job
    if (this.#settled || upgrade || incoming.httpVersion !== '1.1') return
    if (status === 100 && incoming.headers.expect && Reflect.get(outgoing, '_sent100') !== true)
      outgoing.writeContinue()
    if (status !== 103 || this.#hints >= MOST_HINTS) return
    this.#hints += 1
    writeEarlyHints(outgoing, headers)
  }

  head(head: AnswerHead): AnswerEnd | undefined {
    const { incoming, outgoing, limit, responseHeaders, upgrade } = this.#job
    if (this.#settled) return undefined
    const { status, reason, headers } = head
    if (status === 101) {
      if (upgrade && isWebSocket(headers)) this.#switching = head
      else this.#fail('malformed', 'a change of protocol that nobody asked for')
      return undefined
    }
    const framing = answerFraming(head)
    if (framing.kind === 'malformed') {
      this.#fail(status === 204 ? 'contradictory' : 'malformed', framing.fault)
      return undefined
    }
    const bodiless = incoming.method === 'HEAD' || status === 204 || status === 304
    if (framing.kind === 'length' && framing.length > limit && !bodiless) {
      this.#fail('response-too-large', `${framing.length} bytes in one piece`)
      return undefined
    }
    outgoing.removeHeader('connection')
    const fault = writeHead(outgoing, status, reason, responseHeaders(headers))
    if (fault !== undefined) {
      this.#fail('malformed', fault)
      return undefined
    }
    this.#settle({ kind: 'answered', status })
    this.#headAlone = framing.kind !== 'length'
    if (bodiless) return { kind: 'none' }
    return framing.kind === 'none' ? { kind: 'close' } : framing
  }

  data(chunk: Buffer, last: boolean): void {
    const { outgoing } = this.#job
    this.#headAlone = false
    if (last) outgoing.end(chunk)
    else if (!outgoing.write(chunk) && !this.#paused) {
      this.#paused = true
      this.#exchange?.pause()
      const goOn = this.#guarded(() => {
        this.#paused = false
        this.#exchange?.resume()
      })
      outgoing.once('drain', goOn)
    }
  }

  settled(): void {
    if (this.#switching) this.#switch(this.#switching)
    // What has no length may be long in coming: its head must not wait for the first byte.
    if (!this.#headAlone) return
    this.#headAlone = false
    this.#job.outgoing.flushHeaders()
  }

  /** The answer is whole; what is still being uploaded is read and forgotten, so that the caller gets to read it. */
  end(raw: RawHeaders): void {
    const { incoming, outgoing } = this.#job
    this.#headAlone = false
    const exchange = this.#exchange
    this.#exchange = undefined
    if (!outgoing.writableEnded) {
      const trailers = pairs(raw).filter(([name]) => !HOP_BY_HOP.has(name.toLowerCase()))
      if (trailers.length > 0) outgoing.addTrailers(trailers)
      outgoing.end()
    }
    if (!this.#body || incoming.readableEnded) return
    // Whoever still has a request to send cannot be given the next one.
    exchange?.destroy()
    incoming.resume()
  }

  failed({ kind, detail, stale }: ExchangeFailure): void {
    if (this.#settled) {
      this.#cut()
      return
    }
    const repeatable = !this.#body && IDEMPOTENT.has(this.#job.incoming.method ?? '')
    // A kept connection that was closed at the moment of sending: the server never saw the request.
    if (stale && repeatable) this.send(true)
    else this.#fail(kind, detail)
  }

  fault(error: unknown): void {
    this.#fault(error)
  }

  /** The server changes the protocol: from here on bytes go both ways. */
  #switch(head: AnswerHead): void {
    const { incoming, outgoing, upgrade, responseHeaders } = this.#job
    this.#switching = undefined
    if (!upgrade || !this.#exchange) return
    const { socket } = upgrade
    const { socket: upstream, rest } = this.#exchange.detach()
    this.#exchange = undefined
    const lines = ['HTTP/1.1 101 Switching Protocols']
    const headers = [...responseHeaders(head.headers), 'Connection', 'Upgrade', 'Upgrade', 'websocket']
    for (const [name, value] of pairs(headers)) lines.push(`${name}: ${value}`)
    this.#settle({ kind: 'answered', status: 101 })
    outgoing.detachSocket(incoming.socket)

    const end = this.#guarded(() => {
      this.#stopTimer()
      socket.destroy()
      upstream.destroy()
    })
    for (const side of [socket, upstream]) {
      side.on('error', end)
      side.on('close', end)
    }
    this.#endUpgraded = end
    socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
    if (rest.length > 0) socket.write(rest)
    if (upgrade.head.length > 0) upstream.write(upgrade.head)
    upstream.pipe(socket)
    socket.pipe(upstream)
  }

  #fail(failure: Failure, detail: string): void {
    if (this.#settled) {
      this.#cut()
      return
    }
    this.#settle({ kind: 'failed', failure, detail })
    this.#stop()
  }

  /** Nobody waits for this request any more. */
  #stop(): void {
    this.#stopTimer()
    this.#exchange?.destroy()
    this.#exchange = undefined
    this.#job.incoming.resume()
  }

  /** A broken answer must not look like a whole one: the caller's connection is cut. */
  #cut(): void {
    if (this.#settled !== 'answered') return
    this.#endUpgraded?.()
    this.#exchange?.destroy()
    this.#exchange = undefined
    this.#job.outgoing.destroy()
  }

  #settle(outcome: Outcome): void {
    if (this.#settled) return
    this.#settled = outcome.kind
    this.#report.resolve(outcome)
  }

  #guarded<A extends readonly unknown[]>(work: (...args: A) => void): (...args: A) => void {
    return guarded((error: unknown) => this.#fault(error), work)
  }

  /** A fault of our own: whoever asked answers for it, or, where an answer has begun, it is cut. */
  #fault(error: unknown): void {
    if (this.#settled) {
      this.#report.log(`fault: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
      this.#cut()
      return
    }
    this.#settled = 'fault'
    this.#report.reject(error)
    this.#stop()
  }
}

function isWebSocket(raw: RawHeaders): boolean {
  return pairs(raw).some(
    ([name, value]) => name.toLowerCase() === 'upgrade' && value.toLowerCase() === 'websocket',
  )
}
