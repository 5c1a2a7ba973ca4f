/** IP addresses in one spelling each, and which of them are this machine's. */
import { readFileSync } from 'node:fs'
import { BlockList, isIP } from 'node:net'
import { networkInterfaces } from 'node:os'

/** What only a number can end in: everybody who resolves a name reads such a host as an IPv4 address (WHATWG URL, RFC 6943). */
const NUMBER_AT_THE_END = /(?:^|\.)(?:\d+|0x[\da-f]*)\.?$/i
/** An IPv4 address inside an IPv6 one, as a URL spells it. */
const MAPPED = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/

/**
 * A host in one spelling: lower case, no trailing dot, IPv4 in four decimal numbers whether it came in hexadecimal, octal,
 * fewer parts or mapped to IPv6, IPv6 shortened and in brackets. Undefined for what is neither a name nor an address.
 */
export function canonicalHost(host: string): string | undefined {
  const name = host.toLowerCase()
  // A name is left alone: not every name that is asked for is one that a URL may hold.
  if (!name.startsWith('[') && !NUMBER_AT_THE_END.test(name) && !/[^\x21-\x24\x26-\x7e]/.test(name))
    return name.replace(/\.$/, '')
  if (!URL.canParse(`http://${name}/`)) return undefined
  const { hostname } = new URL(`http://${name}/`)
  const address = hostname.replace(/^\[|\]$/g, '')
  return isIP(address) === 6 ? bracketed(canonicalAddress(address)) : hostname.replace(/\.$/, '')
}

/** An address as the system tells it, in one spelling: without a zone, IPv4 never mapped to IPv6. */
export function canonicalAddress(address: string): string {
  const plain = address.replace(/%.*$/, '')
  if (isIP(plain) !== 6) return plain
  const short = new URL(`http://[${plain}]/`).hostname.slice(1, -1)
  const [, high, low] = MAPPED.exec(short) ?? []
  if (high === undefined || low === undefined) return short
  const bits = (Number.parseInt(high, 16) << 16) | Number.parseInt(low, 16)
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 0xff).join('.')
}

/** The address of a host that is one, without brackets. */
export function addressOf(host: string): string | undefined {
  const address = host.replace(/^\[|\]$/g, '')
  return isIP(address) ? address : undefined
}

/** Names that are loopback by definition (RFC 6761). */
export function isLocalhost(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost')
}

function bracketed(address: string): string {
  return isIP(address) === 6 ? `[${address}]` : address
}

/** True for an address that only this machine's own programs come from. In canonical spelling, as are the next two. */
export function isLoopback(address: string): boolean {
  return isIn(LOOPBACK, address)
}

/** True for every address that leads back to this machine: loopback, "any", and those of its interfaces. */
export function isOwnAddress(address: string): boolean {
  return isIn(LOOPBACK, address) || isIn(ANY, address) || interfaceAddresses().has(address)
}

/**
 * True where an address is the way out of a container, which is also where a published port's callers seem to come from: the
 * machine outside, with everything on it. Known on Linux alone, as containers are.
 */
export function isGateway(address: string): boolean {
  return gateways().includes(address)
}

/** Where a real metadata server would be: one of the machine that the emulator runs on, if that is in a cloud itself. */
export function isMetadataAddress(address: string): boolean {
  return address === '169.254.169.254' || address === 'fd20:ce::254'
}

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8)
LOOPBACK.addAddress('::1', 'ipv6')

/** Linux and macOS connect to themselves for 0.0.0.0 and ::; the rest of these blocks is nobody's. */
const ANY = new BlockList()
ANY.addSubnet('0.0.0.0', 8)
ANY.addSubnet('::', 96, 'ipv6')

function isIn(list: BlockList, address: string): boolean {
  const family = isIP(address)
  return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

function gateways(): readonly string[] {
  try {
    // A line a route: interface, destination, gateway as eight hex digits, the last byte first, …
    const routes = readFileSync('/proc/net/route', 'utf8').trim().split('\n').slice(1)
    return routes.map((route) => {
      const bytes = Buffer.from(route.split('\t')[2] ?? '', 'hex')
      return [...bytes].reverse().join('.')
    })
  } catch {
    return []
  }
}

/** Asked anew each time: a network that comes up while the emulator runs brings an address with it. */
function interfaceAddresses(): ReadonlySet<string> {
  const all = Object.values(networkInterfaces()).flatMap((each = []) => each)
  return new Set(all.map(({ address }) => canonicalAddress(address)))
}
