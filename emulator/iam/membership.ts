/** Is a caller meant by a member? What the directory (groups, domains, basic roles) has to say about it. */
import { type Member, parseMember } from './members.ts'
import type { ReadMember } from './policy-index.ts'
import { memberOf, membersOf, type Principal } from './principal.ts'
import type { AttachedPolicy, Directory } from './question.ts'

/** One caller among the policies that bear on one request. */
export interface Membership {
  /** Members that mean the caller without asking the directory, most particular first. */
  readonly direct: readonly string[]
  readonly meant: (member: Member) => boolean
  readonly knowsGroup: (email: string) => boolean
}

const BASIC_ROLE = {
  projectOwner: 'roles/owner',
  projectEditor: 'roles/editor',
  projectViewer: 'roles/viewer',
} as const

export function membership(
  principal: Principal,
  { groups, domains }: Directory,
  policies: readonly AttachedPolicy[],
): Membership {
  const direct = membersOf(principal)
  const own = memberOf(principal)
  // The directory is written by people: accounts, unlike federated identities, in any case and with or without a prefix.
  const account = 'email' in principal ? [own.toLowerCase(), principal.email.toLowerCase()] : []
  const listed = (entry: string) => direct.includes(entry) || account.includes(entry.toLowerCase())

  const inGroup = (email: string, seen: Set<string>): boolean => {
    if (seen.has(email)) return false
    seen.add(email)
    const entries = lookUp(groups, email) ?? []
    return entries.some(
      (entry) => listed(entry) || (/^group:/i.test(entry) && inGroup(entry.slice(6).toLowerCase(), seen)),
    )
  }

  const meant = (member: Member): boolean => {
    switch (member.kind) {
      case 'allUsers':
        return true
      case 'allAuthenticatedUsers':
        return direct.includes(member.kind)
      case 'user':
      case 'serviceAccount':
        return own === `${member.kind}:${member.email}`
      case 'group':
        return principal.kind !== 'anonymous' && inGroup(member.email, new Set())
      case 'domain':
        return (
          direct.includes(`domain:${member.domain}`) ||
          (principal.kind !== 'anonymous' && (lookUp(domains, member.domain) ?? []).some(listed))
        )
      case 'principal':
        return (
          principal.kind === 'federated' &&
          principal.pool === member.pool &&
          principal.subject === member.subject
        )
      case 'principalSet': {
        if (principal.kind !== 'federated' || principal.pool !== member.pool) return false
        const { set } = member
        if (set.by === 'pool') return true
        if (set.by === 'group') return principal.groups.includes(set.group)
        return Object.hasOwn(principal.attributes, set.name) && principal.attributes[set.name] === set.value
      }
      case 'projectOwner':
      case 'projectEditor':
      case 'projectViewer':
        return holdsOnProject(member.project, BASIC_ROLE[member.kind])
      case 'deleted':
        return false
    }
  }

  const holdsOnProject = (project: string, role: string): boolean =>
    policies.some(
      ({ resource, policy }) =>
        resource === `//cloudresourcemanager.googleapis.com/projects/${project}` &&
        policy.bindings.some(
          (binding) =>
            binding.role === role &&
            binding.condition === undefined &&
            binding.members.some((text) => {
              const read = parseMember(text)
              return read.ok && !(read.member.kind in BASIC_ROLE) && meant(read.member)
            }),
        ),
    )

  return { direct, meant, knowsGroup: (email) => lookUp(groups, email) !== undefined }
}

/** The first of a binding's members that means the caller, as the policy spells it. */
export function memberMeant(members: readonly ReadMember[], who: Membership): string | undefined {
  return members.find(({ member }) => member && who.meant(member))?.text
}

/** Members are lower-case; the directory, which people write, need not be. */
function lookUp(lists: ReadonlyMap<string, readonly string[]>, name: string): readonly string[] | undefined {
  const exact = lists.get(name)
  if (exact) return exact
  for (const [key, list] of lists) if (key.toLowerCase() === name) return list
  return undefined
}
