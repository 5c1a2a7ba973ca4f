/**
 * Passing a request on to a container and its answer back, on raw HTTP/1.1: bodies stream both ways as they come, either
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
import { pairs, type RawHeaders } from './raw-headers.ts'

/** Runs something after a time in milliseconds. Returns the way to stop it. */
export type Timer = (work: () => void, delay: number) => () => void

export interface Forward {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly upstream: URL
  readonly target: string
  readonly headers: readonly string[]
  readonly responseHeaders: (raw: RawHeaders) => string[]
  /** For the whole of the request, its answer's last byte included. Milliseconds. */
  readonly timeout: number
  /** Largest request body, and largest body of a response that says its length. Bytes. */
  readonly limit: number
  /** The connection itself, when the caller asks to change its protocol, and what it has already sent. */
  readonly upgrade?: { readonly socket: Duplex; readonly head: Buffer }
}

export type Failure =
  | 'unreachable'
  | 'died'
  | 'malformed'
  | 'timeout'
  | 'request-too-large'
  | 'response-too-large'

export type Outcome =
  /** The head of the container's answer is on its way to the caller. */
  | { readonly kind: 'answered'; readonly status: number }
  /** Nothing has been answered: the caller is still owed a page. */
  | { readonly kind: 'failed'; readonly failure: Failure; readonly detail: string }
  /** The caller went away before there was an answer. */
  | { readonly kind: 'abandoned' }

export interface Forwarder {
  /** Resolves with the answer's head, or why there is none. Bodies go on streaming after that. Never rejects. */
  forward(job: Forward): Promise<Outcome>
  close(): void
}

/** Shorter than the idle timeouts of common servers (Node: 5 s), so that a connection is rarely closed under a request. Milliseconds. */
const IDLE = 4000
/** Methods that Node sends without a body when none is given. */
const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'])
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

export function createForwarder(timer: Timer): Forwarder {
  const pools = {
    http: new HttpAgent({ keepAlive: true, timeout: IDLE, maxFreeSockets: 256 }),
    https: new HttpsAgent({ keepAlive: true, timeout: IDLE, maxFreeSockets: 256 }),
  }
  return {
    forward: (job) =>
      new Promise((resolve) => {
        // A caller that left while it was being checked: its `close` has been.
        if (job.outgoing.destroyed) resolve({ kind: 'abandoned' })
        else new Passing(job, pools, timer, resolve).send(false)
      }),
    close() {
      pools.http.destroy()
      pools.https.destroy()
    },
  }
}

/** One request on its way. */
class Passing {
  readonly #job: Forward
  readonly #pools: { readonly http: HttpAgent; readonly https: HttpsAgent }
  readonly #resolve: (outcome: Outcome) => void
  readonly #body: boolean
  readonly #stopTimer: () => void
  #request: ClientRequest | undefined
  /** How to end a connection that has changed its protocol. */
  #endUpgraded: (() => void) | undefined
  #settled = false

  constructor(
    job: Forward,
    pools: { readonly http: HttpAgent; readonly https: HttpsAgent },
    timer: Timer,
    resolve: (outcome: Outcome) => void,
  ) {
    this.#job = job
    this.#pools = pools
    this.#resolve = resolve
    this.#body = hasBody(job.incoming)
    this.#stopTimer = timer(
      () => this.#fail('timeout', `no complete answer in ${job.timeout} ms`),
      job.timeout,
    )
    // `close` comes after the last byte too: then there is nothing left to end.
    job.outgoing.on('close', () => {
      this.#stopTimer()
      if (!job.outgoing.writableFinished) this.#request?.destroy()
      this.#settle({ kind: 'abandoned' })
    })
    job.outgoing.on('error', () => job.outgoing.destroy())
    // Told by `close` as well; an `error` that nobody listens to would end the process.
    job.incoming.on('error', () => {})
  }

  /** `fresh`: on a new connection, whatever the pool holds. */
  send(fresh: boolean): void {
    const { incoming, upstream, target, headers, upgrade } = this.#job
    const secure = upstream.protocol === 'https:'
    const pool = secure ? this.#pools.https : this.#pools.http
    let request: ClientRequest
    try {
      request = (secure ? httpsRequest : httpRequest)({
        host: upstream.hostname.replace(/^\[|\]$/g, ''),
        port: upstream.port || (secure ? 443 : 80),
        method: incoming.method,
        path: target,
        headers: this.#framed(headers),
        setHost: false,
        agent: fresh || upgrade ? false : pool,
      })
    } catch (error) {
      this.#fail('malformed', messageOf(error))
      return
    }
    this.#request = request
    request.on('continue', () => this.#interim(100, {}))
    request.on('information', (info) => this.#interim(info.statusCode, info.headers))
    request.on('response', (response) => this.#answer(response))
    request.on('upgrade', (response, socket, head) => this.#switch(response, socket, head))
    request.on('error', (error) => this.#broken(request, error))
    if (this.#body) this.#sendBody(request)
    else request.end()
  }

  /** Node would give a request that came without a body an empty chunked one; saying that it is empty is the standard's own advice. */
  #framed(headers: readonly string[]): readonly string[] {
    const { method = 'GET', headers: came } = this.#job.incoming
    const plain = this.#body || came['content-length'] !== undefined || BODILESS.has(method)
    return plain ? headers : [...headers, 'Content-Length', '0']
  }

  #sendBody(request: ClientRequest): void {
    const { incoming, limit } = this.#job
    // The head goes first: the container may answer before the body has come.
    request.flushHeaders()
    if (incoming.headers['content-length'] === undefined) {
      let size = 0
      const count = (chunk: Buffer) => {
        size += chunk.length
        if (size <= limit) return
        incoming.off('data', count)
        this.#fail('request-too-large', `more than ${limit} bytes`)
      }
      incoming.on('data', count)
    }
    incoming.pipe(request)
  }

  #interim(status: number, headers: NodeJS.Dict<string | string[]>): void {
    const { incoming, outgoing, upgrade } = this.#job
    if (this.#settled || upgrade || incoming.httpVersion !== '1.1') return
    // Node marks a response whose 100 its listener has sent already: one is enough.
    if (status === 100 && incoming.headers.expect && Reflect.get(outgoing, '_sent100') !== true)
      outgoing.writeContinue()
    if (status === 103 && headers.link !== undefined) {
      const hints: Record<string, string | string[]> = {}
      for (const [name, value] of Object.entries(headers)) if (value !== undefined) hints[name] = value
      outgoing.writeEarlyHints(hints)
    }
  }

  #answer(response: IncomingMessage): void {
    const { incoming, outgoing, limit, responseHeaders } = this.#job
    const { statusCode: status = 0, statusMessage } = response
    if (this.#settled) {
      response.destroy()
      return
    }
    const length = Number(response.headers['content-length'] ?? 0)
    if (length > limit && incoming.method !== 'HEAD' && status !== 304) {
      this.#fail('response-too-large', `${length} bytes in one piece`)
      return
    }
    try {
      outgoing.removeHeader('connection')
      outgoing.writeHead(status, statusMessage, responseHeaders(response.rawHeaders))
    } catch (error) {
      this.#fail('malformed', messageOf(error))
      return
    }
    this.#settle({ kind: 'answered', status })
    // What has no length may be long in coming: its head must not wait for the first byte.
    if (response.headers['content-length'] === undefined) outgoing.flushHeaders()
    response.on('error', () => this.#cut())
    response.on('end', () => {
      const trailers = pairs(response.rawTrailers)
      if (trailers.length > 0) outgoing.addTrailers(trailers)
      // The answer is whole; what is still being uploaded is read and forgotten, so that the caller gets to read it.
      if (this.#body && !incoming.readableEnded) {
        if (this.#request) incoming.unpipe(this.#request)
        incoming.resume()
      }
    })
    response.pipe(outgoing)
  }

  /** The container changes the protocol: from here on bytes go both ways. */
  #switch(response: IncomingMessage, upstream: Duplex, head: Buffer): void {
    const { incoming, outgoing, upgrade, responseHeaders } = this.#job
    if (!upgrade || this.#settled) {
      upstream.destroy()
      this.#fail('malformed', 'a change of protocol that nobody asked for')
      return
    }
    const { socket } = upgrade
    const lines = [`HTTP/1.1 101 ${response.statusMessage || 'Switching Protocols'}`]
    const headers = responseHeaders(response.rawHeaders)
    headers.push('Connection', 'Upgrade', 'Upgrade', response.headers.upgrade ?? '')
    for (const [name, value] of pairs(headers)) lines.push(`${name}: ${value}`)
    this.#settle({ kind: 'answered', status: 101 })
    this.#request = undefined
    outgoing.detachSocket(incoming.socket)

    const end = () => {
      this.#stopTimer()
      socket.destroy()
      upstream.destroy()
    }
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
    // A pooled connection that was closed at the moment of sending: the container never saw the request.
    else if (gone && request.reusedSocket && repeatable) this.send(true)
    else this.#fail(gone ? 'died' : 'unreachable', code || error.message)
  }

  #fail(failure: Failure, detail: string): void {
    if (this.#settled) {
      this.#cut()
      return
    }
    this.#settle({ kind: 'failed', failure, detail })
    this.#stopTimer()
    const { incoming } = this.#job
    if (this.#request) incoming.unpipe(this.#request)
    this.#request?.destroy()
    incoming.resume()
  }

  /** A broken answer must not look like a whole one: the caller's connection is cut. */
  #cut(): void {
    this.#endUpgraded?.()
    this.#request?.destroy()
    this.#job.outgoing.destroy()
  }

  #settle(outcome: Outcome): void {
    if (this.#settled) return
    this.#settled = true
    this.#resolve(outcome)
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
