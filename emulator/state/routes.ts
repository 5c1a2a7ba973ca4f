/** Which service a host name asks for, and which of its revisions answers (facts 1.6). */
import { serviceHosts, serviceKey } from './names.ts'
import type { Placed, Read, Services } from './parts.ts'
import type { Revision, Service, TrafficTarget } from './resources.ts'
import { targetRevision } from './traffic.ts'

/** What routes are made from. */
export type RoutesState = Read<Placed & Services>

/** What one host stands for. */
export interface Route {
  readonly service: Service
  /** The tag in the host, `TAG---SERVICE-…`. */
  readonly tag?: string
  /** The revision for one request; `random` is in [0, 1). Undefined when the service has none that is ready. */
  pick(random: number): Revision | undefined
}

type Table = Map<string, Map<string, Route>>

/** The table of hosts. A service's part of it is made anew after the service has changed, when the next request asks. */
export class Routes {
  readonly #state: RoutesState
  readonly #unsubscribe: () => void
  /** Keys of services that have changed since the table was last looked at. */
  readonly #changed = new Set<string>()
  /** Routes by host, then by the key of their service. */
  readonly #own: Table = new Map()
  readonly #tagged: Table = new Map()
  readonly #hosts = new Map<string, ServiceRoutes>()

  constructor(state: RoutesState) {
    this.#state = state
    for (const service of state.services.list()) this.#changed.add(serviceKey(service))
    this.#unsubscribe = state.services.onChange((key) => this.#changed.add(key))
  }

  /** `host` is lower case, without a port. */
  find(host: string): Route | undefined {
    if (this.#changed.size > 0) this.#refresh()
    // A service whose own name reads like a tagged one keeps its host.
    return first(this.#own.get(host)) ?? first(this.#tagged.get(host))
  }

  close(): void {
    this.#unsubscribe()
  }

  #refresh(): void {
    for (const key of this.#changed) {
      const service = this.#state.services.get(key)
      const before = this.#hosts.get(key)
      const after = service && routesOf(service, this.#state)
      if (after) this.#hosts.set(key, after)
      else this.#hosts.delete(key)
      replace(this.#own, key, before?.own, after?.own)
      replace(this.#tagged, key, before?.tagged, after?.tagged)
    }
    this.#changed.clear()
  }
}

/** Routes of one service by host. */
interface ServiceRoutes {
  readonly own: ReadonlyMap<string, Route>
  readonly tagged: ReadonlyMap<string, Route>
}

function routesOf(service: Service, state: RoutesState): ServiceRoutes {
  const route = { service, pick: splitTraffic(service, state) }
  const own = new Map(serviceHosts(service, state.place).map((host) => [host, route]))
  const tagged = new Map<string, Route>()
  for (const target of service.traffic) {
    const { tag } = target
    if (!tag) continue
    const pick = revisionOf(service, target, state)
    for (const host of serviceHosts(service, state.place, tag))
      if (!tagged.has(host)) tagged.set(host, { service, tag, pick })
  }
  return { own, tagged }
}

function replace(
  table: Table,
  key: string,
  before: ReadonlyMap<string, Route> = new Map(),
  after: ReadonlyMap<string, Route> = new Map(),
): void {
  for (const host of before.keys()) {
    if (after.has(host)) continue
    const routes = table.get(host)
    routes?.delete(key)
    if (routes?.size === 0) table.delete(host)
  }
  for (const [host, route] of after) {
    const routes = table.get(host)
    if (routes) routes.set(key, route)
    else table.set(host, new Map([[key, route]]))
  }
}

function first(routes: ReadonlyMap<string, Route> | undefined): Route | undefined {
  return routes?.values().next().value
}

function splitTraffic(service: Service, state: RoutesState): Route['pick'] {
  const shares: { readonly revision: () => Revision | undefined; readonly below: number }[] = []
  let total = 0
  // A service whose manifest has no traffic block follows its latest ready revision.
  const targets = service.traffic.length > 0 ? service.traffic : [{ percent: 100 }]
  for (const target of targets) {
    if (target.percent <= 0) continue
    total += target.percent
    shares.push({ revision: revisionOf(service, target, state), below: total })
  }
  const [only] = shares
  if (only && shares.length === 1) return only.revision
  return (random) => shares.find(({ below }) => random * total < below)?.revision()
}

/** Looks the revision up at each request: it changes without its service, when it becomes ready for one. */
function revisionOf(
  service: Service,
  target: TrafficTarget,
  { revisions }: RoutesState,
): () => Revision | undefined {
  const name = targetRevision(service, target)
  if (name === undefined) return () => undefined
  const { project, region } = service
  const key = serviceKey({ project, region, name })
  return () => revisions.get(key)
}
