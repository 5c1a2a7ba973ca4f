/** Google is a set of host names: which room answers for which (design: the one idea). */

import type { FrontRequest } from './request.ts'

export type Room = 'metadata' | 'issuer' | 'apis' | 'ingress' | 'local' | 'elsewhere'

const METADATA_HOSTS: ReadonlySet<string> = new Set([
  'metadata.google.internal',
  'metadata',
  '169.254.169.254',
])
const ISSUER_HOSTS: ReadonlySet<string> = new Set([
  'accounts.google.com',
  'oauth2.googleapis.com',
  'openidconnect.googleapis.com',
  'sts.googleapis.com',
])
const ISSUER_PATH =
  /^\/(?:\.well-known\/openid-configuration|oauth2\/|o\/oauth2\/|token$|tokeninfo$|revoke$|v1\/(?:token|introspect|userinfo)$|(?:service_accounts|robot)\/v1\/|authcode\.html$)/

/**
 * The room for a request. `absolute`: the target was spelled in full, as a client does towards a proxy; a host that is not
 * Google's is then somebody else's, while in the ordinary form it can only be a name of this machine.
 */
export function roomFor(host: string, target: string, absolute: boolean): Room {
  if (host.endsWith('.run.app')) return 'ingress'
  if (METADATA_HOSTS.has(host) || host.endsWith('.metadata.google.internal')) return 'metadata'
  if (ISSUER_HOSTS.has(host)) return 'issuer'
  // www.googleapis.com holds the certificates, and every older API under its own path.
  if (host === 'www.googleapis.com') return isIssuerPath(target) ? 'issuer' : 'apis'
  if (host.endsWith('.googleapis.com')) return 'apis'
  if (host === 'sdk.cloud.google.com') return 'issuer' // where gcloud sends a browser to show a code
  return absolute && !isOwnName(host) ? 'elsewhere' : 'local'
}

/** True where a program of this machine asks the proxy for another server of this machine: its own work in progress, say. */
export function isAnotherServer({ host, port, scheme, peer, incoming }: FrontRequest): boolean {
  if (!isOwnName(host) || !isLoopback(peer.address)) return false
  return (port ?? (scheme === 'https' ? 443 : 80)) !== incoming.socket.localPort
}

/** The room for a path on the emulator's own name: Google's paths do not collide. */
export function roomForPath(target: string, wantsHtml: boolean): Room | 'console' {
  if (target.startsWith('/_emulator')) return 'console'
  if (target.startsWith('/computeMetadata')) return 'metadata'
  // Clients find a metadata server by `GET /` and its Metadata-Flavor header; a browser asks for a page.
  if (pathOf(target) === '/') return wantsHtml ? 'console' : 'metadata'
  return isIssuerPath(target) ? 'issuer' : 'apis'
}

function isIssuerPath(target: string): boolean {
  return ISSUER_PATH.test(pathOf(target))
}

function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}

/** Loopback names and addresses: the emulator's own, whatever the form of the request. */
export function isOwnName(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || isLoopback(host)
}

/** True for an address of the loopback range. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^127(?:\.\d{1,3}){3}$/.test(address)
}
