/** What the ingress tests stand on: a real listener, a real container behind it, and a state with services in it. */
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { type AddressInfo, connect, type Server as NetServer, type Socket } from 'node:net'
import type { Decision } from '../decision/decision.ts'
import type { Peer } from '../front/request.ts'
import type { Binding } from '../iam/policy.ts'
import { newPolicy } from '../state/new-policy.ts'
import type { InstanceOf, ServiceAccount } from '../state/resources.ts'
import { type Deployed, deploy, openTestState, type ServiceSpec } from '../state/state.fixture.ts'
import type { State } from '../state/state.ts'
import { mintIdToken, mintUniqueId } from '../tokens/mint.ts'
import { IdTokenVerifier } from '../tokens/verify.ts'
import { framingOf } from '../wire/framing.ts'
import type { Timer } from '../wire/timer.ts'
import { createIngress, type IngressOptions } from './ingress.ts'

export const INVOKER = 'roles/run.invoker'
export const EVERYONE: readonly Binding[] = [{ role: INVOKER, members: ['allUsers'] }]

export interface Call {
  readonly host: string
  readonly path?: string
  readonly method?: string
  /** Names and values in turn. */
  readonly headers?: readonly string[]
  readonly body?: string | Buffer
}

export interface Reply {
  readonly status: number
  readonly reason: string
  readonly raw: readonly string[]
  readonly headers: IncomingMessage['headers']
  readonly trailers: readonly string[]
  readonly body: string
}

export interface Rig {
  readonly state: State
  readonly port: number
  readonly faults: readonly string[]
  /** Milliseconds since the epoch; the tests move it. */
  now: number
  random: number
  /** What the container does, unless a revision has an upstream of its own. */
  container: RequestListener
  readonly containerServer: Server
  /** Where a revision is, by its name. */
  readonly upstreams: Map<string, URL | undefined>
  /** Who the other end of every connection is. */
  instance: InstanceOf | undefined
  /** The timers that were set and not stopped; a test calls one in place of waiting. */
  readonly timers: Map<() => void, number>
  deploy(name: string, spec?: ServiceSpec): Deployed
  account(name: string, change?: Partial<ServiceAccount>): ServiceAccount
  token(account: { readonly email: string; readonly uniqueId: string }, audience: string): Promise<string>
  call(call: Call): Promise<Reply>
  /** Bytes in, all bytes out until the other side closes. */
  exchange(text: string): Promise<string>
  lastDecision(): Decision
  close(): Promise<void>
}

export async function openRig(options: Partial<IngressOptions> = {}): Promise<Rig> {
  const time = { now: Date.parse('2026-06-01T12:00:00Z') }
  const state = await openTestState(() => time.now)
  const faults: string[] = []
  const timers: Rig['timers'] = new Map()
  const timer: Timer = (work, delay) => {
    timers.set(work, delay)
    return () => timers.delete(work)
  }
  const containerServer = createServer((incoming, outgoing) => rig.container(incoming, outgoing))
  const containerUrl = new URL(`http://127.0.0.1:${await listen(containerServer)}`)
  const upstreams = new Map<string, URL | undefined>()
  const ingress = createIngress({
    state,
    runtime: {
      upstream: ({ name }) => (upstreams.has(name) ? upstreams.get(name) : containerUrl),
      instanceAt: () => Promise.resolve(undefined),
    },
    verifier: new IdTokenVerifier(state.keys),
    log: (line) => faults.push(line),
    random: () => rig.random,
    timer,
    ...options,
  })

  const front = createServer({ maxHeaderSize: 256 * 1024 })
  const read = (incoming: IncomingMessage) => readRequest(incoming, rig.instance)
  const handle = (incoming: IncomingMessage, outgoing: ServerResponse) =>
    void ingress.handle({ ...read(incoming), outgoing })
  front.on('request', handle)
  front.on('checkContinue', handle)
  front.on('upgrade', (incoming, socket, head) => void ingress.upgrade(read(incoming), socket, head))

  const rig: Rig = {
    state,
    port: 0,
    faults,
    get now() {
      return time.now
    },
    set now(now) {
      time.now = now
    },
    random: 0,
    container: (_incoming, outgoing) => outgoing.end('hello'),
    containerServer,
    upstreams,
    instance: undefined,
    timers,
    deploy: (name, spec = {}) => deploy(state, name, spec),
    account: (name, change = {}) => putAccount(state, name, change),
    token: async (subject, audience) => (await mintIdToken(state.keys, rig.now, { subject, audience })).token,
    call: (call) => callOnce(rig.port, call),
    exchange: (text) => exchangeBytes(rig.port, text),
    lastDecision() {
      const decision = state.decisions.list().at(-1)
      if (!decision) throw new Error('nothing was decided')
      return decision
    },
    async close() {
      ingress.close()
      await closeAll([front, containerServer])
      state.close()
    },
  }
  return Object.assign(rig, { port: await listen(front) })
}

function readRequest(incoming: IncomingMessage, instance: InstanceOf | undefined) {
  const peer: Peer = { address: '127.0.0.1', ...(instance && { instance }) }
  const host = (incoming.headers.host ?? '').toLowerCase().replace(/:\d+$/, '')
  const framing = framingOf(incoming.rawHeaders, incoming.httpVersion)
  if (framing.kind === 'malformed') throw new Error(framing.fault)
  return { incoming, host, scheme: 'http' as const, target: incoming.url ?? '/', framing, peer }
}

function putAccount(state: State, name: string, change: Partial<ServiceAccount>): ServiceAccount {
  const { projectId } = state.place
  const email = `${name}@${projectId}.iam.gserviceaccount.com`
  const { etag } = newPolicy([])
  const made: ServiceAccount = {
    email,
    uniqueId: mintUniqueId(),
    projectId,
    displayName: '',
    description: '',
    disabled: false,
    createTime: state.timestamp(),
    policy: newPolicy([]),
    etag,
    ...change,
  }
  state.serviceAccounts.put(email, made)
  return made
}

async function closeAll(servers: readonly Server[]): Promise<void> {
  for (const server of servers) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

export function listen(server: Server | NetServer): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

function callOnce(
  port: number,
  { host, path = '/', method = 'GET', headers = [], body }: Call,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? [] : ['Content-Length', String(Buffer.byteLength(body))]
    const request = httpRequest({
      host: '127.0.0.1',
      port,
      method,
      path,
      agent: false,
      setHost: false,
      headers: ['Host', host, ...headers, ...length],
    })
    request.on('error', reject)
    request.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('error', reject)
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          reason: response.statusMessage ?? '',
          raw: response.rawHeaders,
          headers: response.headers,
          trailers: response.rawTrailers,
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      )
    })
    request.end(body)
  })
}

function exchangeBytes(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(port, '127.0.0.1', () => socket.write(text, 'latin1'))
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(Buffer.from(chunk)))
    socket.on('error', reject)
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('utf8')))
  })
}
