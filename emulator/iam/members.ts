/** Members of a binding: every spelling that an allow policy may use (facts 1.7), parsed into a closed union. */

/** One account, and the kind of it that a policy's prefix names. `email` is lower-case. */
export interface AccountMember {
  readonly kind: 'user' | 'group' | 'serviceAccount'
  readonly email: string
}

/** Whoever holds the basic role on a project. */
export interface ConvenienceMember {
  readonly kind: 'projectOwner' | 'projectEditor' | 'projectViewer'
  readonly project: string
}

/** One federated identity. `pool` is a resource name such as `projects/123/locations/global/workloadIdentityPools/p`. */
export interface FederatedMember {
  readonly kind: 'principal'
  readonly pool: string
  readonly subject: string
}

/** Several federated identities: a group, those with an attribute value, or a whole pool. */
export interface FederatedSetMember {
  readonly kind: 'principalSet'
  readonly pool: string
  readonly set:
    | { readonly by: 'group'; readonly group: string }
    | { readonly by: 'attribute'; readonly name: string; readonly value: string }
    | { readonly by: 'pool' }
}

export type LiveMember =
  | { readonly kind: 'allUsers' }
  | { readonly kind: 'allAuthenticatedUsers' }
  | AccountMember
  | { readonly kind: 'domain'; readonly domain: string }
  | ConvenienceMember
  | FederatedMember
  | FederatedSetMember

/** What a binding holds once its member is deleted. Never matches anyone. `uid` is absent only for federated identities. */
export interface DeletedMember {
  readonly kind: 'deleted'
  readonly of: AccountMember | FederatedMember | FederatedSetMember
  readonly uid?: string
}

export type Member = LiveMember | DeletedMember

/** Why a string is no member. `value` is what follows the prefix. */
export type MemberRefusal =
  | { readonly code: 'no-prefix' }
  | { readonly code: 'unknown-prefix'; readonly prefix: string }
  | { readonly code: 'bad-email'; readonly kind: AccountMember['kind']; readonly value: string }
  | { readonly code: 'bad-domain'; readonly value: string }
  | { readonly code: 'bad-project'; readonly value: string }
  | { readonly code: 'bad-principal'; readonly value: string }
  | { readonly code: 'bad-deleted'; readonly value: string }

export type ParsedMember =
  | { readonly ok: true; readonly member: Member }
  | { readonly ok: false; readonly refusal: MemberRefusal }

const EMAIL = /^[^\s@?:/]+@[^\s@?:/]+$/
// GKE's service accounts are written with the serviceAccount prefix too.
const KUBERNETES_ACCOUNT = /^[^\s@?:/[\]]+\.svc\.id\.goog\[[^\s/[\]]+\/[^\s/[\]]+\]$/
const DOMAIN = /^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/
const PROJECT = /^(?:[a-z0-9.-]+:)?[a-z0-9-]+$/
const HOST = '//iam.googleapis.com/'
const POOL =
  /^(projects\/[^/\s]+\/locations\/global\/workloadIdentityPools\/[^/\s]+|locations\/global\/workforcePools\/[^/\s]+)\/(.+)$/s
const ATTRIBUTE = /^attribute\.([^/]+)\/(.+)$/s
const DELETED = /^(user|serviceAccount|group|principal|principalSet):(.+)$/s
const UID = /^(.+)\?uid=([^?]+)$/s

/** Reads one member. Never throws. */
export function parseMember(text: string): ParsedMember {
  if (text === 'allUsers' || text === 'allAuthenticatedUsers') return parsed({ kind: text })
  const colon = text.indexOf(':')
  if (colon < 0) return refused({ code: 'no-prefix' })
  const prefix = text.slice(0, colon)
  const value = text.slice(colon + 1)
  switch (prefix) {
    case 'user':
    case 'group':
    case 'serviceAccount':
      return parseAccount(prefix, value)
    case 'domain': {
      const domain = value.toLowerCase()
      return DOMAIN.test(domain) ? parsed({ kind: 'domain', domain }) : refused({ code: 'bad-domain', value })
    }
    case 'projectOwner':
    case 'projectEditor':
    case 'projectViewer':
      return PROJECT.test(value)
        ? parsed({ kind: prefix, project: value })
        : refused({ code: 'bad-project', value })
    case 'principal':
    case 'principalSet':
      return parseFederated(prefix, value)
    case 'deleted':
      return parseDeleted(value)
    default:
      return refused({ code: 'unknown-prefix', prefix })
  }
}

/** The one spelling of a member: what two spellings of the same member have in common. Emails and domains are lower-case. */
export function formatMember(member: Member): string {
  switch (member.kind) {
    case 'allUsers':
    case 'allAuthenticatedUsers':
      return member.kind
    case 'user':
    case 'group':
    case 'serviceAccount':
      return `${member.kind}:${member.email}`
    case 'domain':
      return `domain:${member.domain}`
    case 'projectOwner':
    case 'projectEditor':
    case 'projectViewer':
      return `${member.kind}:${member.project}`
    case 'principal':
      return principal(member.pool, member.subject)
    case 'principalSet':
      return principalSet(member.pool, member.set)
    case 'deleted':
      return `deleted:${formatMember(member.of)}${member.uid === undefined ? '' : `?uid=${member.uid}`}`
  }
}

/** `principal://…/subject/S` */
export function principal(pool: string, subject: string): string {
  return `principal:${HOST}${pool}/subject/${subject}`
}

/** `principalSet://…/group/G`, `…/attribute.NAME/VALUE` or `…/*` */
export function principalSet(pool: string, set: FederatedSetMember['set']): string {
  const base = `principalSet:${HOST}${pool}/`
  if (set.by === 'pool') return `${base}*`
  return set.by === 'group' ? `${base}group/${set.group}` : `${base}attribute.${set.name}/${set.value}`
}

function parseAccount(kind: AccountMember['kind'], value: string): ParsedMember {
  // Inferred: Google compares and shows emails in lower case.
  if (EMAIL.test(value)) return parsed({ kind, email: value.toLowerCase() })
  // Namespaces and names in Kubernetes are lower-case already.
  if (kind === 'serviceAccount' && KUBERNETES_ACCOUNT.test(value)) return parsed({ kind, email: value })
  return refused({ code: 'bad-email', kind, value })
}

function parseFederated(kind: 'principal' | 'principalSet', value: string): ParsedMember {
  const bad = refused({ code: 'bad-principal', value })
  if (!value.startsWith(HOST)) return bad
  const [, pool, rest] = POOL.exec(value.slice(HOST.length)) ?? []
  if (pool === undefined || rest === undefined) return bad
  if (kind === 'principal') {
    const subject = after(rest, 'subject/')
    return subject === undefined ? bad : parsed({ kind, pool, subject })
  }
  if (rest === '*') return parsed({ kind, pool, set: { by: 'pool' } })
  const group = after(rest, 'group/')
  if (group !== undefined) return parsed({ kind, pool, set: { by: 'group', group } })
  const [, name, attribute] = ATTRIBUTE.exec(rest) ?? []
  if (name === undefined || attribute === undefined) return bad
  return parsed({ kind, pool, set: { by: 'attribute', name, value: attribute } })
}

function parseDeleted(value: string): ParsedMember {
  const bad = refused({ code: 'bad-deleted', value })
  if (!DELETED.test(value)) return bad
  const [, name = value, uid] = UID.exec(value) ?? []
  const of = parseMember(name)
  if (!of.ok) return bad
  switch (of.member.kind) {
    case 'user':
    case 'group':
    case 'serviceAccount':
      return uid === undefined ? bad : parsed({ kind: 'deleted', of: of.member, uid })
    case 'principal':
    case 'principalSet':
      return parsed({ kind: 'deleted', of: of.member, ...(uid !== undefined && { uid }) })
    default:
      return bad
  }
}

function after(text: string, start: string): string | undefined {
  return text.startsWith(start) && text.length > start.length ? text.slice(start.length) : undefined
}

function parsed(member: Member): ParsedMember {
  return { ok: true, member }
}

function refused(refusal: MemberRefusal): ParsedMember {
  return { ok: false, refusal }
}
