/** For tests: the APIs over a state in memory, and a runtime that records what it is asked. */
import { initiallyEnabled } from '../catalogue/apis.ts'
import type { Runtime, StartResult } from '../runtime/runtime.ts'
import { serviceKey } from '../state/names.ts'
import type { Revision, ServiceName } from '../state/resources.ts'
import { State } from '../state/state.ts'
import { catalogue } from './catalogue.ts'
import { createProducts, type Products } from './products.ts'

export const PROJECT = 'demo-project'
export const NUMBER = '123456789012'
export const OWNER = 'owner@example.com'
export const COMPUTE = `${NUMBER}-compute@developer.gserviceaccount.com`
export const IMAGE = `gcr.io/${PROJECT}/receiving-service`

/** What a test does with an answer: reads any part of it. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: a test reads any part of Google's documents, and fails where it is not there
  readonly body: any
}

export class RecordingRuntime implements Runtime {
  readonly events: string[] = []
  readonly running = new Map<string, URL>()
  /** What `start` answers for an image that is named here. */
  readonly failures = new Map<string, Extract<StartResult, { ready: false }>>()
  /** Waited for by every start, where a test wants to look in between. */
  gate: Promise<void> = Promise.resolve()
  /** Waited for by every stop. */
  drain: Promise<void> = Promise.resolve()

  #entered = Promise.withResolvers<void>()

  /** Holds every start until the returned function is called; `entered` resolves when one has begun. */
  hold(): { readonly entered: Promise<void>; readonly release: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.gate = promise
    this.#entered = Promise.withResolvers<void>()
    return { entered: this.#entered.promise, release: resolve }
  }

  async start(revision: Revision): Promise<StartResult> {
    this.events.push(`start ${revision.name}`)
    this.#entered.resolve()
    await this.gate
    const failure = this.failures.get(revision.template.containers[0]?.image ?? '')
    if (failure) return failure
    this.running.set(serviceKey(revision), new URL('http://127.0.0.1:9/'))
    return { ready: true, imageDigest: `${IMAGE}@sha256:${'0'.repeat(64)}` }
  }

  async stop(revision: ServiceName): Promise<void> {
    this.events.push(`stop ${revision.name}`)
    const instance = this.upstream(revision)
    await this.drain
    // It may have been started anew meanwhile.
    if (this.upstream(revision) === instance) this.running.delete(serviceKey(revision))
    this.events.push(`stopped ${revision.name}`)
  }

  upstream(revision: ServiceName): URL | undefined {
    return this.running.get(serviceKey(revision))
  }

  async instanceAt(): Promise<undefined> {}
  async close(): Promise<void> {}
}

export interface World {
  readonly state: State
  readonly runtime: RecordingRuntime
  readonly apis: Products
  readonly lines: string[]
  /** Lets time pass, in milliseconds. */
  pass(milliseconds: number): void
  /** One call. `path` may be a whole URL, which then names the host. */
  call(method: string, path: string, body?: unknown, token?: string | null): Promise<Answer>
  get(path: string, token?: string): Promise<Answer>
  post(path: string, body?: unknown, token?: string): Promise<Answer>
  put(path: string, body: unknown, token?: string): Promise<Answer>
  /** An access token for a member. */
  token(member: string): string
}

const time = { now: 0 }
let shared: Promise<State> | undefined

/** One state for a whole test run, because its keys take long to make; every world begins with its first contents. */
async function firstState(): Promise<State> {
  shared ??= State.open({
    projectId: PROJECT,
    projectNumber: NUMBER,
    scheme: 'http',
    region: 'us-central1',
    owner: OWNER,
    clock: () => time.now,
    groups: new Map(),
    domains: new Map(),
    enabledServices: initiallyEnabled(catalogue),
  })
  const state = await shared
  state.reset()
  return state
}

export async function openWorld(): Promise<World> {
  time.now = Date.parse('2026-01-01T00:00:00Z')
  const lines: string[] = []
  const runtime = new RecordingRuntime()
  const state = await firstState()
  const apis = await createProducts({ state, runtime, log: (line) => lines.push(line) })
  const token = (member: string) => {
    const [, email = ''] = /^(?:user|serviceAccount):(.+)$/.exec(member) ?? []
    const account = state.serviceAccount(email)
    const identity = account ? { email, uniqueId: account.uniqueId } : {}
    return state.issueAccessToken({ member, scopes: [], ...identity }).token
  }
  const owner = token(`user:${OWNER}`)
  const call: World['call'] = async (method, path, body, bearer = owner) => {
    const url = new URL(path, 'http://us-central1-run.googleapis.com/')
    const response = await apis.app.request(
      url.href,
      {
        method,
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        headers: bearer === null ? {} : { authorization: `Bearer ${bearer}` },
      },
      {
        host: path.startsWith('/') ? 'localhost' : url.hostname,
        scheme: 'http',
        peer: { address: '127.0.0.1' },
      },
    )
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : undefined }
  }
  return {
    pass: (milliseconds) => {
      time.now += milliseconds
    },
    state,
    runtime,
    apis,
    lines,
    token,
    call,
    get: (path: string, bearer?: string) => call('GET', path, undefined, bearer),
    post: (path: string, body: unknown = {}, bearer?: string) => call('POST', path, body, bearer),
    put: (path: string, body: unknown, bearer?: string) => call('PUT', path, body, bearer),
  }
}

export const SERVICES = `/apis/serving.knative.dev/v1/namespaces/${PROJECT}/services`
export const LOCATED = `/v1/projects/${PROJECT}/locations/us-central1/services`

let deployments = 0

/** A Knative service as gcloud writes a new one (facts gcloud 3). */
export function knative(name: string, changes: { image?: string; spec?: object; metadata?: object } = {}) {
  deployments += 1
  return {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: {
      name,
      namespace: PROJECT,
      annotations: { 'run.googleapis.com/client-name': 'gcloud' },
      ...changes.metadata,
    },
    spec: {
      template: {
        metadata: { labels: { 'client.knative.dev/nonce': `nonce${deployments}` } },
        spec: {
          containers: [{ name: '', image: changes.image ?? IMAGE, env: [{ name: 'A', value: 'b' }] }],
          nodeSelector: {},
          ...changes.spec,
        },
      },
    },
    status: { address: {} },
  }
}
