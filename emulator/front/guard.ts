/**
 * Who may ask the emulator by a name of its own, as opposed to one of Google's.
 *
 * A page in a browser is the caller to keep out: it reaches loopback as this machine's programs do. What it cannot do is leave
 * out its Origin, or make a browser say another Host than the one that its own address bar holds; a name that it has pointed
 * at this machine (DNS rebinding) is therefore found out by being no name of the emulator's.
 */
import { hostname } from 'node:os'
import { addressOf, canonicalHost, isLocalhost } from './addresses.ts'
import type { FrontRequest } from './request.ts'

export type OwnNames = (host: string) => boolean

/**
 * The names that nobody else can have: loopback and other addresses, this machine's own name, names that no public zone holds
 * (without a dot, or under `.internal`), and those that were configured.
 */
export function ownNames(aliases: readonly string[]): OwnNames {
  const known = new Set([hostname(), ...aliases].flatMap((name) => canonicalHost(name) ?? []))
  return (host) =>
    addressOf(host) !== undefined ||
    isLocalhost(host) ||
    !host.includes('.') ||
    host.endsWith('.internal') ||
    known.has(host)
}

/** Why a request for the emulator by its own name is refused, as one line that says what to do; undefined when it is not. */
export function hostTrouble({ host }: FrontRequest, isOwn: OwnNames): string | undefined {
  if (isOwn(host)) return undefined
  return `Host: the emulator is not known as ${host}. Ask for localhost, for one of its addresses or for a name without a dot, or start it with --alias ${host}.`
}

/** As {@link hostTrouble}, for the control API: pages of other sites are refused, programs send no Origin. */
export function originTrouble({ incoming, host, port }: FrontRequest): string | undefined {
  const { origin } = incoming.headers
  if (origin === undefined) return undefined
  if (URL.canParse(origin)) {
    const { protocol, hostname: page, port: spelled } = new URL(origin)
    const usual = protocol === 'https:' ? '443' : '80'
    if (canonicalHost(page) === host && (spelled || usual) === String(port ?? usual)) return undefined
  }
  return `Origin: pages of ${origin} may not use the control API, only pages of its own. Ask it from a program, which sends no Origin.`
}

export const NOT_FOR_SERVICES =
  "The control API is not for services: this port is a metadata server, and a way to Google and to other services. Ask the emulator's own port."
