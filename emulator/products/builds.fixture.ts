/** For tests: Cloud Storage and Cloud Build over a state of their own, and a builder that does as it is told. */
import { initiallyEnabled } from '../catalogue/apis.ts'
import type { Builder, BuildRequest, BuildResult } from '../runtime/builder.ts'
import { ObjectStore } from '../state/objects.ts'
import { State } from '../state/state.ts'
import { catalogue } from './catalogue.ts'
import { type Answer, NUMBER, OWNER, PROJECT, RecordingRuntime } from './products.fixture.ts'
import { createProducts, type Products } from './products.ts'

export type Body = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>

export interface Ask {
  readonly body?: Body
  readonly headers?: Record<string, string>
  /** Default: the owner's. `null`: none. */
  readonly token?: string | null
}

export interface Yard {
  readonly state: State
  readonly objects: ObjectStore
  readonly apis: Products
  readonly builder: ToldBuilder
  readonly lines: string[]
  /** One call; a path is asked for on the emulator's own name, a URL on the host that it names. */
  ask(method: string, url: string, ask?: Ask): Promise<Response>
  /** The same, its answer read as JSON. */
  json(method: string, url: string, body?: unknown, ask?: Ask): Promise<Answer>
  token(member: string): string
  /** As a crash does: nothing is told that it ends. */
  crash(): void
}

/** Says yes to every build, unless it is told otherwise. */
export class ToldBuilder implements Builder {
  readonly requests: BuildRequest[] = []
  /** What to do in the place of saying yes. */
  work: (request: BuildRequest) => Promise<BuildResult> = (request) => {
    request.onLine('Step 1/1 : FROM scratch')
    const digest = `sha256:${'1'.repeat(64)}`
    return Promise.resolve({ ok: true, images: request.tags.map((name) => ({ name, digest })) })
  }

  available(): Promise<boolean> {
    return Promise.resolve(true)
  }

  build(request: BuildRequest): Promise<BuildResult> {
    this.requests.push(request)
    return this.work(request)
  }
}

/** A builder that goes on until it is stopped; `begun` resolves when a build has come. */
export function endlessWork(): { readonly work: ToldBuilder['work']; readonly begun: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>()
  const work: ToldBuilder['work'] = ({ onLine, signal }) => {
    onLine('sleeping')
    resolve()
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
    })
  }
  return { work, begun: promise }
}

export async function openYard(data?: string): Promise<Yard> {
  const lines: string[] = []
  const state = await State.open({
    projectId: PROJECT,
    projectNumber: NUMBER,
    scheme: 'http',
    region: 'us-central1',
    owner: OWNER,
    clock: Date.now,
    groups: new Map(),
    domains: new Map(),
    enabledServices: initiallyEnabled(catalogue),
    ...(data === undefined ? {} : { data }),
  })
  const objects = await ObjectStore.open(state, data)
  const builder = new ToldBuilder()
  const runtime = new RecordingRuntime()
  const apis = await createProducts({
    state,
    runtime,
    builds: { objects, builder },
    log: (line) => lines.push(line),
  })
  const token = (member: string) => {
    const [, email = ''] = /^(?:user|serviceAccount):(.+)$/.exec(member) ?? []
    const account = state.serviceAccount(email)
    return state.issueAccessToken({
      member,
      scopes: [],
      ...(account ? { email, uniqueId: account.uniqueId } : {}),
    }).token
  }
  const owner = token(`user:${OWNER}`)
  const ask: Yard['ask'] = async (method, url, { body, headers = {}, token: bearer = owner } = {}) => {
    const asked = new URL(url, 'http://127.0.0.1:8080/')
    return apis.app.request(
      asked.href,
      {
        method,
        ...(body === undefined ? {} : { body }),
        headers: {
          host: asked.host,
          ...headers,
          ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }),
        },
      },
      {
        host: asked.hostname,
        scheme: asked.protocol === 'https:' ? 'https' : 'http',
        peer: { address: '127.0.0.1' },
      },
    )
  }
  return {
    state,
    objects,
    apis,
    builder,
    lines,
    token,
    ask,
    async json(method, url, body, more) {
      const response = await ask(method, url, {
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        ...more,
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : undefined }
    },
    crash: () => state.close(),
  }
}
