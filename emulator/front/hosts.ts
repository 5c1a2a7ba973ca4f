/** Google is a set of host names: which room answers for which (design: the one idea). */

/** `local`: the host is none of Google's. */
export type Room = 'metadata' | 'issuer' | 'apis' | 'ingress' | 'local'
/** A room of the emulator's own name. */
export type LocalRoom = Exclude<Room, 'ingress' | 'local'> | 'console'

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

/** The room that a host means. A host that is not Google's is the emulator's own, or, asked for as of a proxy, somebody else's. */
export function roomFor(host: string, target: string): Room {
  if (host.endsWith('.run.app')) return 'ingress'
  if (METADATA_HOSTS.has(host) || host.endsWith('.metadata.google.internal')) return 'metadata'
  if (ISSUER_HOSTS.has(host)) return 'issuer'
  // www.googleapis.com holds the certificates, and every older API under its own path.
  if (host === 'www.googleapis.com') return isIssuerPath(target) ? 'issuer' : 'apis'
  if (host.endsWith('.googleapis.com')) return 'apis'
  if (host === 'sdk.cloud.google.com') return 'issuer' // where gcloud sends a browser to show a code
  return 'local'
}

/** The room for a path on the emulator's own name: Google's paths do not collide. */
export function roomForPath(target: string, wantsHtml: boolean): LocalRoom {
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
