/**
 * Policies, read once: which bindings hold a permission, and by which members.
 *
 * A policy is never changed in place, only replaced, so what is worked out here is kept for as long as the policy object.
 */
import { formatMember, type Member, parseMember } from './members.ts'
import type { BindingCondition, Policy } from './policy.ts'
import { isKnownPermission, PREDEFINED_ROLES, type Role } from './roles.ts'

/** A member as the policy spells it, and what it means; undefined when it is no member at all. */
export interface ReadMember {
  readonly text: string
  readonly member: Member | undefined
}

export interface ReadBinding {
  readonly role: string
  /** Undefined for a role whose definition comes in with each question, and for one that nobody knows. */
  readonly predefined: Role | undefined
  readonly members: readonly ReadMember[]
  readonly condition: BindingCondition | undefined
}

/** A binding that grants, and the member by which it does. */
export interface Grant {
  readonly binding: ReadBinding
  readonly text: string
}

export interface PermissionIndex {
  /** Unconditional bindings of predefined roles, by each member they name. */
  readonly direct: ReadonlyMap<string, Grant>
  /** The same bindings, where they name someone whom only the directory can find. */
  readonly indirect: readonly ReadBinding[]
  /** Conditional bindings of predefined roles. */
  readonly conditional: readonly ReadBinding[]
}

interface ReadPolicy {
  readonly bindings: readonly ReadBinding[]
  readonly byPermission: Map<string, PermissionIndex>
}

const readPolicies = new WeakMap<Policy, ReadPolicy>()

export function readPolicy(policy: Policy): ReadPolicy {
  const known = readPolicies.get(policy)
  if (known) return known
  const bindings = policy.bindings.map(
    ({ role, members, condition }): ReadBinding => ({
      role,
      predefined: PREDEFINED_ROLES.get(role),
      members: members.map(readMember),
      condition,
    }),
  )
  const read: ReadPolicy = { bindings, byPermission: new Map() }
  readPolicies.set(policy, read)
  return read
}

export function indexFor(policy: Policy, permission: string): PermissionIndex {
  const { bindings, byPermission } = readPolicy(policy)
  const known = byPermission.get(permission)
  if (known) return known
  const index = makeIndex(bindings, permission)
  // Anyone may ask about any string (testIamPermissions): only what is known is kept.
  if (isKnownPermission(permission)) byPermission.set(permission, index)
  return index
}

function makeIndex(bindings: readonly ReadBinding[], permission: string): PermissionIndex {
  const holding = bindings.filter(({ predefined }) => predefined?.permissions.has(permission))
  const unconditional = holding.filter(({ condition }) => condition === undefined)
  const direct = new Map<string, Grant>()
  for (const binding of unconditional) {
    for (const { text, member } of binding.members) {
      if (!member) continue
      const key = formatMember(member)
      if (!direct.has(key)) direct.set(key, { binding, text })
    }
  }
  return {
    direct,
    indirect: unconditional.filter(({ members }) =>
      members.some(({ member }) => member && isIndirect(member)),
    ),
    conditional: holding.filter(({ condition }) => condition !== undefined),
  }
}

function isIndirect({ kind }: Member): boolean {
  return kind === 'group' || kind === 'domain' || kind.startsWith('project')
}

function readMember(text: string): ReadMember {
  const read = parseMember(text)
  return { text, member: read.ok ? read.member : undefined }
}
