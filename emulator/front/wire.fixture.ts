/** For tests of the wire: an emulator, a container that answers with whatever bytes it is given, and callers that send bytes. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as tlsConnect } from 'node:tls'
import { callApi, manifest, SERVICES, signIn } from '../emulator.fixture.ts'
import { type Emulator, startEmulator } from '../emulator.ts'

export const HOST = 'api-123456789012.us-central1.run.app'
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** A server that speaks bytes. */
export interface BytesServer {
  readonly port: number
  /** What it does with each connection, once something has come on it. By default it answers 200. */
  answer: (socket: Socket, first: string) => void
  close(): Promise<void>
}

async function serveBytes(): Promise<BytesServer> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.once('data', (data) => made.answer(socket, data.toString('latin1')))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const made: BytesServer = {
    port: (server.address() as AddressInfo).port,
    answer: (socket) => socket.end(OK),
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
  return made
}

/** The ways in which a request reaches the emulator. */
export const WAYS = ['main', 'tls', 'published', 'instance', 'connect', 'connect-tls'] as const
export type Way = (typeof WAYS)[number]

export interface WireRig {
  readonly emulator: Emulator
  /** The container of `api`, which is open to everyone. It is also a server that is not Google's, for the forward proxy. */
  readonly container: BytesServer
  /** Lines that the emulator logged. */
  readonly lines: readonly string[]
  /** A connection to the emulator. */
  open(way: Way): Promise<Duplex>
  /** Sends bytes; everything that comes back until the connection ends, or `undefined` when it does not in this time (ms). */
  talk(way: Way, bytes: string, options?: TalkOptions): Promise<string | undefined>
  close(): Promise<void>
}

export interface TalkOptions {
  /** Close our half once the bytes are sent. */
  readonly half?: boolean
  /** Milliseconds. */
  readonly patience?: number
}

export async function openWire(): Promise<WireRig> {
  const container = await serveBytes()
  const lines: string[] = []
  const emulator = await startEmulator(
    {
      port: 0,
      tlsPort: 0,
      publish: { 0: 'api' },
      instance: { 0: 'api' },
      upstream: { api: `http://127.0.0.1:${container.port}` },
    },
    { log: (line) => lines.push(line) },
  )
  const { accessToken } = await signIn(emulator.url)
  const api = manifest('api')
  const annotations = { 'run.googleapis.com/invoker-iam-disabled': 'true' }
  const deployed = await callApi(emulator.url, accessToken, 'POST', SERVICES, {
    ...api,
    metadata: { ...api.metadata, annotations },
  })
  if (deployed.status !== 200) throw new Error(JSON.stringify(deployed.body))
  const ca = await (await fetch(`${emulator.url}/_emulator/ca.pem`)).text()
  const open = (way: Way) => openWay(emulator, way, ca)
  return {
    emulator,
    container,
    lines,
    open,
    talk: async (way, bytes, options) => exchange(await open(way), bytes, options),
    async close() {
      await emulator.close()
      await container.close()
    },
  }
}

async function openWay(emulator: Emulator, way: Way, ca: string): Promise<Duplex> {
  const at = { main: emulator.url, published: emulator.published.api, instance: emulator.instances.api }
  const url = way === 'tls' ? emulator.tlsUrl : way === 'published' || way === 'instance' ? at[way] : at.main
  const socket = connect({ port: Number(new URL(url ?? '').port), host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  if (way === 'connect' || way === 'connect-tls') {
    const authority = `${HOST}:${way === 'connect' ? 80 : 443}`
    socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
    await first(socket, ['data', 'close'])
  }
  if (way !== 'tls' && way !== 'connect-tls') return socket
  const options = { servername: HOST, ca, ALPNProtocols: ['http/1.1'], allowHalfOpen: true }
  const secure = tlsConnect({ ...options, socket })
  secure.on('error', () => secure.destroy())
  await first(secure, ['secureConnect', 'close'])
  return secure
}

/** The first of these events, or, after a while, none. */
function first(emitter: Duplex, events: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 1000).unref()
    for (const event of events) emitter.once(event, () => resolve())
  })
}

export function exchange(
  socket: Duplex,
  bytes: string,
  { half = false, patience = 5000 }: TalkOptions = {},
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const end = (text: string | undefined) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(text)
    }
    const all = () => Buffer.concat(chunks).toString('latin1')
    if (socket.destroyed) return resolve('')
    const timer = setTimeout(() => end(undefined), patience)
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('end', () => end(all()))
    socket.on('close', () => end(all()))
    socket.on('error', () => end(all()))
    socket.write(Buffer.from(bytes, 'latin1'))
    if (half) socket.end()
  })
}
