/** How a revision comes to listen somewhere. */
import type { InstanceOf, Revision, ServiceName } from '../state/resources.ts'

export type StartResult =
  | { readonly ready: true; readonly imageDigest: string }
  /** In Cloud Run's words: they become the revision's Ready condition. */
  | { readonly ready: false; readonly reason: string; readonly message: string }

/** What every kind of runtime offers. */
export interface Runtime {
  /** Brings a revision up. Resolves when it listens, or says why it does not; never rejects for what the user's container did. */
  start(revision: Revision): Promise<StartResult>
  /** Lets a revision finish what it has in hand, then ends it. Nothing happens when it does not run. */
  stop(revision: ServiceName): Promise<void>
  /** Where requests for a revision go: scheme, host and port. Undefined unless it has been started. */
  upstream(revision: ServiceName): URL | undefined
  /** The revision whose instance has this IP address, where the runtime can tell. */
  instanceAt(address: string): Promise<InstanceOf | undefined>
  close(): Promise<void>
}

/** What an instance reads and writes to reach Google, for as long as it runs. */
export interface InstanceConnection {
  /** The variables that point a program at the emulator. */
  readonly env: Readonly<Record<string, string>>
  /** A folder that they name files of: an instance with a file system of its own needs it at the same path. */
  readonly folder?: string
  close(): Promise<void>
}

/** Where an instance finds its listener. */
export interface ListenerPlace {
  /** The address to bind. Default loopback. */
  readonly host?: string
  /** What the instance calls that address. Default `host`. */
  readonly advertised?: string
}

/** Opens the way to Google for one instance. The listener is its own: it tells the metadata server who is asking. */
export type ConnectInstance = (instance: InstanceOf, place?: ListenerPlace) => Promise<InstanceConnection>

/** One line of an instance's log. */
export interface LogLine {
  readonly text: string
  /** `varlog/system` is what the platform says of the instance. */
  readonly log: 'stdout' | 'stderr' | 'varlog/system'
  readonly severity: 'DEFAULT' | 'INFO' | 'WARNING' | 'ERROR'
}

/** Called with every line, in order. */
export type OnLog = (instance: InstanceOf, line: LogLine) => void
