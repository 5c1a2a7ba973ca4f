/** One request as it came in, before anything is decided: what was asked for, of which host, by whom. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { InstanceOf } from '../state/resources.ts'
import type { Framing } from '../wire/framing.ts'

/** Who is at the other end, as far as the connection itself tells. Never taken from a header. */
export interface Peer {
  /** IP address, IPv4 in its plain spelling. */
  readonly address: string
  /** The revision that the listener was opened for. */
  readonly instance?: InstanceOf
  /** One of Google's own products, which Cloud Run counts as inside the network. */
  readonly google?: true
}

export interface FrontRequest {
  readonly incoming: IncomingMessage
  /**
   * Host asked for: lower case, no port, no trailing dot. An absolute-form target decides over the Host header, except on the
   * way to a service, where Host alone does (facts 7.13).
   */
  readonly host: string
  /** Port asked for, where one was spelled. */
  readonly port?: number
  readonly scheme: 'http' | 'https'
  /** Path and query exactly as they came, `/` first. */
  readonly target: string
  /** Where its body ends: the one reading of it that counts. */
  readonly framing: Framing
  readonly peer: Peer
}

/** A request and the response to it. */
export interface FrontExchange extends FrontRequest {
  readonly outgoing: ServerResponse
}

/** What a Hono room finds in `c.env`. */
export interface RoomBindings {
  readonly host: string
  readonly scheme: 'http' | 'https'
  readonly peer: Peer
}

/** The environment type of every Hono room: `new Hono<RoomEnv>()`. */
export interface RoomEnv {
  Bindings: RoomBindings
}
