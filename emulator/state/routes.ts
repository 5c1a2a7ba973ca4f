/** Which service a host name asks for, and which of its revisions answers (facts 1.6). */
import { serviceHosts, serviceKey } from './names.ts'
import type { Revision, Service, TrafficTarget } from './resources.ts'
import type { State } from './state.ts'

/** What one host stands for. */
export interface Route {
  readonly service: Service
  /** The tag in the host, `TAG---SERVICE-…`. */
  readonly tag?: string
  /** The revision for one request; `random` is in [0, 1). Undefined when the service has none that is ready. */
  pick(random: number): Revision | undefined
}

/** The table of hosts. It is made anew only after services or revisions have changed, when the next request asks. */
export class Routes {
  readonly #state: State
  readonly #unsubscribe: () => void
  #stale = true
  #services: readonly Service[] = []
  #revisions: readonly Revision[] = []
  #byHost: ReadonlyMap<string, Route> = new Map()

  constructor(state: State) {
    this.#state = state
    this.#unsubscribe = state.store.onChange(() => {
      this.#stale = true
    })
  }

  /** `host` is lower case, without a port. */
  find(host: string): Route | undefined {
    if (this.#stale) this.#refresh()
    return this.#byHost.get(host)
  }

  close(): void {
    this.#unsubscribe()
  }

  #refresh(): void {
    this.#stale = false
    const services = this.#state.services.list()
    const revisions = this.#state.revisions.list()
    // Most changes are of something else, such as an access token.
    if (same(services, this.#services) && same(revisions, this.#revisions)) return
    this.#services = services
    this.#revisions = revisions
    this.#byHost = table(services, this.#state)
  }
}

function table(services: readonly Service[], state: State): ReadonlyMap<string, Route> {
  const byHost = new Map<string, Route>()
  for (const service of services) {
    const route = { service, pick: splitTraffic(service, state) }
    for (const host of serviceHosts(service, state.place)) byHost.set(host, route)
  }
  // Tags after services: a service whose own name reads like a tagged one keeps its host.
  for (const service of services) {
    for (const target of service.traffic) {
      const { tag } = target
      if (!tag) continue
      const revision = revisionOf(service, target, state)
      const route = { service, tag, pick: () => revision }
      for (const host of serviceHosts(service, state.place, tag))
        if (!byHost.has(host)) byHost.set(host, route)
    }
  }
  return byHost
}

function splitTraffic(service: Service, state: State): Route['pick'] {
  const shares: { readonly revision: Revision | undefined; readonly below: number }[] = []
  let total = 0
  // A service whose manifest has no traffic block follows its latest ready revision.
  const targets = service.traffic.length > 0 ? service.traffic : [{ percent: 100 }]
  for (const target of targets) {
    if (target.percent <= 0) continue
    total += target.percent
    shares.push({ revision: revisionOf(service, target, state), below: total })
  }
  const [first] = shares
  if (shares.length === 1) return () => first?.revision
  return (random) => shares.find(({ below }) => random * total < below)?.revision
}

function revisionOf(service: Service, target: TrafficTarget, state: State): Revision | undefined {
  const name = target.revisionName ?? service.latestReadyRevision
  if (name === undefined) return undefined
  return state.revisions.get(serviceKey({ project: service.project, region: service.region, name }))
}

function same(left: readonly object[], right: readonly object[]): boolean {
  return left.length === right.length && left.every((value, index) => value === right[index])
}
