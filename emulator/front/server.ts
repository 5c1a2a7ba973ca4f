/**
 * The listeners. Every listener takes every host: what is asked for decides, not where it was asked.
 *
 * Google's own endpoints are Hono apps. The ingress gets the raw request: what it passes on must arrive unchanged, and a
 * `Request` object has already rewritten its path and joined its headers.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Directory } from '../catalogue/hosts.ts'
import { hasBody, type Malformed } from '../wire/framing.ts'
import { BAD_REQUEST } from '../wire/google-page.ts'
import { guarded } from '../wire/guard.ts'
import { lingering } from '../wire/linger.ts'
import { systemTimer, type Timer } from '../wire/timer.ts'
import { createJudge, type Destination, type DestinationOptions } from './destination.ts'
import { hostTrouble, NOT_FOR_SERVICES, originTrouble, ownNames } from './guard.ts'
import { roomFor, roomForPath } from './hosts.ts'
import { type Listener, type ListenOptions, open } from './listener.ts'
import type { ForwardProxy } from './proxy.ts'
import { type Asked, isWebSocket, peerOf, readRequest, routedByHost } from './read.ts'
import { fault, refuse, refuseJson, refuseSocket, sendPage } from './refusals.ts'
import type { FrontExchange, FrontRequest, Peer } from './request.ts'
import { type WebRoom, webListener } from './web.ts'

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
  /** The service whose instance has an address. Default: nobody's is known. */
  readonly serviceAt?: DestinationOptions['serviceAt']
}

export interface FrontOptions extends Pick<DestinationOptions, 'resolve'> {
  /** Names that the emulator is reached by, beside those that nobody else can have. */
  readonly aliases?: readonly string[]
  /** What ends a body that nobody reads. Default `setTimeout`. */
  readonly timer?: Timer
}

export interface Front {
  /** What stands behind the listeners. Call once. */
  serve(rooms: Rooms): void
  /** Resolves once it listens, which is after {@link Front.serve} at the earliest: nobody is let in before there is an answer. */
  listen(options: ListenOptions): Promise<Listener>
  close(): Promise<void>
}

/** Large enough for any token that is refused for what it says, not for its size; Google's own limit is not established (facts 6.3). */
const MAX_HEADER_BYTES = 256 * 1024

/** The listeners come first: what stands behind them needs them, to give its instances a way in. */
export function createFront(
  log: (line: string) => void,
  { aliases = [], timer = systemTimer, ...options }: FrontOptions = {},
): Front {
  const listeners = new Set<Listener>()
  const isOwn = ownNames(aliases)
  const served = Promise.withResolvers<Rooms>()
  const ports = () => new Set([...listeners].map(({ port }) => port))
  return {
    serve: (rooms) => served.resolve(rooms),
    async listen(where) {
      const rooms = await served.promise
      const { serviceAt } = rooms
      const judge = createJudge({ ...options, ports, ...(serviceAt && { serviceAt }) })
      let port = 0
      const judged = (request: FrontRequest, way: 'plain' | 'tunnel') =>
        judge(request, { port, forService: where.instance !== undefined }, way)
      const listener = await open(createHttpServer({ rooms, where, isOwn, judged, log, timer }), where, log)
      port = listener.port
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

interface Serving {
  readonly rooms: Rooms
  readonly where: ListenOptions
  readonly isOwn: ReturnType<typeof ownNames>
  /** Where a request of this listener leads that is for no host of Google's. */
  readonly judged: (request: FrontRequest, way: 'plain' | 'tunnel') => Promise<Destination>
  readonly log: (line: string) => void
  readonly timer: Timer
}

/** What one listener knows of its connections. */
interface Connections {
  /** Of a connection that came in through CONNECT and is another socket by now: its peer. */
  readonly peers: WeakMap<Duplex, Peer>
  /** The answer that a connection waits for, or had last. */
  readonly answers: WeakMap<Duplex, ServerResponse>
  /** Connections through CONNECT, to a name of Google's. */
  readonly tunnels: WeakSet<Duplex>
}

type Read = (incoming: IncomingMessage) => Asked | Malformed

/** Every listener of it is guarded, and answers or ends its own request where it throws. */
function createHttpServer(serving: Serving): Server {
  const { rooms } = serving
  const known: Connections = { peers: new WeakMap(), answers: new WeakMap(), tunnels: new WeakSet() }
  const read = reading(serving, known)
  const http = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    keepAliveTimeout: 75_000,
    requestTimeout: 0,
    requireHostHeader: false, // it is missed here, with a page
    // An offer to change the protocol may be ignored (RFC 9110 7.8): the request is answered as it stands.
    shouldUpgradeCallback: (incoming) => {
      const request = read(incoming)
      return (
        request.kind === 'request' && isWebSocket(request) && rawRoom(request, rooms.directory) !== undefined
      )
    },
  })
  // A caller that has said all it has to say may close its half of the connection, and wait. Node's types lack this.
  Object.assign(http, { httpAllowHalfOpen: true })

  onRequests(http, serving, known, read)
  onUpgrades(http, serving, read)
  onTunnels(http, serving, known)
  onWhatIsNoRequest(http, serving, known)
  return http
}

function reading({ rooms, where }: Serving, { peers, tunnels }: Connections): Read {
  const isService = (host: string) => roomFor(rooms.directory, host, '/') === 'ingress'
  return (incoming) => {
    const peer = peers.get(incoming.socket) ?? peerOf(incoming, where)
    const standsFor = where.standsFor?.()
    const request = readRequest(incoming, peer, standsFor)
    if (request.kind === 'malformed' || standsFor) return request
    if (tunnels.has(incoming.socket)) return { ...request, toGoogle: true }
    return routedByHost(request, isService)
  }
}

function onRequests(http: Server, serving: Serving, { answers }: Connections, read: Read): void {
  const { log, timer } = serving
  const serve = servingRooms(serving)
  const answer = guarded(
    (error, [, outgoing]) => fault(error, log, outgoing),
    (incoming: IncomingMessage, outgoing: ServerResponse) => {
      answers.set(incoming.socket, outgoing)
      const request = read(incoming)
      if (request.kind === 'malformed') {
        log(`400 ${incoming.method} ${incoming.url}: ${request.fault}`)
        return sendPage(outgoing, BAD_REQUEST)
      }
      if (request.framing.kind !== 'none') {
        const cut = () => void incoming.destroy()
        outgoing.on(
          'finish',
          guarded(cut, () => endBody(incoming, timer)),
        )
      }
      return serve(request, outgoing)
    },
  )
  http.on('request', answer)
  // The container, not the listener, says whether it wants a body that was announced with Expect.
  http.on('checkContinue', answer)
}

function cutting({ log }: Serving) {
  return (error: unknown, [, socket]: readonly [IncomingMessage, Duplex, Buffer]) => fault(error, log, socket)
}

function onUpgrades(http: Server, serving: Serving, read: Read): void {
  const { rooms } = serving
  const upgrade = guarded(cutting(serving), (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    const request = read(incoming)
    const room = request.kind === 'request' ? rawRoom(request, rooms.directory) : undefined
    if (request.kind === 'malformed' || !room) return refuseSocket(socket)
    return rooms[room].upgrade(request, socket, head)
  })
  http.on('upgrade', upgrade)
}

/** CONNECT: the connection within becomes one of the listener's own, or leads elsewhere. */
function onTunnels(http: Server, serving: Serving, { peers, tunnels }: Connections): void {
  const { rooms, where } = serving
  const connect = guarded(
    cutting(serving),
    async (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
      // A client that goes away in the middle is no fault of anyone's.
      socket.on(
        'error',
        guarded(
          () => {},
          () => void socket.destroy(),
        ),
      )
      const request = readRequest(incoming, peerOf(incoming, where))
      if (request.kind === 'malformed' || hasBody(request.framing)) return refuseSocket(socket)
      const destination = await tunnelTo(request, serving)
      await rooms.elsewhere.connect(request, destination, socket, head, (inner, from) => {
        peers.set(inner, from)
        if (roomFor(rooms.directory, request.host, '/') !== 'local') tunnels.add(inner)
        http.emit('connection', inner)
      })
    },
  )
  http.on('connect', connect)
}

function onWhatIsNoRequest(http: Server, { log }: Serving, { answers }: Connections): void {
  const refuseBytes = guarded(
    (error, [, socket]) => fault(error, log, socket),
    (_cause: Error, socket: Duplex) => {
      const begun = answers.get(socket)
      // Bytes that are no request, while an answer is on its way: a second head would be read as its body.
      if (begun?.headersSent && !begun.writableFinished) socket.destroy()
      else refuseSocket(socket)
    },
  )
  http.on('clientError', refuseBytes)
}

/** A request to the room that it is for. */
function servingRooms({ rooms, where, isOwn, judged }: Serving) {
  const web = webListener()
  return async function serve(request: Asked, outgoing: ServerResponse): Promise<void> {
    const { incoming, host, target } = request
    const room = roomFor(rooms.directory, host, target)
    // Where it is nobody's, the page says so.
    if (room === 'ingress' || (room === 'local' && request.toGoogle))
      return rooms.ingress.handle({ ...request, outgoing })
    if (room !== 'local') return web(request, rooms.product(room.product), outgoing)
    if (request.absolute) {
      const destination = await judged(request, 'plain')
      if (destination.kind === 'elsewhere')
        return rooms.elsewhere.handle({ ...request, outgoing }, destination)
      if (destination.kind === 'refused') return refuse(outgoing, destination.status, destination.message)
    }
    // A listener without a control API shows a browser what it shows everyone.
    const local = roomForPath(rooms.directory, target, where.control === true && wantsPage(incoming))
    const trouble =
      hostTrouble(request, isOwn) ??
      (local === 'console' ? (where.control ? originTrouble(request) : NOT_FOR_SERVICES) : undefined)
    if (trouble !== undefined) return refuseJson(outgoing, trouble)
    return web(request, local === 'console' ? rooms.console : rooms.product(local.product), outgoing)
  }
}

/** The room, if it is one that connections are handed to. */
function rawRoom(
  { host, target, absolute, toGoogle }: Asked,
  directory: Directory,
): 'ingress' | 'elsewhere' | undefined {
  const room = roomFor(directory, host, target)
  if (room === 'local' && toGoogle) return 'ingress'
  if (room === 'local') return absolute ? 'elsewhere' : undefined
  return room === 'ingress' ? room : undefined
}

async function tunnelTo(request: FrontRequest, { rooms, where, judged }: Serving): Promise<Destination> {
  if (where.standsFor) return { kind: 'refused', status: 403, message: NO_PROXY }
  return roomFor(rooms.directory, request.host, '/') === 'local'
    ? judged(request, 'tunnel')
    : { kind: 'here' }
}

/** The answer is sent, and the caller still sends. */
function endBody(incoming: IncomingMessage, timer: Timer): void {
  if (incoming.complete) return
  lingering(incoming, timer, () => {
    if (!incoming.complete) incoming.destroy()
  })
}

const NO_PROXY = "This port is a service's front door, and no proxy: ask the emulator's own port."

/** A browser. Java's metadata probe accepts text/html too, but says which server it wants. */
function wantsPage({ headers }: IncomingMessage): boolean {
  return (headers.accept ?? '').includes('text/html') && headers['metadata-flavor'] === undefined
}
