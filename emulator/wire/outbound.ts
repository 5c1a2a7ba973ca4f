/**
 * Connections to other servers, kept for the next request, with one request on each at a time. Raw sockets: a client
 * library's request object costs more than everything else that the front door does for a request.
 */
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectSecure } from 'node:tls'
import { type AnswerEnd, type AnswerHead, AnswerReader, MalformedAnswer } from './answer-reader.ts'
import { attempt, guarded } from './guard.ts'
import type { RawHeaders } from './raw-headers.ts'

/** What happens to one request. Nothing is called after `end`, `failed` or {@link Exchange.destroy}. */
export interface ExchangeEvents {
  interim(head: AnswerHead): void
  /** Returns how the body ends, or undefined when nothing more of the answer is wanted. */
  head(head: AnswerHead, exchange: Exchange): AnswerEnd | undefined
  data(chunk: Buffer, last: boolean): void
  /** All bytes that had come have been handled: a good moment to send on what was made of them. */
  settled(): void
  end(trailers: RawHeaders): void
  failed(failure: ExchangeFailure): void
  /** The request's body may be written again. */
  drain(): void
  /** What one of the above threw. */
  fault(error: unknown): void
}

export interface ExchangeFailure {
  /** Never connected; closed too early; answered what is no HTTP. */
  readonly kind: 'unreachable' | 'died' | 'malformed'
  readonly detail: string
  /** The connection was an older one, and closed before one byte of an answer: the server may never have seen the request. */
  readonly stale: boolean
}

export interface Exchange {
  /** Sends bytes of the body as they are. False: wait for `drain`. */
  write(bytes: Buffer | string): boolean
  /** The request has been sent whole. */
  finish(): void
  pause(): void
  resume(): void
  /** Ends the connection; nothing is told any more. */
  destroy(): void
  /** Takes the connection over, with what has come behind the answer's head. */
  detach(): { readonly socket: Socket; readonly rest: Buffer }
}

/** Where a server is: `http:` or `https:`, a name or address, a port or none. */
export type Upstream = Pick<URL, 'protocol' | 'hostname' | 'port'>

export interface OutboundOptions {
  /** How long a connection that nobody uses is kept. Milliseconds. */
  readonly idle: number
  /** The most of those, a server. */
  readonly most: number
}

export interface Outbound {
  /** Sends a head, and tells what comes back. `fresh`: on a new connection, whatever is kept. */
  send(upstream: Upstream, head: string, events: ExchangeEvents, fresh: boolean): Exchange
  close(): void
}

const NOTHING = Buffer.alloc(0)

export function createOutbound({ idle, most }: OutboundOptions): Outbound {
  const kept = new Map<string, Connection[]>()
  const all = new Set<Connection>()
  // One look at all of them: a timer a connection would cost as much as the request.
  const sweep = setInterval(
    () => {
      const latest = Date.now() - idle
      for (const connection of all) connection.endIfIdleSince(latest)
    },
    Math.max(50, idle / 4),
  )
  sweep.unref()

  const pool = {
    release(connection: Connection) {
      const list = kept.get(connection.origin) ?? []
      if (list.length >= most) return connection.destroy()
      kept.set(connection.origin, list)
      list.push(connection)
    },
    forget(connection: Connection) {
      all.delete(connection)
      const list = kept.get(connection.origin)
      const at = list?.indexOf(connection) ?? -1
      if (list === undefined || at < 0) return
      list.splice(at, 1)
      if (list.length === 0) kept.delete(connection.origin)
    },
  }
  const take = (origin: string): Connection | undefined => {
    const latest = Date.now() - idle
    for (let found = kept.get(origin)?.pop(); found; found = kept.get(origin)?.pop()) {
      if (found.isUsable(latest)) return found
      found.destroy()
    }
    return undefined
  }

  return {
    send(upstream, head, events, fresh) {
      const known = fresh ? undefined : take(originOf(upstream))
      const connection = known ?? new Connection(upstream, pool)
      all.add(connection)
      return connection.begin(head, events)
    },
    close() {
      clearInterval(sweep)
      for (const connection of all) connection.destroy()
    },
  }
}

interface Pool {
  release(connection: Connection): void
  forget(connection: Connection): void
}

/** One connection, and the request on it. */
class Connection {
  readonly origin: string
  readonly #pool: Pool
  readonly #socket: Socket
  #connected = false
  #open = true
  /** How many requests it has had. */
  #count = 0
  #idleSince = 0
  #run: Run | undefined

  constructor(upstream: Upstream, pool: Pool) {
    this.origin = originOf(upstream)
    this.#pool = pool
    this.#socket = open(upstream)
    this.#socket.setNoDelay(true)
    const connect = this.#guarded(() => {
      this.#connected = true
    })
    const take = this.#guarded((chunk: Buffer) => (this.#run ? this.#run.take(chunk) : this.destroy()))
    const drain = this.#guarded(() => this.#run?.drain())
    const close = this.#guarded(() => this.#ended('the connection was closed'))
    const fail = this.#guarded((error: Error & { readonly code?: string }) =>
      this.#ended(error.code ?? error.message),
    )
    this.#socket.on(upstream.protocol === 'https:' ? 'secureConnect' : 'connect', connect)
    this.#socket.on('data', take)
    this.#socket.on('drain', drain)
    this.#socket.on('end', close)
    this.#socket.on('error', fail)
    this.#socket.on('close', close)
  }

  isUsable(latest: number): boolean {
    return this.#open && this.#idleSince > latest
  }

  endIfIdleSince(latest: number): void {
    if (this.#run === undefined && this.#idleSince <= latest) this.destroy()
  }

  begin(head: string, events: ExchangeEvents): Exchange {
    this.#count += 1
    this.#run = new Run(this.#socket, events, () => this.#finished())
    this.#socket.write(head, 'latin1')
    return this.#run
  }

  destroy(): void {
    this.#open = false
    this.#run = undefined
    this.#pool.forget(this)
    this.#socket.destroy()
  }

  /** The run is over: the connection serves the next one, is somebody else's by now, or ends. */
  #finished(): void {
    const run = this.#run
    this.#run = undefined
    if (run?.detached) {
      this.#open = false
      this.#pool.forget(this)
    } else if (run?.reusable && this.#open) {
      this.#idleSince = Date.now()
      this.#pool.release(this)
    } else {
      this.destroy()
    }
  }

  /** What throws here ends the connection, and is told to whoever waits for an answer on it. */
  #guarded<A extends readonly unknown[]>(work: (...args: A) => void): (...args: A) => void {
    return guarded((error: unknown) => {
      const run = this.#run
      this.destroy()
      run?.fault(error)
    }, work)
  }

  #ended(detail: string): void {
    if (!this.#open) return
    const run = this.#run
    this.destroy()
    const kind = this.#connected ? 'died' : 'unreachable'
    run?.ended({ kind, detail, stale: this.#count > 1 })
  }
}

function originOf({ protocol, hostname, port }: Upstream): string {
  return `${protocol}//${hostname}:${port}`
}

function open(upstream: Upstream): Socket {
  const secure = upstream.protocol === 'https:'
  const host = upstream.hostname.replace(/^\[|\]$/g, '')
  const port = Number(upstream.port || (secure ? 443 : 80))
  if (!secure) return connectPlain({ host, port })
  const name = isIP(host) === 0 ? { servername: host } : {}
  return connectSecure({ host, port, ALPNProtocols: ['http/1.1'], ...name })
}

/** One request and its answer. */
class Run implements Exchange {
  readonly #socket: Socket
  readonly #events: ExchangeEvents
  readonly #done: () => void
  readonly #reader: AnswerReader
  #rest: Buffer = NOTHING
  #over = false
  #sent = false
  #answering = false
  #keepAlive = false
  detached = false

  constructor(socket: Socket, events: ExchangeEvents, done: () => void) {
    this.#socket = socket
    this.#events = events
    this.#done = done
    this.#reader = new AnswerReader({
      interim: (head) => events.interim(head),
      head: (head) => {
        this.#keepAlive = head.version === '1.1' && !closes(head.headers)
        return events.head(head, this)
      },
      data: (chunk, last) => {
        if (!this.#over) events.data(chunk, last)
      },
      end: (trailers) => {
        if (!this.#over) events.end(trailers)
      },
    })
  }

  get reusable(): boolean {
    return this.#keepAlive && this.#sent && this.#reader.done && this.#rest.length === 0
  }

  take(chunk: Buffer): void {
    this.#answering = true
    this.#attempt(() => {
      this.#rest = this.#reader.push(chunk)
      if (!this.#over) this.#events.settled()
    })
    if (this.#reader.done && !this.#over && this.#sent) this.#leave()
  }

  drain(): void {
    if (!this.#over) this.#attempt(() => this.#events.drain())
  }

  /** The connection has ended under it. */
  ended(failure: ExchangeFailure): void {
    if (this.#over) return
    this.#attempt(() => {
      const whole = this.#answering && this.#reader.close()
      this.#over = true
      if (whole) return
      attempt(
        () => this.#events.failed({ ...failure, stale: failure.stale && !this.#answering }),
        (error) => this.fault(error),
      )
    })
  }

  fault(error: unknown): void {
    this.#over = true
    this.#events.fault(error)
  }

  write(bytes: Buffer | string): boolean {
    return this.#over || this.#socket.write(bytes, 'latin1')
  }

  finish(): void {
    this.#sent = true
    if (this.#reader.done && !this.#over) this.#leave()
  }

  pause(): void {
    if (!this.#over) this.#socket.pause()
  }

  resume(): void {
    if (!this.#over) this.#socket.resume()
  }

  destroy(): void {
    if (this.#over) return
    this.#over = true
    this.#keepAlive = false
    this.#done()
  }

  detach(): { readonly socket: Socket; readonly rest: Buffer } {
    this.#over = true
    this.detached = true
    for (const event of ['data', 'drain', 'end', 'error', 'close']) this.#socket.removeAllListeners(event)
    this.#done()
    return { socket: this.#socket, rest: this.#rest }
  }

  #leave(): void {
    this.#over = true
    // A pause may be left over from a caller that went away.
    this.#socket.resume()
    this.#done()
  }

  #attempt(work: () => void): void {
    attempt(work, (error) => {
      if (this.#over) return
      this.destroy()
      if (!(error instanceof MalformedAnswer)) return this.#events.fault(error)
      attempt(
        () => this.#events.failed({ kind: 'malformed', detail: error.message, stale: false }),
        (fault) => this.fault(fault),
      )
    })
  }
}

/** True where the answer's head says that nothing follows on this connection. */
function closes(raw: RawHeaders): boolean {
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index]
    if (name?.length !== 10 || name.toLowerCase() !== 'connection') continue
    if (/(?:^|,)[\t ]*close[\t ]*(?:,|$)/i.test(raw[index + 1] ?? '')) return true
  }
  return false
}
