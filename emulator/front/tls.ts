/** TLS by name: a listener that shows each client a certificate for the host it asks for, as Google's front end does. */
import { hostname, networkInterfaces } from 'node:os'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { guarded } from '../wire/guard.ts'
import type { Authority } from './authority.ts'

export interface TlsOptions {
  readonly authority: () => Promise<Authority>
  readonly now: () => number
}

/** What DNS allows; a client may write anything there. */
const HOST = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?$/

/** A server for encrypted connections: `accept` takes each once it is decrypted. */
export async function createTlsServer(
  { authority, now }: TlsOptions,
  accept: (socket: TLSSocket) => void,
): Promise<Server> {
  const issuer = await authority()
  const server = createServer(
    {
      // A client that names nothing has asked for an address.
      ...(await issuer.leafFor(ownNames(), now())),
      ALPNProtocols: ['http/1.1'],
      allowHalfOpen: true, // as without TLS: a caller may have said all it has to say
      SNICallback: (name, done) => {
        const host = name.toLowerCase().replace(/\.$/, '')
        if (host.length > 253 || !HOST.test(host)) return done(new Error('not a host name'))
        issuer.contextFor(host, now()).then(
          (context) => done(null, context),
          (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
        )
      },
    },
    guarded((_error, [socket]) => socket.destroy(), accept),
  )
  // A handshake that fails is the client's affair: most often it was not told whom to trust.
  server.on(
    'tlsClientError',
    guarded(
      (_error, [, socket]) => void socket.destroy(),
      (_cause: Error, socket: TLSSocket) => void socket.destroy(),
    ),
  )
  return server
}

function ownNames(): readonly string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((all = []) =>
    all.map(({ address }) => address),
  )
  return [...new Set(['localhost', hostname().toLowerCase(), ...addresses])]
}
