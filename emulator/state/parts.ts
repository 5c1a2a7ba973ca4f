/** The state in parts: a room names those that it uses, and gets nothing else. */
import type { Roles } from '../iam/roles.ts'
import type { Clock } from '../tokens/clock.ts'
import type { KeyRing } from '../tokens/keys.ts'
import type { Collection, ReadableCollection } from './collection.ts'
import type { Store } from './database.ts'
import type { DecisionLog } from './decision-log.ts'
import type { Place } from './names.ts'
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
import type { Ring } from './ring.ts'

/** Parts whose collections are read only. */
export type Read<P> = {
  readonly [K in keyof P]: P[K] extends Collection<infer T, infer I> ? ReadableCollection<T, I> : P[K]
}

export interface Timed {
  readonly clock: Clock
  /** Now, in RFC 3339 with microseconds, as Google's APIs write it. */
  timestamp(): string
}

export interface Placed {
  readonly place: Place
  /** The region that names without one fall in. */
  readonly region: string
}

/** Opens what a room itself declares, and writes several rows or none. */
export interface Stored {
  readonly store: Pick<Store, 'collection' | 'transaction'>
}

export interface Projects {
  readonly projects: Collection<Project, 'number'>
  /** The project, by id or number. */
  project(idOrNumber: string): Project | undefined
}

export interface AddedRoles {
  /** Roles that products add, and what Google's own hold of such products. */
  readonly addedRoles: Roles
}

export interface Accounts {
  readonly serviceAccounts: Collection<ServiceAccount, 'uniqueId'>
  /** A service account, by email or unique id. */
  serviceAccount(emailOrId: string): ServiceAccount | undefined
}

export interface DeletedAccounts {
  readonly deletedServiceAccounts: Collection<ServiceAccount>
}

export interface AccountKeys {
  readonly serviceAccountKeys: Collection<ServiceAccountKey, 'account'>
}

export interface IdentityPools {
  readonly workloadIdentityPools: Collection<WorkloadIdentityPool>
  readonly workloadIdentityPoolProviders: Collection<WorkloadIdentityPoolProvider>
}

export interface Users {
  /** Email of the person who owns the project: who signs in where nobody is named. */
  readonly owner: string
  readonly users: Collection<User, 'uniqueId'>
  /** The person of this email, made known on first sight: anyone may sign in here. */
  user(email: string): User
}

export interface AccessTokens {
  readonly accessTokens: Collection<AccessToken>
  /** Issues an access token for a member. `life` in milliseconds, default an hour. */
  issueAccessToken(
    holder: Omit<AccessToken, 'expireTime'>,
    life?: number,
  ): { readonly token: string; readonly expireTime: number }
  /** What an access token stands for, while it lives. */
  accessToken(token: string): AccessToken | undefined
}

export interface SignIns {
  readonly authorizationCodes: Collection<AuthorizationCode>
  readonly refreshTokens: Collection<RefreshToken>
}

export interface SigningKeys {
  readonly keys: KeyRing
}

export interface Services {
  readonly services: Collection<Service, 'name'>
  readonly revisions: Collection<Revision, 'service' | 'name'>
}

export interface Operations {
  readonly operations: Collection<Operation>
}

/** What the front door and the metadata server decided, newest last. */
export interface Decisions {
  readonly decisions: DecisionLog
}

/** What services and the platform logged, newest last. */
export interface Logs {
  readonly logs: Ring<LogEntry | WrittenEntry>
}
