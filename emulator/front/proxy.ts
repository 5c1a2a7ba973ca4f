/**
 * The one port as a proxy: CONNECT, and requests for hosts that are not Google's.
 *
 * TLS to Google's names ends here; every other connection passes through untouched, and only for this machine's own programs:
 * an open proxy on a network would be somebody else's way in.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect as tcpConnect } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import { TLSSocket } from 'node:tls'
import type { Authority } from './authority.ts'
import { isAnotherServer, isLoopback, roomFor } from './hosts.ts'
import type { FrontExchange, FrontRequest, Peer } from './request.ts'

export interface ProxyOptions {
  readonly authority: () => Promise<Authority>
  readonly now: () => number
}

export interface ForwardProxy {
  handle(exchange: FrontExchange): Promise<void>
  upgrade(request: FrontRequest, socket: Duplex, head: Buffer): Promise<void>
  /** `accept` takes the decrypted connection as if it had come in by the listener itself. */
  connect(
    request: FrontRequest,
    socket: Duplex,
    head: Buffer,
    accept: (socket: Duplex, peer: Peer) => void,
  ): Promise<void>
}

export function createProxy({ authority, now }: ProxyOptions): ForwardProxy {
  return {
    async handle({ incoming, outgoing, host, port, target, peer }) {
      if (!peer.instance && !isLoopback(peer.address)) {
        outgoing.writeHead(403, { 'content-type': 'text/plain; charset=utf-8' })
        outgoing.end(`${REFUSAL}\n`)
        return
      }
      const upstream = httpRequest({
        host: bare(host),
        port: port ?? 80,
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

    async connect(request, socket, head, accept) {
      const { incoming, host, port = 443, peer } = request
      // A client that goes away in the middle is no fault of anyone's.
      socket.on('error', () => socket.destroy())
      if (roomFor(host, '/', true) === 'elsewhere' || isAnotherServer({ ...request, port })) {
        if (!peer.instance && !isLoopback(peer.address)) return answer(socket, '403 Forbidden', REFUSAL)
        return tunnel(bare(host), port, socket, head)
      }
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

const REFUSAL =
  "Hosts that are not Google's are reached from the emulator's own machine only, and this request comes from another."

function tunnel(host: string, port: number, socket: Duplex, head: Buffer): void {
  const upstream = tcpConnect(port, host)
  let connected = false
  upstream.on('connect', () => {
    connected = true
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    if (head.length > 0) upstream.write(head)
    upstream.pipe(socket).pipe(upstream)
  })
  upstream.on('error', (error) => {
    if (!connected) answer(socket, '502 Bad Gateway', `${host}:${port} cannot be reached: ${error.message}`)
    else socket.destroy()
  })
  socket.on('close', () => upstream.destroy())
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

/** An IPv6 literal without its brackets. */
function bare(host: string): string {
  return host.replace(/^\[|\]$/g, '')
}
