/** What a test does with an emulator, wherever that runs: in this process, in a container, or started by someone else. */
import type { ExplainedDecision } from '../decision/decision.ts'

export type { ExplainedDecision }

/** A service that a test brings along. */
export interface ServiceOptions {
  /** Where it listens: a URL, or a port of this machine. */
  readonly upstream: string | URL | number
  /** The account that it runs as: an account id such as `orders-sa`, or an email. Default: the project's compute account. */
  readonly serviceAccount?: string
  /** True lets everyone call it: `roles/run.invoker` to `allUsers`. Default false. */
  readonly public?: boolean
}

export interface TokenOptions {
  /** Account id or email of a service account. */
  readonly as: string
  /** Name of a service, whose URL is then the audience, or any other audience. */
  readonly audience: string
}

export interface CallOptions {
  /** Account id or email of the service account that calls. Without it the call has no token. */
  readonly as?: string
  /** Default `/`. */
  readonly path?: string
  /** Default `GET`, or `POST` where there is a body. */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** One request as a product of Google's makes it. */
export interface PushOptions {
  readonly product: 'pubsub' | 'scheduler' | 'tasks' | 'eventarc'
  /** Account id or email of the service account whose token goes with it. Without it no token is sent. */
  readonly as?: string
  /** Default `/`. */
  readonly path?: string
  /** Default: what the product itself would say, mostly the whole URL. */
  readonly audience?: string
  /** A string goes as it is, anything else as JSON: Pub/Sub's within its envelope. */
  readonly body?: unknown
  /** What else the product takes at `/_emulator/push`: `attributes`, `queue`, the `type` and `source` of an event, … */
  readonly [more: string]: unknown
}

/** What was sent, what came back, and why. */
export interface PushResult {
  readonly request: {
    readonly method: string
    readonly url: string
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
    readonly audience?: string
  }
  readonly response: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
  }
  readonly decision: ExplainedDecision
}

/** A running emulator, to a test. */
export interface CloudRun {
  /** Where it listens, seen from this machine, such as `http://127.0.0.1:8080`. */
  readonly url: string
  readonly project: string
  /** PEM of the certificate that programs have to trust where they speak TLS with it. */
  readonly certificate: string
  /** The URL of a service: what its callers ask for, and their tokens' audience. */
  urlOf(service: string): string
  /**
   * The variables that point a child process at it. `as` names a service: its metadata server then answers as that
   * service's, and `K_SERVICE`, `K_REVISION` and `K_CONFIGURATION` are set.
   */
  env(options?: { readonly as?: string }): Readonly<Record<string, string>>
  /** Makes a service account; nothing happens when there is one. Resolves with its email. */
  createServiceAccount(accountId: string): Promise<string>
  /** Gives a role on a service. `member`: an account id, or any member of a policy. Default role: `roles/run.invoker`. */
  grant(service: string, member: string, role?: string): Promise<void>
  /** Takes a role back. */
  revoke(service: string, member: string, role?: string): Promise<void>
  /** An ID token, as the account's own metadata server would give it. */
  token(options: TokenOptions): Promise<string>
  /** Calls a service by its host name. */
  call(service: string, options?: CallOptions): Promise<Response>
  /** Calls a service as Pub/Sub, Cloud Scheduler, Cloud Tasks or Eventarc does. */
  push(service: string, options: PushOptions): Promise<PushResult>
  /** What the front door decided, oldest first; of one service, where it is named. */
  decisions(service?: string): Promise<readonly ExplainedDecision[]>
  readonly clock: {
    /** Lets so many milliseconds pass at once. */
    advance(milliseconds: number): Promise<void>
  }
  /** Back to where the test started: its services as they were brought, no other grants, the real time. */
  reset(): Promise<void>
  close(): Promise<void>
}
