/** A head that came in, read once: what was asked for, of which host, where it ends; or why it is no request. */
import type { IncomingMessage } from 'node:http'
import { copyOf } from '../decision/cut.ts'
import { type Framing, framingOf, hasBody, type Malformed } from '../wire/framing.ts'
import { canonicalAddress, canonicalHost } from './addresses.ts'
import type { FrontRequest, Peer } from './request.ts'

/** Where a request goes that named another host, or came by another scheme: a published port stands for its service. */
export interface StandIn {
  readonly host: string
  readonly scheme: 'http' | 'https'
}

const AUTHORITY = /^(\[[0-9a-f:.]+\]|[^:/?#@\\[\]\s]+)(?::(\d{1,5}))?$/i
const ABSOLUTE = /^(https?):\/\/([^/?#]+)(.*)$/is

export interface Asked extends FrontRequest {
  readonly kind: 'request'
  /** The target was spelled in full, as a client does towards a proxy. */
  readonly absolute: boolean
  /** The connection was made to a name of Google's: a Host that is nobody's is Google's to refuse. */
  readonly toGoogle: boolean
}

/** What was asked for, of which host, and where it ends; or why that cannot be made out. */
export function readRequest(incoming: IncomingMessage, peer: Peer, standsFor?: StandIn): Asked | Malformed {
  const { url = '/', method, httpVersion, rawHeaders } = incoming
  const framing: Framing | Malformed = framingOf(rawHeaders, httpVersion)
  if (framing.kind === 'malformed') return framing
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return malformed(`HTTP/${httpVersion}`)
  const hosts = countHosts(rawHeaders)
  if (hosts > 1) return malformed('Host is there twice')
  if (hosts === 0 && httpVersion === '1.1') return malformed('there is no Host')
  const absolute = ABSOLUTE.exec(url)
  const connect = method === 'CONNECT'
  const authority = absolute?.[2] ?? (connect ? url : (incoming.headers.host ?? 'localhost'))
  const [, name, digits] = AUTHORITY.exec(authority) ?? []
  const port = digits === undefined ? undefined : Number(digits)
  // A copy, where it was cut out of a whole URL: decisions keep it.
  const host = standsFor?.host ?? (name && canonicalHost(absolute ? copyOf(name) : name))
  if (!host || (port !== undefined && (port < 1 || port > 65_535))) return malformed('the host is no host')
  const rest = absolute ? (absolute[3] ?? '') : connect ? '/' : url
  return {
    kind: 'request',
    incoming,
    host,
    scheme: standsFor?.scheme ?? schemeOf(incoming, absolute?.[1]),
    target: rest.startsWith('/') ? rest : `/${rest}`,
    framing,
    peer,
    absolute: absolute !== null,
    toGoogle: false,
    ...(port !== undefined && !standsFor && { port }),
  }
}

/**
 * A request on a connection to a service, by the service's URL as towards a proxy, as Google's front end routes it: by Host,
 * whatever name the connection was made to (facts 7.13). A reverse proxy that keeps its caller's Host is sent back to itself.
 */
export function routedByHost(request: Asked, isService: (host: string) => boolean): Asked | Malformed {
  const spelled = request.incoming.headers.host
  if (!request.absolute || spelled === undefined || !isService(request.host)) return request
  const [, name] = AUTHORITY.exec(spelled) ?? []
  const host = name && canonicalHost(name)
  if (!host) return malformed('the host is no host')
  return { ...request, host, absolute: false, toGoogle: true }
}

function countHosts(raw: readonly string[]): number {
  let count = 0
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index]
    if (name?.length === 4 && name.toLowerCase() === 'host') count += 1
  }
  return count
}

function malformed(fault: string): Malformed {
  return { kind: 'malformed', fault }
}

function schemeOf(incoming: IncomingMessage, spelled?: string): 'http' | 'https' {
  const encrypted = 'encrypted' in incoming.socket && incoming.socket.encrypted === true
  return encrypted || spelled?.toLowerCase() === 'https' ? 'https' : 'http'
}

export function peerOf(
  incoming: IncomingMessage,
  options: { readonly instance?: () => Peer['instance']; readonly google?: true },
): Peer {
  const address = canonicalAddress(incoming.socket.remoteAddress ?? '')
  const instance = options.instance?.()
  if (options.google) return { address, google: true }
  return instance ? { address, instance } : { address }
}

/** The one protocol that is changed to. A body would be read as the first bytes of the other protocol. */
export function isWebSocket({ incoming, framing }: FrontRequest): boolean {
  const { method, httpVersion, headers } = incoming
  const offered = (headers.upgrade ?? '').toLowerCase().split(',')
  return (
    method === 'GET' &&
    httpVersion === '1.1' &&
    !hasBody(framing) &&
    offered.some((protocol) => protocol.trim() === 'websocket')
  )
}
