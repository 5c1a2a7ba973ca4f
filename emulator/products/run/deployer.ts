/**
 * Makes a service be what was asked for: a revision of its template, brought up; traffic moved to it; what nobody is sent to
 * any more stopped. Both versions of the API, and a restart of the emulator, go through here.
 */
import { isDeepStrictEqual } from 'node:util'
import { accountPolicies, type Caller, holds } from '../../rest/caller.ts'
import { ApiError, denied } from '../../rest/errors.ts'
import type { Google, RestState } from '../../rest/google.ts'
import type { Log, RandomBytes } from '../../rest/route.ts'
import type { Runtime, StartResult } from '../../runtime/runtime.ts'
import { Lock } from '../../state/lock.ts'
import { serviceKey } from '../../state/names.ts'
import type { Services, Stored } from '../../state/parts.ts'
import type { Revision, Service, ServiceName } from '../../state/resources.ts'
import { generationAfter, newRevision, serviceAfter } from './accepted.ts'
import { concluded, type Failure, failureOf, readiness, revisionConditions } from './conditions.ts'
import type { DesiredService } from './desired.ts'
import { noSuchService, revisionsOf, servedNames } from './lookup.ts'
import { notEmulated, notEmulatedCondition } from './not-emulated.ts'
import { violationsOf } from './rules/rules.ts'
import { requireVersion } from './versions.ts'
import { refuse, type Spelling } from './violations.ts'

export type RunState = RestState & Services & Stored

export interface DeployerOptions {
  readonly state: RunState
  readonly runtime: Runtime
  readonly random: RandomBytes
  readonly log: Log
}

export interface DeployRequest {
  readonly desired: DesiredService
  /** `create` refuses a service that exists, `replace` one that does not. */
  readonly mode: 'create' | 'replace'
  /** The resource version that the client has read. Without one the last writer wins. */
  readonly expectedVersion?: string
  readonly caller: Caller
  readonly spelling: Spelling
  /** Checks everything and changes nothing. */
  readonly dryRun: boolean
}

export class Deployer {
  readonly #state: RunState
  readonly #runtime: Runtime
  readonly #random: RandomBytes
  readonly #log: Log
  readonly #lock = new Lock()
  /** Revisions that are finishing what they have in hand. */
  readonly #stopping = new Map<string, Promise<void>>()
  /** Those, and the ones whose revision has been started anew meanwhile. */
  readonly #endings = new Set<Promise<void>>()

  constructor({ state, runtime, random, log }: DeployerOptions) {
    this.#state = state
    this.#runtime = runtime
    this.#random = random
    this.#log = log
  }

  /** Resolves with the service when it serves, or when it is known not to: its Ready condition says which. */
  deploy(request: DeployRequest): Promise<Service> {
    const key = serviceKey(request.desired)
    return this.#lock.run(key, async () => {
      const accepted = this.#accept(request)
      if (request.dryRun) return accepted
      await this.#bringUp(key)
      return this.#service(key)
    })
  }

  /** Deletes a service and its revisions. They stop in the background. */
  delete(name: ServiceName, expectedVersion?: string): Promise<Service> {
    const key = serviceKey(name)
    return this.#lock.run(key, async () => {
      const service = this.#service(key)
      requireVersion(service, expectedVersion)
      const revisions = revisionsOf(this.#state, service)
      this.#state.store.transaction(() => {
        for (const revision of revisions) this.#state.revisions.delete(serviceKey(revision))
        this.#state.services.delete(key)
      })
      for (const revision of revisions) this.#stop(revision)
      return service
    })
  }

  /** Deletes one revision that gets no traffic. */
  deleteRevision(revision: Revision): Promise<void> {
    const key = serviceKey({ ...revision, name: revision.service })
    return this.#lock.run(key, async () => {
      const service = this.#service(key)
      if (revision.name === service.latestCreatedRevision || servedNames(service).has(revision.name)) {
        // Inferred wording; that both are refused is documented.
        throw new ApiError(
          'FAILED_PRECONDITION',
          `Revision '${revision.name}' cannot be deleted: it is the latest revision of its service or receives traffic.`,
        )
      }
      this.#state.revisions.delete(serviceKey(revision))
      this.#stop(revision)
    })
  }

  /** Starts what had been serving before a restart, and finishes the deployments that it broke off. */
  async restore(): Promise<void> {
    const all = this.#state.services.list()
    await Promise.all(
      all.map((service) => this.#lock.run(serviceKey(service), () => this.#restoreOne(service))),
    )
  }

  /** Resolves when no revision is stopping any more. */
  async idle(): Promise<void> {
    while (this.#endings.size) await Promise.all(this.#endings)
  }

  /** Checks a request and, unless it is a dry run, records it: from here on it survives a restart. */
  #accept({ desired, mode, expectedVersion, caller, spelling, dryRun }: DeployRequest): Service {
    const state = this.#state
    const key = serviceKey(desired)
    const existing = state.services.get(key)
    if (mode === 'create' && existing) {
      throw new ApiError('ALREADY_EXISTS', `Resource '${desired.name}' already exists.`)
    }
    if (mode === 'replace') requireVersion(this.#service(key), expectedVersion)
    const revisions = existing ? revisionsOf(state, existing) : []
    const violations = violationsOf({ desired, revisions, spelling })
    if (violations.length) throw refuse(violations, spelling)
    this.#requireActAs(caller, desired.template.serviceAccount)

    const changed = !existing || !isDeepStrictEqual(existing.template, desired.template)
    const generation = generationAfter(existing, desired)
    const revision = changed
      ? newRevision(desired, { ordinal: generation, caller, state, random: this.#random })
      : undefined
    const service = serviceAfter(desired, { existing, generation, revision, caller, state })
    if (dryRun) return service
    const limits = notEmulated(desired)
    if (limits !== undefined) this.#log(`service ${desired.name}: ${limits}`)
    state.store.transaction(() => {
      if (revision) state.revisions.put(serviceKey(revision), revision)
      state.services.put(key, service)
    })
    return service
  }

  /** facts 6.9: a service account must exist, and the caller must hold actAs on it; the answer does not say which failed. */
  #requireActAs(caller: Caller, email: string): void {
    const account = this.#state.serviceAccount(email)
    const policies = account ? accountPolicies(this.#state, account) : []
    if (account && holds(this.#state, caller, 'iam.serviceAccounts.actAs', policies)) return
    throw denied(
      `Permission 'iam.serviceaccounts.actAs' denied on service account ${email} (or it may not exist).`,
    )
  }

  /** Starts the latest revision if that has not been done yet, then lets traffic go where it was asked to. */
  async #bringUp(key: string): Promise<void> {
    const revision = await this.#decide(this.#latest(key))
    const broken = failureOf(revision)
    if (broken) this.#stop(revision)
    const before = this.#service(key)
    const traffic = before.requestedTraffic ?? before.traffic
    const latestReadyRevision = broken ? before.latestReadyRevision : revision.name
    const unreachable =
      latestReadyRevision === undefined && traffic.some(({ revisionName }) => revisionName === undefined)
        ? broken
        : await this.#startServing(before, servedNames({ traffic, latestReadyRevision }))

    // Whatever has been changed meanwhile stays: a policy may have been set.
    const { requestedTraffic, ...service } = this.#service(key)
    const moved = { traffic, ...(latestReadyRevision === undefined ? {} : { latestReadyRevision }) }
    const now = this.#state.timestamp()
    const after: Service = {
      ...service,
      ...(unreachable ? { requestedTraffic: traffic } : moved),
      conditions: [...concluded(broken, unreachable, now), ...notEmulatedCondition(service, now)],
    }
    this.#state.services.put(key, after)
    const reached = servedNames(after)
    for (const other of revisionsOf(this.#state, after)) {
      if (!reached.has(other.name) && this.#runtime.upstream(other)) this.#stop(other)
    }
  }

  /** Starts a revision of which it is not known yet whether it serves, and records what came of it. */
  async #decide(revision: Revision): Promise<Revision> {
    if (readiness(revision)?.status !== 'Unknown') return revision
    const result = await this.#start(revision)
    const decided: Revision = {
      ...revision,
      imageDigest: result.ready ? result.imageDigest : revision.imageDigest,
      conditions: revisionConditions(result, this.#state.timestamp()),
    }
    this.#state.revisions.put(serviceKey(decided), decided)
    return decided
  }

  /** Starts what is to serve and does not run. Gives the first that cannot. */
  async #startServing(service: Service, names: ReadonlySet<string>): Promise<Failure | undefined> {
    for (const revision of revisionsOf(this.#state, service)) {
      if (!names.has(revision.name)) continue
      const known = failureOf(revision)
      if (known) return known
      const result = await this.#start(revision)
      if (!result.ready) return { revision: revision.name, message: result.message }
    }
    return undefined
  }

  #latest(key: string): Revision {
    const { project, region, latestCreatedRevision: name } = this.#service(key)
    const revision = this.#state.revisions.get(serviceKey({ project, region, name }))
    if (!revision) throw new Error(`the latest revision ${name} of ${key} is gone`)
    return revision
  }

  async #restoreOne({ name, region, project }: Service): Promise<void> {
    const service = this.#service(serviceKey({ name, region, project }))
    const reached = servedNames(service)
    const serving = revisionsOf(this.#state, service).filter((revision) => reached.has(revision.name))
    const results = await Promise.all(
      serving.map(async (revision) => ({ revision, result: await this.#start(revision) })),
    )
    for (const { revision, result } of results) {
      if (!result.ready) {
        this.#log(
          `revision ${revision.name} was serving before the restart and does not start: ${result.message}`,
        )
      }
    }
    if (readiness(service)?.status === 'Unknown') await this.#bringUp(serviceKey(service))
  }

  /** Brings a revision up, unless it is up. */
  async #start(revision: Revision): Promise<StartResult> {
    const decided = readiness(revision)?.status === 'True'
    // What is ending is let end: another instance takes its place at once.
    const ending = this.#stopping.delete(serviceKey(revision))
    if (decided && !ending && this.#runtime.upstream(revision))
      return { ready: true, imageDigest: revision.imageDigest }
    try {
      return await this.#runtime.start(revision)
    } catch (cause) {
      this.#log(`starting revision ${revision.name} failed: ${String(cause)}`)
      return { ready: false, reason: 'InternalError', message: 'Internal error encountered.' }
    }
  }

  #stop(revision: Revision): void {
    const key = serviceKey(revision)
    const stopping = this.#runtime
      .stop(revision)
      .catch((cause: unknown) => this.#log(`stopping revision ${revision.name} failed: ${String(cause)}`))
      .finally(() => {
        if (this.#stopping.get(key) === stopping) this.#stopping.delete(key)
        this.#endings.delete(stopping)
      })
    this.#stopping.set(key, stopping)
    this.#endings.add(stopping)
  }

  #service(key: string): Service {
    const service = this.#state.services.get(key)
    if (service) return service
    const [project = '', region = '', name = ''] = key.split('/')
    throw noSuchService({ project, region, name })
  }
}

/** What the versions of the Cloud Run API work on. */
export interface RunContext extends Google<RunState> {
  readonly deployer: Deployer
}
