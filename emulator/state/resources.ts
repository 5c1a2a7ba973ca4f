/**
 * What Google would remember, in one neutral form: the REST versions (`run` v1 and v2, …) are spellings of these.
 *
 * Every value is immutable; a change is a new value put in its collection. Times are RFC 3339, UTC.
 */
import type { JWK } from 'jose'
import type { Policy } from '../iam/policy.ts'
import type { PublicJwk } from '../tokens/keys.ts'
import type {
  EnvironmentVariable,
  Probe,
  RevisionSettings,
  ServiceSettings,
  Volume,
  VolumeMount,
} from './settings.ts'

export interface Project {
  readonly projectId: string
  /** Twelve digits, as a string. */
  readonly projectNumber: string
  readonly name: string
  readonly createTime: string
  readonly policy: Policy
  /** Enabled APIs, such as `run.googleapis.com`. */
  readonly enabledServices: readonly string[]
}

export interface ServiceAccount {
  readonly email: string
  /** 21 digits; also the OAuth2 client id and the `sub` of its tokens. */
  readonly uniqueId: string
  readonly projectId: string
  readonly displayName: string
  readonly description: string
  readonly disabled: boolean
  readonly createTime: string
  /** Who may act on the account itself. */
  readonly policy: Policy
  readonly etag: string
}

/** A key of a service account. The private half is kept only of those that Google manages itself. */
export interface ServiceAccountKey {
  /** 40 lower-case hex digits; also the `kid` of what it signs. */
  readonly keyId: string
  /** Email of the account. */
  readonly account: string
  readonly type: 'USER_MANAGED' | 'SYSTEM_MANAGED'
  readonly publicJwk: PublicJwk
  readonly privateJwk?: JWK
  /** Self-signed, PEM. */
  readonly certificate: string
  readonly disabled: boolean
  readonly createTime: string
  /** Only of a key that was uploaded: its certificate's own times. */
  readonly uploaded?: { readonly validAfterTime: string; readonly validBeforeTime: string }
}

/** Outside identities that the project takes. The name, by project number, is its key: `projects/123/locations/global/workloadIdentityPools/p`. */
export interface WorkloadIdentityPool {
  readonly name: string
  readonly displayName: string
  readonly description: string
  readonly disabled: boolean
  /** When a deleted one is purged; until then it can be taken back. */
  readonly expireTime?: string
}

/** One issuer of a pool's identities. Its key is its name: the pool's, then `/providers/q`. */
export interface WorkloadIdentityPoolProvider extends WorkloadIdentityPool {
  /** CEL by attribute: `google.subject`, `google.groups`, `attribute.NAME`. */
  readonly attributeMapping: Readonly<Record<string, string>>
  readonly attributeCondition: string
  readonly oidc: {
    readonly issuerUri: string
    readonly allowedAudiences: readonly string[]
    /** A key set; without one the issuer's own is fetched. */
    readonly jwksJson?: string
  }
}

/** A person known to the emulator: whoever signed in. */
export interface User {
  readonly email: string
  readonly uniqueId: string
}

/** One container of a revision. Lists that hold nothing are left out where they may be. */
export interface Container {
  readonly name: string
  readonly image: string
  readonly command: readonly string[]
  readonly args: readonly string[]
  readonly env: readonly EnvironmentVariable[]
  /** The port that requests go to; undefined for sidecars. Default 8080. */
  readonly port?: number
  /** `http1`, or `h2c` where it speaks HTTP/2. */
  readonly portName?: string
  readonly workingDir?: string
  /** `cpu`, `memory`, `nvidia.com/gpu`, as Kubernetes writes quantities. */
  readonly limits?: Readonly<Record<string, string>>
  readonly requests?: Readonly<Record<string, string>>
  readonly volumeMounts?: readonly VolumeMount[]
  readonly startupProbe?: Probe
  readonly livenessProbe?: Probe
  readonly readinessProbe?: Probe
  /** Names of the containers that start before this one. */
  readonly dependsOn?: readonly string[]
}

/** What a revision is made from. */
export interface RevisionTemplate {
  /** A name asked for by the client (`--revision-suffix`); otherwise the server picks one. */
  readonly name?: string
  /** The user's own; what Cloud Run reads is in `settings`. */
  readonly annotations: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly settings: RevisionSettings
  /** Email of the account it runs as. */
  readonly serviceAccount: string
  readonly containers: readonly Container[]
  readonly volumes?: readonly Volume[]
  readonly containerConcurrency: number
  readonly timeoutSeconds: number
}

/** A line of `spec.traffic`. Without `revisionName` it follows the latest ready revision. */
export interface TrafficTarget {
  readonly revisionName?: string
  readonly percent: number
  readonly tag?: string
}

export interface ResourceCondition {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  /** Absent: it counts towards Ready. */
  readonly severity?: 'Info' | 'Warning'
  readonly reason?: string
  readonly message?: string
  readonly lastTransitionTime: string
}

/** Names one service: services of one name may stand in several regions. */
export interface ServiceName {
  readonly project: string
  readonly region: string
  readonly name: string
}

export interface Service extends ServiceName {
  readonly uid: string
  readonly generation: number
  /** Changes with every write; clients send it back. */
  readonly resourceVersion: string
  readonly createTime: string
  readonly updateTime: string
  /** Emails. */
  readonly creator: string
  readonly lastModifier: string
  /** The user's own; what Cloud Run reads is in `settings`. */
  readonly annotations: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly settings: ServiceSettings
  readonly template: RevisionTemplate
  /** Where requests go. */
  readonly traffic: readonly TrafficTarget[]
  /** What `spec.traffic` asks for, while that is not where requests go: a deployment is under way, or it failed. */
  readonly requestedTraffic?: readonly TrafficTarget[]
  /** Who may act on the service; never part of its document. */
  readonly policy: Policy
  readonly latestCreatedRevision: string
  readonly latestReadyRevision?: string
  readonly conditions: readonly ResourceCondition[]
}

export interface Revision extends ServiceName {
  /** The service that it is a revision of; `name` is the revision's own. */
  readonly service: string
  readonly ordinal: number
  readonly uid: string
  readonly createTime: string
  readonly creator: string
  readonly template: RevisionTemplate
  readonly imageDigest: string
  readonly conditions: readonly ResourceCondition[]
}

/** One instance: the service, and the revision of it that the instance runs. */
export interface InstanceOf {
  readonly service: ServiceName
  readonly revision: string
}

/** A long-running operation: a real resource that is kept until the data folder goes. */
export interface Operation {
  /** `projects/P/locations/R/operations/ID`, or `operations/ID`. */
  readonly name: string
  readonly done: boolean
  readonly createTime: string
  readonly metadata?: Readonly<Record<string, unknown>>
  readonly response?: Readonly<Record<string, unknown>>
  readonly error?: { readonly code: number; readonly message: string; readonly status: string }
}

/** What an opaque access token stands for. Its key in the collection is the SHA-256 of the token, so the token itself is not kept. */
export interface AccessToken {
  /** The member that holds it, such as `user:a@example.com`. */
  readonly member: string
  readonly email?: string
  readonly uniqueId?: string
  readonly scopes: readonly string[]
  /** The OAuth client it was issued to; none for a service account's own. */
  readonly clientId?: string
  /** Key of the refresh token that it came from: revoking one revokes the other. */
  readonly grant?: string
  /** Of a federated identity: what `principalSet://` members are compared with. */
  readonly federation?: {
    readonly groups: readonly string[]
    readonly attributes: Readonly<Record<string, string>>
  }
  /** Milliseconds since the epoch. */
  readonly expireTime: number
}

/** A code on its way from the sign-in page to the token endpoint. Its key is the SHA-256 of the code. */
export interface AuthorizationCode {
  readonly clientId: string
  readonly redirectUri: string
  /** Who signed in. */
  readonly email: string
  readonly scopes: readonly string[]
  /** PKCE (RFC 7636). */
  readonly challenge?: { readonly method: 'S256' | 'plain'; readonly value: string }
  readonly nonce?: string
  readonly used: boolean
  /** Milliseconds since the epoch. */
  readonly expireTime: number
}

/** What a person has granted to a client, until it is revoked. Its key is the SHA-256 of the refresh token. */
export interface RefreshToken {
  readonly clientId: string
  readonly email: string
  readonly scopes: readonly string[]
  readonly createTime: string
}

/** A line in a log, as Cloud Logging keeps it. */
interface LoggedLine {
  readonly timestamp: string
  readonly severity:
    | 'DEFAULT'
    | 'DEBUG'
    | 'INFO'
    | 'NOTICE'
    | 'WARNING'
    | 'ERROR'
    | 'CRITICAL'
    | 'ALERT'
    | 'EMERGENCY'
  /** The log's name within the project: `run.googleapis.com/stdout`, `…/stderr`, `…/requests`, `…/varlog/system`, or a program's own. */
  readonly log: string
  readonly textPayload?: string
  readonly jsonPayload?: Readonly<Record<string, unknown>>
  readonly httpRequest?: Readonly<Record<string, unknown>>
}

/** What a service or the platform logged. */
export interface LogEntry extends LoggedLine {
  readonly instance: InstanceOf
}

/** What a program wrote itself, through the API. */
export interface WrittenEntry extends LoggedLine {
  /** Id of the project. */
  readonly project: string
  readonly resource: { readonly type: string; readonly labels: Readonly<Record<string, string>> }
  readonly insertId?: string
  readonly labels?: Readonly<Record<string, string>>
  /** What nothing here acts on, given back as it came. */
  readonly rest: Readonly<Record<string, unknown>>
}
