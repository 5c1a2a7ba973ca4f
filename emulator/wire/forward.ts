/**
 * Passing a request on to another server and its answer back, on raw HTTP/1.1: bodies stream both ways as they come, either
 * side's pace holds back the other, and either side going away ends the other.
 */
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import { type Framing, hasBody } from './framing.ts'
import { guarded } from './guard.ts'
import { answerFraming, MOST_HINTS, writeEarlyHints, writeHead } from './head.ts'
import { HOP_BY_HOP } from './hop-by-hop.ts'
import { pairs, type RawHeaders } from './raw-headers.ts'
import { systemTimer, type Timer } from './timer.ts'

export interface Forward {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  /** How the request is framed; `headers` says the same. */
  readonly framing: Framing
  readonly upstream: Pick<URL, 'protocol' | 'hostname' | 'port'>
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
/** Methods that Node sends without a body when none is given. */
const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'])
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

export interface ForwarderOptions {
  readonly timer?: Timer
  /** Lines about faults of the emulator's own in the middle of an answer. */
  readonly log?: (line: string) => void
}

export function createForwarder({ timer = systemTimer, log = () => {} }: ForwarderOptions = {}): Forwarder {
  const pools: Pools = {
    http: new HttpAgent({ keepAlive: true, timeout: IDLE, maxFreeSockets: 256 }),
    https: new HttpsAgent({ keepAlive: true, timeout: IDLE, maxFreeSockets: 256 }),
  }
  return {
    forward: (job) =>
      new Promise((resolve, reject) => {
        // A caller that left while it was being checked: its `close` has been.
        if (job.outgoing.destroyed) resolve({ kind: 'abandoned' })
        else new Passing(job, pools, timer, { resolve, reject, log }).send(false)
      }),
    close() {
      pools.http.destroy()
      pools.https.destroy()
    },
  }
}

interface Pools {
  readonly http: HttpAgent
  readonly https: HttpsAgent
}

interface Telling {
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (fault: unknown) => void
  readonly log: (line: string) => void
}

/** One request on its way. */
class Passing {
  readonly #job: Forward
  readonly #pools: Pools
  readonly #telling: Telling
  readonly #body: boolean
  readonly #stopTimer: () => void
  #request: ClientRequest | undefined
  /** How to end a connection that has changed its protocol. */
  #endUpgraded: (() => void) | undefined
  #hints = 0
  /** What was told of this request. */
  #settled: Outcome['kind'] | 'fault' | undefined

  constructor(job: Forward, pools: Pools, timer: Timer, telling: Telling) {
    this.#job = job
    this.#pools = pools
    this.#telling = telling
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
    outgoing.on(
      'close',
      this.#guarded(() => {
        this.#stopTimer()
        if (!outgoing.writableFinished) this.#request?.destroy()
        this.#settle({ kind: 'abandoned' })
      }),
    )
    outgoing.on(
      'error',
      this.#guarded(() => outgoing.destroy()),
    )
    // Told by `close` as well; an `error` that nobody listens to would end the process.
    incoming.on(
      'error',
      this.#guarded(() => {}),
    )
  }

  /** `fresh`: on a new connection, whatever the pool holds. */
  send(fresh: boolean): void {
    const { incoming, upstream, target, upgrade } = this.#job
    const secure = upstream.protocol === 'https:'
    const pool = secure ? this.#pools.https : this.#pools.http
    let request: ClientRequest
    try {
      request = (secure ? httpsRequest : httpRequest)({
        host: upstream.hostname.replace(/^\[|\]$/g, ''),
        port: upstream.port || (secure ? 443 : 80),
        method: incoming.method,
        path: target,
        headers: this.#framed(),
        setHost: false,
        agent: fresh || upgrade ? false : pool,
      })
    } catch (error) {
      this.#fail('malformed', messageOf(error))
      return
    }
    this.#request = request
    request.on(
      'continue',
      this.#guarded(() => this.#goOn()),
    )
    request.on(
      'information',
      this.#guarded((info) => this.#interim(info.statusCode, info.rawHeaders)),
    )
    request.on(
      'response',
      this.#guarded((response) => this.#answer(response)),
    )
    request.on(
      'upgrade',
      this.#guarded((response, socket, head) => this.#switch(response, socket, head)),
    )
    request.on(
      'error',
      this.#guarded((error) => this.#broken(request, error)),
    )
    if (this.#body) this.#sendBody(request)
    else request.end()
  }

  /** Node would give a request that came without a body an empty chunked one; saying that it is empty is the standard's own advice. */
  #framed(): readonly string[] {
    const { framing, headers, incoming } = this.#job
    const plain = framing.kind !== 'none' || BODILESS.has(incoming.method ?? 'GET')
    return plain ? headers : [...headers, 'Content-Length', '0']
  }

  #sendBody(request: ClientRequest): void {
    const { incoming, limit, framing } = this.#job
    // The head goes first: the server may answer before the body has come.
    request.flushHeaders()
    if (framing.kind === 'chunked') {
      let size = 0
      const count = this.#guarded((chunk: Buffer) => {
        size += chunk.length
        if (size <= limit) return
        incoming.off('data', count)
        this.#fail('request-too-large', `more than ${limit} bytes`)
      })
      incoming.on('data', count)
    }
    incoming.pipe(request)
  }

  /** Node marks a response whose 100 its listener has sent already: one is enough. */
  #goOn(): void {
    const { incoming, outgoing } = this.#job
    if (this.#mayTell() && incoming.headers.expect && Reflect.get(outgoing, '_sent100') !== true)
      outgoing.writeContinue()
  }

  #interim(status: number, raw: RawHeaders): void {
    if (status !== 103 || !this.#mayTell() || this.#hints >= MOST_HINTS) return
    this.#hints += 1
    writeEarlyHints(this.#job.outgoing, raw)
  }

  /** Whether the caller can be told something before its answer. */
  #mayTell(): boolean {
    const { incoming, upgrade } = this.#job
    return !this.#settled && !upgrade && incoming.httpVersion === '1.1'
  }

  #answer(response: IncomingMessage): void {
    const { incoming, outgoing, limit, responseHeaders } = this.#job
    const { statusCode: status = 0, statusMessage } = response
    if (this.#settled) {
      response.destroy()
      return
    }
    const framing = answerFraming(response)
    if (framing.kind === 'malformed') {
      this.#fail(status === 204 ? 'contradictory' : 'malformed', framing.fault)
      return
    }
    if (framing.kind === 'length' && framing.length > limit && incoming.method !== 'HEAD' && status !== 304) {
      this.#fail('response-too-large', `${framing.length} bytes in one piece`)
      return
    }
    outgoing.removeHeader('connection')
    const fault = writeHead(outgoing, status, statusMessage, responseHeaders(response.rawHeaders))
    if (fault !== undefined) {
      this.#fail('malformed', fault)
      return
    }
    this.#settle({ kind: 'answered', status })
    // What has no length may be long in coming: its head must not wait for the first byte.
    if (framing.kind !== 'length') outgoing.flushHeaders()
    response.on(
      'error',
      this.#guarded(() => this.#cut()),
    )
    response.on(
      'end',
      this.#guarded(() => this.#whole(response)),
    )
    response.on(
      'close',
      this.#guarded(() => {
        if (!response.complete) this.#cut()
      }),
    )
    response.pipe(outgoing)
  }

  /** The answer is whole; what is still being uploaded is read and forgotten, so that the caller gets to read it. */
  #whole(response: IncomingMessage): void {
    const { incoming, outgoing } = this.#job
    const trailers = pairs(response.rawTrailers).filter(([name]) => !HOP_BY_HOP.has(name.toLowerCase()))
    if (trailers.length > 0) outgoing.addTrailers(trailers)
    if (!this.#body || incoming.readableEnded) return
    if (this.#request) incoming.unpipe(this.#request)
    incoming.resume()
  }

  /** The server changes the protocol: from here on bytes go both ways. */
  #switch(response: IncomingMessage, upstream: Duplex, head: Buffer): void {
    const { incoming, outgoing, upgrade, responseHeaders } = this.#job
    const protocol = response.headers.upgrade?.toLowerCase()
    if (!upgrade || protocol !== 'websocket' || this.#settled) {
      upstream.on(
        'error',
        this.#guarded(() => {}),
      )
      upstream.destroy()
      this.#fail('malformed', 'a change of protocol that nobody asked for')
      return
    }
    const { socket } = upgrade
    const lines = ['HTTP/1.1 101 Switching Protocols']
    const headers = responseHeaders(response.rawHeaders)
    headers.push('Connection', 'Upgrade', 'Upgrade', 'websocket')
    for (const [name, value] of pairs(headers)) lines.push(`${name}: ${value}`)
    this.#settle({ kind: 'answered', status: 101 })
    this.#request = undefined
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
    if (head.length > 0) socket.write(head)
    if (upgrade.head.length > 0) upstream.write(upgrade.head)
    upstream.pipe(socket)
    socket.pipe(upstream)
  }

  #broken(request: ClientRequest, error: Error & { readonly code?: string }): void {
    // An answer that has begun tells its own end; an older attempt's end is no news.
    if (request !== this.#request || this.#settled) return
    const { code = '' } = error
    const gone = code === 'ECONNRESET' || code === 'EPIPE' || code === 'ERR_SOCKET_CLOSED'
    const repeatable = !this.#body && IDEMPOTENT.has(this.#job.incoming.method ?? '')
    if (code.startsWith('HPE_')) this.#fail('malformed', error.message)
    // A pooled connection that was closed at the moment of sending: the server never saw the request.
    else if (gone && request.reusedSocket && repeatable) this.send(true)
    else this.#fail(gone ? 'died' : 'unreachable', code || error.message)
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
    const { incoming } = this.#job
    if (this.#request) incoming.unpipe(this.#request)
    this.#request?.destroy()
    incoming.resume()
  }

  /** A broken answer must not look like a whole one: the caller's connection is cut. */
  #cut(): void {
    if (this.#settled !== 'answered') return
    this.#endUpgraded?.()
    this.#request?.destroy()
    this.#job.outgoing.destroy()
  }

  #settle(outcome: Outcome): void {
    if (this.#settled) return
    this.#settled = outcome.kind
    this.#telling.resolve(outcome)
  }

  #guarded<A extends readonly unknown[]>(work: (...args: A) => void): (...args: A) => void {
    return guarded((error: unknown) => this.#fault(error), work)
  }

  /** A fault of our own: whoever asked answers for it, or, where an answer has begun, it is cut. */
  #fault(error: unknown): void {
    if (this.#settled) {
      this.#telling.log(`fault: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
      this.#cut()
      return
    }
    this.#settled = 'fault'
    this.#telling.reject(error)
    this.#stop()
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
