/**
 * The listeners. Every listener takes every host: what is asked for decides, not where it was asked.
 *
 * Google's own endpoints are Hono apps. The ingress gets the raw request: what it passes on must arrive unchanged, and a
 * `Request` object has already rewritten its path and joined its headers.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Server as Acceptor, AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { getRequestListener } from '@hono/node-server'
import type { Directory } from '../catalogue/hosts.ts'
import { canonicalAddress, canonicalHost } from './addresses.ts'
import { createJudge, type Destination, type DestinationOptions } from './destination.ts'
import { hostTrouble, NOT_FOR_SERVICES, originTrouble, ownNames } from './guard.ts'
import { type LocalRoom, roomFor, roomForPath } from './hosts.ts'
import type { ForwardProxy } from './proxy.ts'
import type { FrontExchange, FrontRequest, Peer, RoomBindings } from './request.ts'
import { createTlsServer, type TlsOptions } from './tls.ts'

/** A Hono room. */
export interface WebRoom {
  fetch(request: Request, bindings: RoomBindings): Response | Promise<Response>
}

/** A room that works on raw requests. */
export interface RawRoom {
  handle(exchange: FrontExchange): Promise<void>
  upgrade(request: FrontRequest, socket: Duplex, head: Buffer): Promise<void>
}

export interface Rooms {
  readonly directory: Directory
  /** What a product of the directory speaks by. */
  readonly product: (name: string) => WebRoom
  readonly console: WebRoom
  readonly ingress: RawRoom
  /** Requests of this machine's own programs for hosts that are not Google's. */
  readonly elsewhere: ForwardProxy
}

/** Host names that stand for another one: a published port stands for its service. */
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

/** Where a request goes that named another host, or came by another scheme. */
export interface StandIn {
  readonly host: string
  readonly scheme: 'http' | 'https'
}

export interface Listener {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

export interface FrontOptions extends Pick<DestinationOptions, 'serviceAt' | 'resolve'> {
  /** Names that the emulator is reached by, beside those that nobody else can have. */
  readonly aliases?: readonly string[]
}

export interface Front {
  listen(options: ListenOptions): Promise<Listener>
  close(): Promise<void>
}

/** Large enough for any token that is refused for what it says, not for its size; Google's own limit is not established (facts 6.3). */
const MAX_HEADER_BYTES = 256 * 1024

export function createFront(
  rooms: Rooms,
  log: (line: string) => void,
  { aliases = [], ...options }: FrontOptions = {},
): Front {
  const listeners = new Set<Listener>()
  const isOwn = ownNames(aliases)
  const judge = createJudge({ ...options, ports: () => new Set([...listeners].map(({ port }) => port)) })

  return {
    async listen(options) {
      const server = createServer({
        maxHeaderSize: MAX_HEADER_BYTES,
        keepAliveTimeout: 75_000,
        requestTimeout: 0,
      })
      // A connection that came in through CONNECT is another socket by now, of the same peer.
      const peers = new WeakMap<Duplex, Peer>()
      const web = webListener(rooms)

      const read = (incoming: IncomingMessage) => {
        const peer = peers.get(incoming.socket) ?? peerOf(incoming, options)
        return readRequest(incoming, peer, options.standsFor?.())
      }
      const destinationOf = (request: FrontRequest, way: 'plain' | 'tunnel') => {
        const own = { port: listener.port, forService: options.instance !== undefined }
        return judge(request, own, way)
      }
      const serve = async (request: ReadRequest, outgoing: ServerResponse) => {
        const { incoming, host, target } = request
        const room = roomFor(rooms.directory, host, target)
        if (room === 'ingress') return rooms.ingress.handle({ ...request, outgoing })
        if (room !== 'local') return web(request, room, incoming, outgoing)
        if (request.absolute) {
          const destination = await destinationOf(request, 'plain')
          if (destination.kind === 'elsewhere')
            return rooms.elsewhere.handle({ ...request, outgoing }, destination)
          if (destination.kind === 'refused') return refuse(outgoing, destination.status, destination.message)
        }
        // A listener without a control API shows a browser what it shows everyone.
        const local = roomForPath(rooms.directory, target, options.control === true && wantsPage(incoming))
        const trouble =
          hostTrouble(request, isOwn) ??
          (local === 'console' ? (options.control ? originTrouble(request) : NOT_FOR_SERVICES) : undefined)
        if (trouble !== undefined) return refuseJson(outgoing, trouble)
        web(request, local, incoming, outgoing)
      }
      const answer = (incoming: IncomingMessage, outgoing: ServerResponse) => {
        const request = read(incoming)
        if (!request) return badRequest(outgoing)
        serve(request, outgoing).catch((error: unknown) => fault(error, log, outgoing))
      }
      server.on('request', answer)
      // The container, not the listener, says whether it wants a body that was announced with Expect.
      server.on('checkContinue', answer)
      server.on('upgrade', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
        const request = read(incoming)
        const named = request && roomFor(rooms.directory, request.host, request.target)
        const room = named === 'local' && request?.absolute ? 'elsewhere' : named
        if (!request || (room !== 'ingress' && room !== 'elsewhere')) return refuseSocket(socket)
        rooms[room].upgrade(request, socket, head).catch((error: unknown) => fault(error, log, socket))
      })
      server.on('connect', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
        // A client that goes away in the middle is no fault of anyone's.
        socket.on('error', () => socket.destroy())
        const peer = peerOf(incoming, options)
        const request = readRequest(incoming, peer)
        if (!request) return refuseSocket(socket)
        const accept = (inner: Duplex, from: Peer) => {
          peers.set(inner, from)
          server.emit('connection', inner)
        }
        const name = roomFor(rooms.directory, request.host, '/')
        const destination: Promise<Destination> = options.standsFor
          ? Promise.resolve({ kind: 'refused', status: 403, message: NO_PROXY })
          : name === 'local'
            ? destinationOf(request, 'tunnel')
            : Promise.resolve({ kind: 'here' })
        destination
          .then((where) => rooms.elsewhere.connect(request, where, socket, head, accept))
          .catch((error: unknown) => fault(error, log, socket))
      })
      server.on('clientError', (_error: Error, socket: Duplex) => refuseSocket(socket))

      const listener = await open(server, options)
      listeners.add(listener)
      return {
        ...listener,
        close: async () => {
          listeners.delete(listener)
          await listener.close()
        },
      }
    },
    async close() {
      await Promise.all([...listeners].map((listener) => listener.close()))
      listeners.clear()
    },
  }
}

const NO_PROXY = "This port is a service's front door, and no proxy: ask the emulator's own port."

/** A browser. Java's metadata probe accepts text/html too, but says which server it wants. */
function wantsPage({ headers }: IncomingMessage): boolean {
  return (headers.accept ?? '').includes('text/html') && headers['metadata-flavor'] === undefined
}

/** Turns a raw request into a `Request` for the Hono room that it is for. */
function webListener(rooms: Rooms) {
  const routes = new WeakMap<IncomingMessage, { readonly room: WebRoom; readonly bindings: RoomBindings }>()
  const listener = getRequestListener(
    (request, env) => {
      const route = 'incoming' in env ? routes.get(env.incoming as IncomingMessage) : undefined
      return route ? route.room.fetch(request, route.bindings) : new Response(null, { status: 500 })
    },
    { overrideGlobalObjects: false },
  )
  return (request: FrontRequest, room: LocalRoom, incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { host, scheme, peer } = request
    const spoken = room === 'console' ? rooms.console : rooms.product(room.product)
    routes.set(incoming, { room: spoken, bindings: { host, scheme, peer } })
    spellHeaders(outgoing)
    void listener(incoming, outgoing)
  }
}

/** Over HTTP/1.1 Google writes `Content-Type`; a `Headers` object knows only lower case. */
function spellHeaders(outgoing: ServerResponse): void {
  const setHeader = outgoing.setHeader.bind(outgoing)
  outgoing.setHeader = (name, value) => setHeader(titleCase(name), value)
  const writeHead = outgoing.writeHead.bind(outgoing)
  outgoing.writeHead = (status: number, ...rest: unknown[]) => {
    const headers = rest.findLast((part) => typeof part === 'object' && part !== null)
    if (!headers || Array.isArray(headers)) return writeHead(status, ...(rest as []))
    return writeHead(
      status,
      Object.fromEntries(Object.entries(headers).map(([name, value]) => [titleCase(name), value])),
    )
  }
}

const SPELLED = new Map<string, string>([
  ['etag', 'ETag'],
  ['www-authenticate', 'WWW-Authenticate'],
  ['x-xss-protection', 'X-XSS-Protection'],
])

function titleCase(name: string): string {
  const known = SPELLED.get(name)
  if (known) return known
  const spelled = name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase())
  SPELLED.set(name, spelled)
  return spelled
}

const AUTHORITY = /^(\[[0-9a-f:.]+\]|[^:/?#@\\[\]\s]+)(?::(\d{1,5}))?$/i
const ABSOLUTE = /^(https?):\/\/([^/?#]+)(.*)$/is

interface ReadRequest extends FrontRequest {
  /** The target was spelled in full, as a client does towards a proxy. */
  readonly absolute: boolean
}

/** What was asked for, or undefined where no host can be made out. */
function readRequest(incoming: IncomingMessage, peer: Peer, standsFor?: StandIn): ReadRequest | undefined {
  const url = incoming.url ?? '/'
  const absolute = ABSOLUTE.exec(url)
  const connect = incoming.method === 'CONNECT'
  const authority = absolute?.[2] ?? (connect ? url : (incoming.headers.host ?? 'localhost'))
  const [, name, port] = AUTHORITY.exec(authority) ?? []
  const host = standsFor?.host ?? (name && canonicalHost(name))
  if (!host) return undefined
  const rest = absolute ? (absolute[3] ?? '') : connect ? '/' : url
  const request = {
    incoming,
    host,
    scheme: standsFor?.scheme ?? schemeOf(incoming, absolute?.[1]),
    target: rest.startsWith('/') ? rest : `/${rest}`,
    peer,
    absolute: absolute !== null,
  }
  return port && !standsFor ? { ...request, port: Number(port) } : request
}

function schemeOf(incoming: IncomingMessage, spelled?: string): 'http' | 'https' {
  const encrypted = 'encrypted' in incoming.socket && incoming.socket.encrypted === true
  return encrypted || spelled?.toLowerCase() === 'https' ? 'https' : 'http'
}

function peerOf(incoming: IncomingMessage, options: ListenOptions): Peer {
  const address = canonicalAddress(incoming.socket.remoteAddress ?? '')
  const instance = options.instance?.()
  if (options.google) return { address, google: true }
  return instance ? { address, instance } : { address }
}

function refuse(outgoing: ServerResponse, status: number, message: string): void {
  outgoing.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' })
  outgoing.end(`${message}\n`)
}

/** In the words and the shape of the control API. */
function refuseJson(outgoing: ServerResponse, error: string): void {
  outgoing.writeHead(403, { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' })
  outgoing.end(`${JSON.stringify({ error })}\n`)
}

function badRequest(outgoing: ServerResponse): void {
  outgoing.writeHead(400, { connection: 'close' })
  outgoing.end()
}

function refuseSocket(socket: Duplex): void {
  if (socket.writable)
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
}

/** Nothing of ours may end a listener: a fault is logged, and its request ends. */
function fault(error: unknown, log: (line: string) => void, end: ServerResponse | Duplex): void {
  log(`fault: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  end.destroy()
}

/** How long a closing listener waits for requests in flight. Milliseconds. */
const DRAIN = 2000

async function open(server: Server, { host, port, tls }: ListenOptions): Promise<Listener> {
  const encrypted = new Set<Socket>()
  const acceptor: Acceptor = tls
    ? await createTlsServer(tls, (socket) => {
        encrypted.add(socket)
        socket.on('close', () => encrypted.delete(socket))
        socket.on('error', () => socket.destroy())
        server.emit('connection', socket)
      })
    : server
  return new Promise((resolve, reject) => {
    acceptor.once('error', reject)
    acceptor.listen(port, host, () => {
      acceptor.off('error', reject)
      const bound = acceptor.address() as AddressInfo
      resolve({
        host,
        port: bound.port,
        close: () =>
          new Promise((closed) => {
            const force = setTimeout(() => {
              server.closeAllConnections()
              for (const socket of encrypted) socket.destroy()
            }, DRAIN)
            acceptor.close(() => {
              clearTimeout(force)
              closed()
            })
            server.closeIdleConnections()
          }),
      })
    })
  })
}
