/** Opening a listener, with TLS or without, and closing it in order. */
import type { Server } from 'node:http'
import type { Server as Acceptor, AddressInfo, Socket } from 'node:net'
import { guarded } from '../wire/guard.ts'
import type { StandIn } from './read.ts'
import type { Peer } from './request.ts'
import { createTlsServer, type TlsOptions } from './tls.ts'

export interface ListenOptions {
  readonly host: string
  readonly port: number
  /** The revision that this listener was opened for: its identity for the metadata server. */
  readonly instance?: () => Peer['instance']
  /** The control API answers here, too. Not for a listener that services use. */
  readonly control?: true
  /** Whoever comes in here is one of Google's own products. */
  readonly google?: true
  /** Takes every request for this host, whatever host it names. */
  readonly standsFor?: () => StandIn | undefined
  /** Connections are encrypted, and end here. */
  readonly tls?: TlsOptions
}

export interface Listener {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

/** How long a closing listener waits for requests in flight. Milliseconds. */
const DRAIN = 2000

/** Resolves once it listens. What goes wrong on a listener later, too many open files say, is logged: it is no request's fault. */
export async function open(
  server: Server,
  { host, port, tls }: ListenOptions,
  log: (line: string) => void,
): Promise<Listener> {
  const encrypted = new Set<Socket>()
  const acceptor: Acceptor = tls
    ? await createTlsServer(tls, (socket) => {
        encrypted.add(socket)
        const end = () => void socket.destroy()
        socket.on(
          'close',
          guarded(end, () => void encrypted.delete(socket)),
        )
        socket.on('error', guarded(end, end))
        server.emit('connection', socket)
      })
    : server
  const close = () =>
    new Promise<void>((closed) => {
      const force = setTimeout(() => {
        server.closeAllConnections()
        for (const socket of encrypted) socket.destroy()
      }, DRAIN)
      acceptor.close(() => {
        clearTimeout(force)
        closed()
      })
      server.closeIdleConnections()
    })
  return new Promise((resolve, reject) => {
    acceptor.on(
      'error',
      guarded(reject, (error) => {
        reject(error)
        if (acceptor.listening) log(`listener at ${host}: ${error.message}`)
      }),
    )
    acceptor.listen(port, host, () => {
      const bound = acceptor.address() as AddressInfo
      resolve({ host, port: bound.port, close })
    })
  })
}
