/** The emulator's own API, `/_emulator/`, of one that runs. */
import type { IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import type { ExplainedDecision } from '../decision/decision.ts'
import { InvokerError } from '../errors/errors.ts'
import { exchange, noEmulator, parsed, responseOf } from './http.ts'

const facts = z.object({
  project: z.string(),
  projectNumber: z.string(),
  region: z.string(),
  /** The person who owns the project. */
  account: z.string(),
  /** The service account that services run as where none is named. */
  computeAccount: z.string(),
  /** Scheme of a service's URL. */
  scheme: z.enum(['http', 'https']),
  /** False where other hosts than Google's are not passed on: the emulator does that for its own machine only. */
  tunnels: z.boolean(),
  /** gcloud's settings for other endpoints: what is asked at the emulator's address, and what by its own name through the proxy. */
  endpoints: z.object({
    direct: z.array(z.string()).readonly(),
    byName: z.record(z.string(), z.string()).readonly(),
  }),
})
/** What one of any version says. */
const anyEmulator = z.object({ project: z.string(), account: z.string() })
/** What an emulator says of itself. */
export type EmulatorFacts = z.infer<typeof facts>

const services = z.object({
  services: z.array(z.object({ name: z.string(), region: z.string(), url: z.string() })),
})
export type ListedService = z.infer<typeof services>['services'][number]

const decided = z.object({ decisions: z.array(z.custom<ExplainedDecision>()), last: z.string() })
export type Decided = z.infer<typeof decided>

export interface DecisionQuery {
  readonly service?: string | undefined
  /** That many of the newest; 100 if not given. */
  readonly limit?: number
  /** Those after the decision of an id. */
  readonly since?: string | undefined
}

const absent = z.object({ members: z.array(z.string()), roles: z.array(z.string()) })
const minted = z.object({ token: z.string() })
const connected = z.object({ variables: z.record(z.string(), z.string()) })
/** A program's way to Google. */
export interface Connection extends z.infer<typeof connected> {
  close(): void
}
const ending = z.object({ pid: z.int().positive() })
const refusal = z.object({ error: z.string() })

export interface ControlOptions {
  /** How long it may take to answer, milliseconds. Default: for ever. */
  readonly timeout?: number
}

/** Every call throws an {@link InvokerError}: ERR_NO_EMULATOR, ERR_NOT_EMULATOR, or ERR_CONTROL in the emulator's words. */
export class Control {
  readonly url: string
  readonly #options: ControlOptions

  constructor(url: string, options: ControlOptions = {}) {
    this.url = new URL(url).origin
    this.#options = options
  }

  async environment(): Promise<EmulatorFacts> {
    const answer = await this.#ask(z.unknown(), '/_emulator/environment')
    const read = facts.safeParse(answer)
    if (read.success) return read.data
    throw anyEmulator.safeParse(answer).success ? otherVersion(this.url) : notEmulator(this.url)
  }

  /** PEM of the certificate that programs have to trust where they speak TLS with it. */
  async certificate(): Promise<string> {
    return (await this.#send('/_emulator/ca.pem')).text()
  }

  async services(): Promise<readonly ListedService[]> {
    return (await this.#ask(services, '/_emulator/services')).services
  }

  /** Oldest first. */
  async decisions(query: DecisionQuery = {}): Promise<readonly ExplainedDecision[]> {
    return (await this.decided(query)).decisions
  }

  /** The same, with the id to go on from. */
  decided({ service, limit, since }: DecisionQuery): Promise<Decided> {
    const asked = new URLSearchParams({
      ...(service === undefined ? {} : { service }),
      ...(limit === undefined ? {} : { limit: String(limit) }),
      ...(since === undefined ? {} : { since }),
    })
    return this.#ask(decided, `/_emulator/decisions?${asked}`)
  }

  /** An ID token, as the account's own metadata server would give it. */
  async token(serviceAccount: string, audience: string): Promise<string> {
    return (await this.#ask(minted, '/_emulator/tokens', { serviceAccount, audience })).token
  }

  /** What a policy names and does not exist there: of a service, or of the project. */
  absent(
    bindings: readonly { readonly role: string; readonly members: readonly string[] }[],
    service: boolean,
  ): Promise<z.infer<typeof absent>> {
    return this.#ask(absent, '/_emulator/absent', { service, bindings })
  }

  /** One request as a product of Google's makes it. */
  push(request: object): Promise<unknown> {
    return this.#ask(z.unknown(), '/_emulator/push', request)
  }

  /**
   * Opens the way to Google for a program of this machine that is to be a service: the variables that it is to have. It stays
   * open until `close` is called or this process ends.
   */
  async connect(service: string): Promise<Connection> {
    const body = { service }
    const response = await this.#exchange('/_emulator/instances', body)
    if (response.statusCode !== 200) return this.#refused(await responseOf(response))
    const lines = createInterface({ input: response })
    const { value } = await lines[Symbol.asyncIterator]().next()
    const read = connected.safeParse(parsed(String(value)))
    if (!read.success) throw notEmulator(this.url)
    return { ...read.data, close: () => void response.destroy() }
  }

  async advance(milliseconds: number): Promise<void> {
    await this.#ask(z.unknown(), '/_emulator/clock', { advance: milliseconds })
  }

  async reset(): Promise<void> {
    await this.#ask(z.unknown(), '/_emulator/reset', {})
  }

  /** Asks it to end. Resolves with the id of the process that is ending. */
  async shutdown(): Promise<number> {
    return (await this.#ask(ending, '/_emulator/shutdown', {})).pid
  }

  async #ask<S extends z.ZodType>(shape: S, path: string, body?: object): Promise<z.output<S>> {
    const read = shape.safeParse(parsed(await (await this.#send(path, body)).text()))
    if (!read.success) throw notEmulator(this.url)
    return read.data
  }

  /** A GET, or a POST of JSON. */
  async #send(path: string, body?: object): Promise<Response> {
    const response = await responseOf(await this.#exchange(path, body))
    return response.ok ? response : this.#refused(response)
  }

  #exchange(path: string, body?: object): Promise<IncomingMessage> {
    return exchange(this.url, `${this.url}${path}`, {
      ...this.#options,
      ...(body ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {}),
    }).catch((cause: unknown) => {
      throw noEmulator(this.url, cause)
    })
  }

  async #refused(response: Response): Promise<never> {
    const { status } = response
    const said = refusal.safeParse(parsed(await response.text())).data?.error
    throw said === undefined ? notEmulator(this.url) : new InvokerError('ERR_CONTROL', said, { status })
  }
}

function otherVersion(url: string): InvokerError {
  return new InvokerError('ERR_NOT_EMULATOR', `what answers at ${url} is an emulator of another version.`, {
    mend: 'End it, and start the one of this version.',
  })
}

function notEmulator(url: string): InvokerError {
  return new InvokerError('ERR_NOT_EMULATOR', `what answers at ${url} is not the emulator.`, {
    mend: 'Say where it is with --url.',
  })
}
