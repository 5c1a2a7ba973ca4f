/**
 * The one port as a proxy: CONNECT, and requests for hosts that are not Google's.
 *
 * TLS to Google's names ends here; every other connection passes through untouched, to an address that was judged before
 * (destination.ts) and to no other: an open proxy on a network would be somebody else's way in.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { type Socket, connect as tcpConnect } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import { TLSSocket } from 'node:tls'
import type { Authority } from './authority.ts'
import type { Destination } from './destination.ts'
import type { FrontExchange, FrontRequest, Peer } from './request.ts'

export interface ProxyOptions {
  readonly authority: () => Promise<Authority>
  readonly now: () => number
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
}

type Elsewhere = Extract<Destination, { readonly kind: 'elsewhere' }>

export function createProxy({ authority, now }: ProxyOptions): ForwardProxy {
  return {
    async handle({ incoming, outgoing, host, target }, { addresses, port }) {
      const upstream = httpRequest({
        host: await reachable(addresses, port),
        port,
        method: incoming.method,
        path: target,
        headers: throughHeaders(incoming),
      })
      upstream.on('response', (response) => {
        outgoing.writeHead(response.statusCode ?? 502, response.statusMessage, response.rawHeaders)
        response.pipe(outgoing)
      })
      upstream.on('error', (error) => {
        if (outgoing.headersSent) return void outgoing.destroy()
        outgoing.writeHead(502, { 'content-type': 'text/plain; charset=utf-8' })
        outgoing.end(
          `${host} cannot be reached: ${error.message}. It is not one of Google's names, so it was asked for as it is.\n`,
        )
      })
      outgoing.on('close', () => upstream.destroy())
      incoming.pipe(upstream)
    },

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
      if (port === 80) {
        // Bun's server loses answers on a connection that it has had before.
        const [inner, outer] = duplexPair()
        socket.pipe(outer).pipe(socket)
        socket.on('close', () => outer.destroy())
        outer.on('error', () => socket.destroy())
        return accept(inner, peer)
      }
      const secureContext = await (await authority()).contextFor(host, now())
      const decrypted = new TLSSocket(incoming.socket, {
        isServer: true,
        secureContext,
        ALPNProtocols: ['http/1.1'],
      })
      decrypted.on('error', () => decrypted.destroy())
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
  upstream.on('error', () => socket.destroy())
  socket.on('close', () => upstream.destroy())
  if (socket.destroyed) return void upstream.destroy()
  socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
  if (head.length > 0) upstream.write(head)
  upstream.pipe(socket).pipe(upstream)
}

/** A connection to the first of these addresses that takes one, or why the last did not. */
async function dial(addresses: readonly string[], port: number): Promise<Socket | Error> {
  let trouble = new Error('it has no address')
  for (const address of addresses) {
    const upstream = tcpConnect(port, address)
    const outcome = await new Promise<Socket | Error>((resolve) => {
      upstream.once('connect', () => resolve(upstream))
      upstream.once('error', resolve)
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

function throughHeaders(incoming: IncomingMessage): string[] {
  const kept: string[] = []
  for (let index = 0; index + 1 < incoming.rawHeaders.length; index += 2) {
    const [name = '', value = ''] = incoming.rawHeaders.slice(index, index + 2)
    if (!/^proxy-/i.test(name)) kept.push(name, value)
  }
  return kept
}
