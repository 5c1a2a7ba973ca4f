/**
 * The one port as a proxy: CONNECT, and requests for hosts that are not Google's.
 *
 * TLS to Google's names ends here; every other connection passes through untouched, to an address that was judged before
 * (destination.ts) and to no other: an open proxy on a network would be somebody else's way in.
 */
import type { ServerResponse } from 'node:http'
import { type Socket, connect as tcpConnect } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { createForwarder } from '../wire/forward.ts'
import { framingHeaders, framingOf } from '../wire/framing.ts'
import { guarded } from '../wire/guard.ts'
import { endToEnd } from '../wire/hop-by-hop.ts'
import type { Authority } from './authority.ts'
import type { Destination } from './destination.ts'
import type { FrontExchange, FrontRequest, Peer } from './request.ts'

export interface ProxyOptions {
  readonly authority: () => Promise<Authority>
  readonly now: () => number
  /** Lines about faults of the emulator's own. */
  readonly log?: (line: string) => void
}

export interface ForwardProxy {
  handle(exchange: FrontExchange, destination: Elsewhere): Promise<void>
  upgrade(request: FrontRequest, socket: Duplex, head: Buffer): Promise<void>
  /** `accept` takes the decrypted connection as if it had come in by the listener itself. */
  connect(
    request: FrontRequest,
    destination: Destination,
    socket: Duplex,
    head: Buffer,
    accept: (socket: Duplex, peer: Peer) => void,
  ): Promise<void>
  close(): void
}

type Elsewhere = Extract<Destination, { readonly kind: 'elsewhere' }>

export function createProxy({ authority, now, log = () => {} }: ProxyOptions): ForwardProxy {
  const forwarder = createForwarder({ log })
  return {
    async handle({ incoming, outgoing, framing, host, target }, { addresses, port }) {
      const outcome = await forwarder.forward({
        incoming,
        outgoing,
        framing,
        upstream: { protocol: 'http:', hostname: await reachable(addresses, port), port: String(port) },
        target,
        headers: [...endToEnd(incoming.rawHeaders), ...framingHeaders(framing)],
        responseHeaders: answerHeaders,
        limit: Number.POSITIVE_INFINITY,
      })
      if (outcome.kind !== 'failed') return
      const { failure, detail } = outcome
      const what = failure === 'unreachable' ? 'cannot be reached' : 'did not answer as HTTP asks'
      say(
        outgoing,
        502,
        `${host} ${what}: ${detail}. It is not one of Google's names, so it was asked for as it is.`,
      )
    },

    close: () => forwarder.close(),

    async upgrade(_request, socket) {
      answer(
        socket,
        '501 Not Implemented',
        "Connections to hosts that are not Google's are upgraded through CONNECT only.",
      )
    },

    async connect(request, destination, socket, head, accept) {
      const { incoming, host, port = 443, peer } = request
      if (destination.kind === 'refused') {
        const status = destination.status === 403 ? '403 Forbidden' : '502 Bad Gateway'
        return answer(socket, status, destination.message)
      }
      if (destination.kind === 'elsewhere') return tunnel(host, destination, socket, head)
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      if (head.length > 0) socket.unshift(head)
      const cut = () => void socket.destroy()
      if (port === 80) {
        // Bun's server loses answers on a connection that it has had before.
        const [inner, outer] = duplexPair()
        socket.pipe(outer).pipe(socket)
        socket.on(
          'close',
          guarded(cut, () => void outer.destroy()),
        )
        outer.on('error', guarded(cut, cut))
        return accept(inner, peer)
      }
      const secureContext = await (await authority()).contextFor(host, now())
      const decrypted = new TLSSocket(incoming.socket, {
        isServer: true,
        secureContext,
        ALPNProtocols: ['http/1.1'],
      })
      decrypted.on(
        'error',
        guarded(cut, () => void decrypted.destroy()),
      )
      accept(decrypted, peer)
    },
  }
}

async function tunnel(
  host: string,
  { addresses, port }: Elsewhere,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const upstream = await dial(addresses, port)
  if (upstream instanceof Error)
    return answer(socket, '502 Bad Gateway', `${host}:${port} cannot be reached: ${upstream.message}`)
  const cut = () => {
    socket.destroy()
    upstream.destroy()
  }
  upstream.on('error', guarded(cut, cut))
  socket.on('close', guarded(cut, cut))
  if (socket.destroyed) return void upstream.destroy()
  socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
  if (head.length > 0) upstream.write(head)
  upstream.pipe(socket).pipe(upstream)
}

/** A connection to the first of these addresses that takes one, or why the last did not. */
async function dial(addresses: readonly string[], port: number): Promise<Socket | Error> {
  let trouble = new Error('it has no address')
  for (const address of addresses) {
    // Either side of a tunnel may close its half, and still listen.
    const upstream = tcpConnect({ port, host: address, allowHalfOpen: true })
    const outcome = await new Promise<Socket | Error>((resolve, reject) => {
      upstream.on(
        'connect',
        guarded(reject, () => resolve(upstream)),
      )
      upstream.on('error', guarded(reject, resolve))
    })
    if (!(outcome instanceof Error)) return outcome
    trouble = outcome
  }
  return trouble
}

/** The first of these addresses that takes a connection; where none does, the last, so that asking it says why. */
async function reachable(addresses: readonly string[], port: number): Promise<string> {
  const last = addresses.at(-1) ?? ''
  if (addresses.length < 2) return last
  for (const address of addresses) {
    const tried = await dial([address], port)
    if (tried instanceof Error) continue
    tried.destroy()
    return address
  }
  return last
}

function answer(socket: Duplex, status: string, text: string): void {
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(text) + 1}\r\nConnection: close\r\n\r\n${text}\n`,
  )
}

function say(outgoing: ServerResponse, status: number, text: string): void {
  if (outgoing.headersSent || outgoing.destroyed) return void outgoing.destroy()
  outgoing.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(text) + 1,
  })
  outgoing.end(`${text}\n`)
}

/** How the answer is framed is said once: its length, or, by Node itself, that it comes in chunks. */
function answerHeaders(raw: readonly string[]): string[] {
  const framing = framingOf(raw, '1.1')
  return [...endToEnd(raw), ...(framing.kind === 'length' ? framingHeaders(framing) : [])]
}
