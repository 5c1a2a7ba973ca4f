/**
 * Where a request leads that was spelled for a proxy, in full or by CONNECT, and whether this peer may go there.
 *
 * A name is resolved once: the addresses are judged, and the connection goes to one of those that were. Judged are addresses,
 * never spellings, so 127.0.0.1 is itself as 0x7f000001, as [::ffff:127.0.0.1] and as whatever name resolves to it.
 */
import { lookup } from 'node:dns/promises'
import {
  addressOf,
  canonicalAddress,
  isLocalhost,
  isLoopback,
  isMetadataAddress,
  isOwnAddress,
} from './addresses.ts'
import type { FrontRequest } from './request.ts'

export type Destination =
  /** The emulator itself. */
  | { readonly kind: 'here' }
  /** Another server: one of these addresses, as the resolver told them, and no other. */
  | { readonly kind: 'elsewhere'; readonly addresses: readonly string[]; readonly port: number }
  /** `message` is one line for a person, and says what to do. */
  | { readonly kind: 'refused'; readonly status: 403 | 502; readonly message: string }

export interface DestinationOptions {
  /** The ports of every listener that is open, of any kind. */
  readonly ports: () => ReadonlySet<number>
  /** The service whose instance has this address, if any. Its container is reached through the front door only. */
  readonly serviceAt?: (address: string) => Promise<string | undefined>
  /** All addresses of a name. Default: the system's resolver. */
  readonly resolve?: (host: string) => Promise<readonly string[]>
}

/** The listener that a request came in by. */
export interface ListenerFacts {
  readonly port: number
  /** It was opened for a service's own programs. */
  readonly forService: boolean
}

export type Judge = (
  request: Pick<FrontRequest, 'host' | 'port' | 'scheme' | 'peer'>,
  listener: ListenerFacts,
  way: 'plain' | 'tunnel',
) => Promise<Destination>

const HERE: Destination = { kind: 'here' }
const OTHER_MACHINE =
  "Hosts that are not Google's are reached from the emulator's own machine only, and this request comes from another."

/** For hosts that are none of Google's: those are answered here, whoever asks. */
export function createJudge({ ports, serviceAt, resolve = systemResolver }: DestinationOptions): Judge {
  return async ({ host, port: spelled, scheme, peer }, listener, way) => {
    const port = spelled ?? (way === 'tunnel' || scheme === 'https' ? 443 : 80)
    const near = isLoopback(peer.address)
    if (!near && !listener.forService) return isOwnHost(host) ? HERE : refused(OTHER_MACHINE)

    const found = await addressesOf(host, resolve)
    if (typeof found === 'string') return { kind: 'refused', status: 502, message: found }
    const addresses = found.map(canonicalAddress)
    if (addresses.some(isMetadataAddress))
      return refused(`${host} is the metadata server's address: ask for metadata.google.internal.`)
    if (addresses.some(isOwnAddress)) {
      if (port === listener.port && way === 'plain') return HERE
      if (!listener.forService)
        return port === listener.port ? HERE : { kind: 'elsewhere', addresses: found, port }
      if (ports().has(port)) return refused(NO_WAY_BACK)
      if (!near) return refused(ownServer(host, port))
    }
    const service = near ? undefined : await firstOf(addresses, serviceAt)
    if (service !== undefined) return refused(throughTheDoor(host, service))
    return { kind: 'elsewhere', addresses: found, port }
  }
}

const NO_WAY_BACK =
  "A service's port leads to Google and to services by their URLs, never back to the emulator itself. Ask for the name that is meant, such as metadata.google.internal."

function ownServer(host: string, port: number): string {
  return `${host}:${port} is a server of the emulator's own machine, which only programs of that machine reach through here. Name its host in no_proxy and ask it directly.`
}

function throughTheDoor(host: string, service: string): string {
  return `${host} is where service ${service} runs, which is reached through the front door only. Ask for its URL.`
}

function refused(message: string): Destination {
  return { kind: 'refused', status: 403, message }
}

/** Loopback by any spelling, without asking a resolver: a peer of another machine has nothing to learn from it. */
function isOwnHost(host: string): boolean {
  return isLocalhost(host) || isLoopback(addressOf(host) ?? '')
}

/** The addresses, or why there are none. */
async function addressesOf(
  host: string,
  resolve: (host: string) => Promise<readonly string[]>,
): Promise<readonly string[] | string> {
  const literal = addressOf(host)
  if (literal !== undefined) return [literal]
  try {
    const addresses = await resolve(isLocalhost(host) ? 'localhost' : host)
    return addresses.length > 0 ? addresses : `${host} cannot be reached: it has no address.`
  } catch (error) {
    return `${host} cannot be reached: ${error instanceof Error ? error.message : String(error)}. It is not one of Google's names, so it was asked for as it is.`
  }
}

async function systemResolver(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address)
}

async function firstOf(
  addresses: readonly string[],
  serviceAt: ((address: string) => Promise<string | undefined>) | undefined,
): Promise<string | undefined> {
  if (!serviceAt) return undefined
  for (const address of addresses) {
    const service = await serviceAt(address)
    if (service !== undefined) return service
  }
  return undefined
}
