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
  const listed = ({ entries, accounts }: ReadList) =>
    direct.some((member) => entries.has(member)) || account.some((spelling) => accounts.has(spelling))

  const inGroup = (email: string, seen: Set<string>): boolean => {
    if (seen.has(email)) return false
    seen.add(email)
    const list = lookUp(groups, email)
    return list !== undefined && (listed(list) || list.groups.some((group) => inGroup(group, seen)))
  }

  const inDomain = (name: string): boolean => {
    const list = lookUp(domains, name)
    return list !== undefined && listed(list)
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
          (principal.kind !== 'anonymous' && inDomain(member.domain))
        )
      case 'principal':
      case 'principalSet':
        return meansFederated(member, principal)
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

function meansFederated(
  member: Extract<Member, { readonly kind: 'principal' | 'principalSet' }>,
  principal: Principal,
): boolean {
  if (principal.kind !== 'federated' || principal.pool !== member.pool) return false
  if (member.kind === 'principal') return principal.subject === member.subject
  const { set } = member
  if (set.by === 'pool') return true
  if (set.by === 'group') return principal.groups.includes(set.group)
  return Object.hasOwn(principal.attributes, set.name) && principal.attributes[set.name] === set.value
}

/** The first of a binding's members that means the caller, as the policy spells it. */
export function memberMeant(members: readonly ReadMember[], who: Membership): string | undefined {
  return members.find(({ member }) => member && who.meant(member))?.text
}

/** One list of the directory, read once. */
interface ReadList {
  /** As they are written. */
  readonly entries: ReadonlySet<string>
  /** The same in lower case. */
  readonly accounts: ReadonlySet<string>
  /** Emails of the groups among them. */
  readonly groups: readonly string[]
}

type Lists = ReadonlyMap<string, readonly string[]>

/** Like a policy, the directory is never changed in place: what is read of it is kept as long as it is. */
const readDirectories = new WeakMap<Lists, Map<string, ReadList>>()

/** Members are lower-case; the directory, which people write, need not be. */
function lookUp(lists: Lists, name: string): ReadList | undefined {
  const known = readDirectories.get(lists)
  if (known) return known.get(name)
  const read = new Map<string, ReadList>()
  for (const [key, list] of lists) {
    const lower = key.toLowerCase()
    // A name that is spelt in lower case counts before its other spellings.
    if (key === lower || !read.has(lower)) read.set(lower, readList(list))
  }
  readDirectories.set(lists, read)
  return read.get(name)
}

function readList(list: readonly string[]): ReadList {
  const lower = list.map((entry) => entry.toLowerCase())
  return {
    entries: new Set(list),
    accounts: new Set(lower),
    groups: lower.filter((entry) => entry.startsWith('group:')).map((entry) => entry.slice('group:'.length)),
  }
}
