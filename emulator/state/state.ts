/** Everything that the emulator remembers, and the first contents of an empty one. */
import type { Directory } from '../iam/question.ts'
import type { Roles } from '../iam/roles.ts'
import type { Clock } from '../tokens/clock.ts'
import { KeyRing } from '../tokens/keys.ts'
import { mintAccessToken, mintUniqueId } from '../tokens/mint.ts'
import type { Collection } from './collection.ts'
import * as declared from './collections.ts'
import { Store } from './database.ts'
import { DecisionLog } from './decision-log.ts'
import { defaultComputeServiceAccount, type Place } from './names.ts'
import { newPolicy } from './new-policy.ts'
import type * as parts from './parts.ts'
import type {
  AccessToken,
  AuthorizationCode,
  LogEntry,
  Operation,
  Project,
  RefreshToken,
  Revision,
  Service,
  ServiceAccount,
  ServiceAccountKey,
  User,
  WorkloadIdentityPool,
  WorkloadIdentityPoolProvider,
  WrittenEntry,
} from './resources.ts'
import { Ring } from './ring.ts'
import { tokenKey } from './token-key.ts'

export interface StateOptions extends Place {
  /** The region that names without one fall in. */
  readonly region: string
  /** Folder of the SQLite file; undefined keeps everything in memory. */
  readonly data?: string
  readonly clock: Clock
  /** Email of the person who owns the project. */
  readonly owner: string
  /** Members of groups and domains, by email and by name. */
  readonly groups: ReadonlyMap<string, readonly string[]>
  readonly domains: ReadonlyMap<string, readonly string[]>
  /** Names of the APIs that a new project has enabled. Default none. */
  readonly enabledServices?: readonly string[]
  /** Roles that products add, and what Google's own hold of such products. Default none. */
  readonly addedRoles?: Roles
}

/** Google's hour for access tokens, in milliseconds. */
const ACCESS_TOKEN_LIFE = 3_600_000
const MIB = 1024 * 1024
/** How often expired ones are looked for. Milliseconds. */
const SWEEP_INTERVAL = 60_000

/** All of it. Rooms take the parts that they use; only the composition root opens one. */
export class State
  implements
    parts.Timed,
    parts.Placed,
    parts.Stored,
    Directory,
    parts.Projects,
    parts.AddedRoles,
    parts.Accounts,
    parts.DeletedAccounts,
    parts.AccountKeys,
    parts.IdentityPools,
    parts.Users,
    parts.AccessTokens,
    parts.SignIns,
    parts.SigningKeys,
    parts.Services,
    parts.Operations,
    parts.Decisions,
    parts.Logs
{
  readonly place: Place
  readonly region: string
  /** Email of the person who owns the project: who signs in where nobody is named. */
  readonly owner: string
  readonly clock: Clock
  readonly groups: ReadonlyMap<string, readonly string[]>
  readonly domains: ReadonlyMap<string, readonly string[]>
  readonly addedRoles: Roles
  readonly store: Store
  readonly projects: Collection<Project, 'number'>
  readonly serviceAccounts: Collection<ServiceAccount, 'uniqueId'>
  readonly deletedServiceAccounts: Collection<ServiceAccount>
  readonly serviceAccountKeys: Collection<ServiceAccountKey, 'account'>
  readonly workloadIdentityPools: Collection<WorkloadIdentityPool>
  readonly workloadIdentityPoolProviders: Collection<WorkloadIdentityPoolProvider>
  readonly users: Collection<User, 'uniqueId'>
  readonly services: Collection<Service, 'name'>
  readonly revisions: Collection<Revision, 'service' | 'name'>
  readonly operations: Collection<Operation>
  readonly accessTokens: Collection<AccessToken>
  readonly authorizationCodes: Collection<AuthorizationCode>
  readonly refreshTokens: Collection<RefreshToken>
  /** What was decided, newest last. */
  readonly decisions: DecisionLog
  /** What services and the platform logged, newest last. */
  readonly logs = new Ring<LogEntry | WrittenEntry>({ size: 10_000, bytes: 64 * MIB, weigh: weightOfEntry })
  readonly keys: KeyRing
  readonly #options: StateOptions
  #lastSweep = Number.NEGATIVE_INFINITY

  private constructor(options: StateOptions, store: Store, keys: KeyRing) {
    this.#options = options
    this.place = {
      projectId: options.projectId,
      projectNumber: options.projectNumber,
      scheme: options.scheme,
    }
    this.region = options.region
    this.owner = options.owner
    this.clock = options.clock
    this.decisions = new DecisionLog(options.clock())
    this.groups = options.groups
    this.domains = options.domains
    this.addedRoles = options.addedRoles ?? new Map()
    this.store = store
    this.keys = keys
    this.projects = store.collection(declared.projects)
    this.serviceAccounts = store.collection(declared.serviceAccounts)
    this.deletedServiceAccounts = store.collection(declared.deletedServiceAccounts)
    this.serviceAccountKeys = store.collection(declared.serviceAccountKeys)
    this.workloadIdentityPools = store.collection(declared.workloadIdentityPools)
    this.workloadIdentityPoolProviders = store.collection(declared.workloadIdentityPoolProviders)
    this.users = store.collection(declared.users)
    this.services = store.collection(declared.services)
    this.revisions = store.collection(declared.revisions)
    this.operations = store.collection(declared.operations)
    this.accessTokens = store.collection(declared.accessTokens)
    this.authorizationCodes = store.collection(declared.authorizationCodes)
    this.refreshTokens = store.collection(declared.refreshTokens)
    if (!this.projects.has(options.projectId)) this.#begin(options)
  }

  static async open(options: StateOptions): Promise<State> {
    const store = new Store(options.data)
    const kept = store.collection(declared.signingKeys)
    const keys = await KeyRing.open(kept.list(), options.clock(), (all) =>
      store.transaction(() => {
        for (const { kid } of kept.list()) if (!all.some((key) => key.kid === kid)) kept.delete(kid)
        for (const key of all) kept.put(key.kid, key)
      }),
    )
    return new State(options, store, keys)
  }

  /** The project, by id or number. */
  project(idOrNumber: string): Project | undefined {
    return this.projects.get(idOrNumber) ?? this.projects.getBy('number', idOrNumber)
  }

  /** A service account, by email or unique id. */
  serviceAccount(emailOrId: string): ServiceAccount | undefined {
    return (
      this.serviceAccounts.get(emailOrId.toLowerCase()) ?? this.serviceAccounts.getBy('uniqueId', emailOrId)
    )
  }

  /** The person of this email, made known on first sight: anyone may sign in here. */
  user(email: string): User {
    const key = email.toLowerCase()
    const known = this.users.get(key)
    if (known) return known
    const user = { email: key, uniqueId: mintUniqueId() }
    this.users.put(key, user)
    return user
  }

  /** Issues an access token for a member. */
  issueAccessToken(
    holder: Omit<AccessToken, 'expireTime'>,
    life = ACCESS_TOKEN_LIFE,
  ): { readonly token: string; readonly expireTime: number } {
    const token = mintAccessToken()
    const now = this.clock()
    this.#forgetExpired(now)
    const expireTime = now + life
    this.accessTokens.put(tokenKey(token), { ...holder, expireTime })
    return { token, expireTime }
  }

  /** What an access token stands for, while it lives. */
  accessToken(token: string): AccessToken | undefined {
    const kept = this.accessTokens.get(tokenKey(token))
    return kept && kept.expireTime > this.clock() ? kept : undefined
  }

  /** RFC 3339 with microseconds, as Google's APIs write it. */
  timestamp(): string {
    return new Date(this.clock()).toISOString().replace('Z', '000Z')
  }

  /** Back to the first contents; what stays says so in its declaration. Call it when nothing runs any more. */
  reset(): void {
    this.store.transaction(() => {
      this.store.reset()
      this.#begin(this.#options)
    })
    this.decisions.clear()
    this.logs.clear()
  }

  close(): void {
    this.store.close()
  }

  /** Once a minute is often enough, and issuing a token then costs the same however many there are. */
  #forgetExpired(now: number): void {
    if (Math.abs(now - this.#lastSweep) < SWEEP_INTERVAL) return
    this.#lastSweep = now
    // In one transaction: each would wait for the disk by itself.
    this.store.transaction(() => {
      for (const [key, kept] of this.accessTokens.entries())
        if (kept.expireTime <= now) this.accessTokens.delete(key)
    })
  }

  #begin({ projectId, projectNumber, owner, enabledServices = [] }: StateOptions): void {
    const compute = defaultComputeServiceAccount(this.place)
    this.store.transaction(() => {
      this.user(owner)
      this.serviceAccounts.put(compute, {
        email: compute,
        uniqueId: mintUniqueId(),
        projectId,
        displayName: 'Compute Engine default service account',
        description: '',
        disabled: false,
        createTime: this.timestamp(),
        policy: newPolicy([]),
        etag: newPolicy([]).etag,
      })
      this.projects.put(projectId, {
        projectId,
        projectNumber,
        name: projectId,
        createTime: this.timestamp(),
        // facts 1.7: the default compute service account commonly holds Editor.
        policy: newPolicy([
          { role: 'roles/editor', members: [`serviceAccount:${compute}`] },
          { role: 'roles/owner', members: [`user:${owner.toLowerCase()}`] },
        ]),
        enabledServices,
      })
    })
  }
}

/** What it takes to keep one, about: two bytes a character. */
function weightOfEntry({ textPayload = '', jsonPayload, httpRequest }: LogEntry | WrittenEntry): number {
  const payloads = [jsonPayload, httpRequest].filter((payload) => payload !== undefined)
  const characters = payloads.reduce(
    (sum, payload) => sum + JSON.stringify(payload).length,
    textPayload.length,
  )
  return 512 + 2 * characters
}
