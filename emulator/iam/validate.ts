/** What setIamPolicy refuses, in Google's sentences (facts 6.9), and what it makes of a policy that it takes. */
import { compileCondition } from './condition.ts'
import { formatMember, type Member, type MemberRefusal, parseMember } from './members.ts'
import type { Binding, BindingCondition, Policy } from './policy.ts'
import { grantableOn, isBasicRole, isCustomRole, type MoreRoles, type ResourceKind } from './roles.ts'

/** A policy as a caller sends it. */
export interface PolicyInput {
  readonly version?: number
  readonly etag?: string
  readonly bindings?: readonly Binding[]
}

export interface ValidationOptions extends MoreRoles {
  readonly resourceKind: ResourceKind
  /** Is there a service account of this (lower-case) email? Not asked for Google's own agents, which are always there. */
  readonly accountExists: (email: string) => boolean
  /** Is this (lower-case) email a group's? Only to say so where it is given another prefix. */
  readonly groupExists?: (email: string) => boolean
  /** The policy that would be replaced. */
  readonly existing?: Policy
}

/** The body of Google's error. */
export interface Violation {
  readonly code: 400
  readonly status: 'INVALID_ARGUMENT'
  readonly message: string
}

const VERSIONS: ReadonlySet<number> = new Set([0, 1, 3])
const CONDITIONAL_VERSION = 3
const VERSIONS_PAGE =
  'For more information, please refer to https://cloud.google.com/iam/docs/policies#versions.'
const EVERYONE: ReadonlySet<string> = new Set(['allUsers', 'allAuthenticatedUsers'])
const SERVICE_ACCOUNT_EMAIL = /(?:\.|@)gserviceaccount\.com$|\.svc\.id\.goog\[/
// Inferred: accounts that Google makes and keeps in projects of its own.
const GOOGLE_AGENT =
  /^(?:service-\d+@[a-z0-9-]+\.iam|\d+@(?:cloudservices|cloudbuild))\.gserviceaccount\.com$|\.svc\.id\.goog\[/

/** The first thing wrong with a policy, or undefined when it can be set. */
export function validatePolicy(policy: PolicyInput, options: ValidationOptions): Violation | undefined {
  const message = versionTrouble(policy, options.existing) ?? firstTrouble(policy.bindings ?? [], options)
  return message === undefined ? undefined : { code: 400, status: 'INVALID_ARGUMENT', message }
}

/** What bindings name and is not there: members and roles, each once. */
export function absentFrom(
  bindings: readonly Pick<Binding, 'role' | 'members'>[],
  options: ValidationOptions,
): { readonly members: readonly string[]; readonly roles: readonly string[] } {
  const { resourceKind, accountExists, ...more } = options
  const isAbsent = (text: string) => {
    const read = parseMember(text)
    if (!read.ok || read.member.kind !== 'serviceAccount') return false
    const { email } = read.member
    return !GOOGLE_AGENT.test(email) && !accountExists(email)
  }
  const members = bindings.flatMap((binding) => binding.members).filter(isAbsent)
  const named = bindings.map(({ role }) => role).filter((role) => !grantableOn(role, resourceKind, more))
  return { members: [...new Set(members)], roles: [...new Set(named)] }
}

/**
 * A policy as Google keeps it: bindings of one role and condition merged, members in one spelling and once, empty bindings
 * dropped, version 3 exactly when there are conditions. Order is otherwise as it came.
 */
export function normalisePolicy(policy: PolicyInput, etag: string): Policy {
  const merged = new Map<string, { binding: Binding; members: Set<string> }>()
  for (const binding of policy.bindings ?? []) {
    const key = bindingKey(binding)
    const { members } = merged.get(key) ?? { members: new Set<string>() }
    for (const text of binding.members) members.add(normaliseMember(text))
    if (members.size > 0) merged.set(key, { binding, members })
  }
  const bindings = [...merged.values()].map(
    ({ binding: { role, condition }, members }): Binding => ({
      role,
      members: [...members],
      ...(condition && { condition }),
    }),
  )
  const conditional = bindings.some(({ condition }) => condition)
  return { version: conditional ? CONDITIONAL_VERSION : 1, etag, bindings }
}

function versionTrouble({ version = 0, etag, bindings }: PolicyInput, existing?: Policy): string | undefined {
  // Inferred wording; that other versions are refused is documented.
  if (!VERSIONS.has(version)) return `Invalid policy version (${version}). ${VERSIONS_PAGE}`
  // IAM's reference: without an etag the policy is overwritten blindly, and no version is checked.
  if (!etag || version === CONDITIONAL_VERSION) return undefined
  if (existing && existing.version > Math.max(version, 1)) {
    // Seen in the wild, gh:hashicorp/vault-plugin-secrets-gcp#88.
    return `Specified policy version (${version}) cannot be less than the existing policy version (${existing.version}). ${VERSIONS_PAGE}`
  }
  // Inferred wording.
  return bindings?.some(({ condition }) => condition)
    ? `Policy version must be set to ${CONDITIONAL_VERSION} for conditional role bindings. ${VERSIONS_PAGE}`
    : undefined
}

function firstTrouble(bindings: readonly Binding[], options: ValidationOptions): string | undefined {
  for (const { role, members, condition } of bindings) {
    const trouble =
      roleTrouble(role, options) ??
      firstOf(members, (text) => memberTrouble(text, options)) ??
      conditionTrouble(role, members, condition)
    if (trouble !== undefined) return trouble
  }
  return undefined
}

function roleTrouble(role: string, { resourceKind, ...more }: ValidationOptions): string | undefined {
  if (grantableOn(role, resourceKind, more)) return undefined
  // Inferred for custom roles; the other sentence is facts 6.9.
  return isCustomRole(role)
    ? `Role (${role}) does not exist in the resource's hierarchy.`
    : `Role ${role} is not supported for this resource.`
}

function memberTrouble(text: string, options: ValidationOptions): string | undefined {
  const read = parseMember(text)
  if (!read.ok) return refusalSentence(text, read.refusal, options.resourceKind)
  const { member } = read
  // Seen in the wild: projects take neither, and say so in the words for a missing prefix.
  if (EVERYONE.has(member.kind) && options.resourceKind === 'project') return WRONG_FORM
  return accountTrouble(member, options)
}

/** Project policies are checked by Resource Manager, the others by IAM's library; each has its own sentence. */
const WRONG_FORM = 'Policy members must be of the form "<type>:<value>".'

function refusalSentence(text: string, refusal: MemberRefusal, kind: ResourceKind): string {
  switch (refusal.code) {
    case 'bad-email':
      return `${NOUN[refusal.kind]} ${refusal.value} does not exist.`
    case 'bad-domain':
      return `Domain ${refusal.value} does not exist.`
    case 'bad-project':
      return `Project ${refusal.value} does not exist.`
    case 'no-prefix':
      return kind === 'project' ? WRONG_FORM : unknownType(text)
    case 'unknown-prefix':
    case 'bad-principal':
    case 'bad-deleted':
      return unknownType(text)
  }
}

const NOUN = { user: 'User', group: 'Group', serviceAccount: 'Service account' } as const

function unknownType(text: string): string {
  // Seen in the wild, gh:hashicorp/terraform-provider-google#12672.
  return `The member ${text} is of an unknown type. Please set a valid type prefix for the member.`
}

function accountTrouble(
  member: Member,
  { accountExists, groupExists }: ValidationOptions,
): string | undefined {
  if (!('email' in member)) return undefined
  const { kind, email } = member
  const type = SERVICE_ACCOUNT_EMAIL.test(email)
    ? 'serviceAccount'
    : groupExists?.(email)
      ? 'group'
      : undefined
  // Only @gmail.com is known to be people's; another domain may be of either.
  const actual = type ?? (kind === 'serviceAccount' || email.endsWith('@gmail.com') ? 'user' : kind)
  if (actual !== kind) {
    return `Account ${email} is of type "${actual}". Please set the type prefix to be "${actual}:".`
  }
  if (kind !== 'serviceAccount' || GOOGLE_AGENT.test(email) || accountExists(email)) return undefined
  return `Service account ${email} does not exist.`
}

function conditionTrouble(
  role: string,
  members: readonly string[],
  condition: BindingCondition | undefined,
): string | undefined {
  if (!condition) return undefined
  // Inferred wordings; the rules themselves are IAM's (facts 1.7; no conditions on basic roles).
  const everyone = members.find((member) => EVERYONE.has(member))
  if (everyone !== undefined) return `Conditions cannot be set on a binding for ${everyone}.`
  if (isBasicRole(role)) return `Conditions cannot be set on a binding of ${role}.`
  const compiled = compileCondition(condition.expression)
  return compiled.ok ? undefined : `Invalid condition expression: ${compiled.message}`
}

function bindingKey({ role, condition }: Binding): string {
  return JSON.stringify([role, condition?.title, condition?.description, condition?.expression])
}

function normaliseMember(text: string): string {
  const read = parseMember(text)
  return read.ok ? formatMember(read.member) : text
}

function firstOf<T>(items: readonly T[], trouble: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = trouble(item)
    if (found !== undefined) return found
  }
  return undefined
}
