/** Revisions that someone else runs: `--upstream SERVICE=URL` says where. */
import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import { serviceKey } from '../state/names.ts'
import type { InstanceOf, Revision, ServiceName } from '../state/resources.ts'
import { instanceOf } from './contract.ts'
import type { Runtime } from './runtime.ts'

/** Container engines give an address to another container as soon as the first is gone, so names are not remembered for long. Milliseconds. */
const REMEMBERED = 2000

export interface ExternalOptions {
  /** URLs by the name of a service or of one revision; a revision's own wins. */
  readonly upstreams: Readonly<Record<string, string>>
  /** The revision of a service that serves now: an instance known only by its service is one of these. */
  readonly serving: (service: string) => Revision | undefined
  /** A revision by its name. */
  readonly revision: (name: string) => Revision | undefined
  readonly now: () => number
  /** Takes one line for a person. Default: none. */
  readonly log?: (line: string) => void
  /** Addresses of a host name or a literal address that nothing else shares. Default: the system's resolver, without loopback. */
  readonly resolve?: (host: string) => Promise<readonly string[]>
}

export interface ExternalRuntime extends Runtime {
  /** True when a URL is known for this revision or its service. */
  owns(revision: Pick<Revision, 'name' | 'service'>): boolean
}

export function createExternalRuntime(options: ExternalOptions): ExternalRuntime {
  const { serving, revision: revisionNamed, now, log = () => {}, resolve = systemResolver } = options
  const urls = new Map(Object.entries(options.upstreams).map(([name, url]) => [name, new URL(url)]))
  const resolved = new Map<
    string,
    { readonly addresses: Promise<readonly string[]>; readonly until: number }
  >()

  const running = new Map<string, URL>()
  const accounts = new Map<URL, string>()

  const urlOf = (name: string, service: string) => urls.get(name) ?? urls.get(service)
  /** A process that somebody else runs is not restarted by a deployment, and its library keeps the tokens it has. */
  const warnOfOldTokens = (url: URL, { name, template: { serviceAccount } }: Revision) => {
    const before = accounts.get(url)
    accounts.set(url, serviceAccount)
    if (before === undefined || before === serviceAccount) return
    log(
      `${url.origin} is now revision ${name}, which runs as ${serviceAccount}: restart it, or it goes on with the tokens of ${before} until they expire. To keep revisions apart give each its own URL: --upstream ${name}=URL.`,
    )
  }
  const addressesOf = (host: string) => {
    const known = resolved.get(host)
    if (known && now() < known.until) return known.addresses
    const addresses = resolve(host).catch(() => [])
    resolved.set(host, { addresses, until: now() + REMEMBERED })
    return addresses
  }

  return {
    owns: ({ name, service }) => urlOf(name, service) !== undefined,
    start(revision) {
      const url = urlOf(revision.name, revision.service)
      if (url) {
        running.set(serviceKey(revision), url)
        warnOfOldTokens(url, revision)
      }
      // Whoever runs it decides when it listens; until then the front door answers as for an instance that is not there.
      return Promise.resolve({ ready: true, imageDigest: revision.imageDigest })
    },
    stop(revision) {
      running.delete(serviceKey(revision))
      return Promise.resolve()
    },
    upstream: (revision: ServiceName) => running.get(serviceKey(revision)),
    async instanceAt(address) {
      if (address === '') return undefined
      const owners = await Promise.all(
        [...urls].map(async ([name, url]) =>
          (await addressesOf(url.hostname)).includes(address) ? name : undefined,
        ),
      )
      const instances = new Map<string, InstanceOf>()
      for (const owner of owners) {
        if (owner === undefined) continue
        // A revision that is not deployed yet, or a service with none that serves, is nobody's instance.
        const revision = revisionNamed(owner) ?? serving(owner)
        if (revision) instances.set(serviceKey(revision), instanceOf(revision))
      }
      // An address that several share says no more than loopback does.
      const [instance, another] = instances.values()
      return another ? undefined : instance
    },
    close: () => Promise.resolve(),
  }
}

async function systemResolver(host: string): Promise<readonly string[]> {
  const literal = host.replace(/^\[|\]$/g, '')
  const addresses = isIP(literal)
    ? [literal]
    : (await lookup(host, { all: true })).map(({ address }) => address)
  // Loopback is shared by everything on the machine: it says nothing of who is asking.
  return addresses.filter((address) => !LOOPBACK.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4'))
}

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8)
LOOPBACK.addAddress('::1', 'ipv6')
