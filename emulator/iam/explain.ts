/** Why a permission was refused, what came near to granting it, and the command that would grant it. */
import type { Check } from '../decision/decision.ts'
import { compileCondition } from './condition.ts'
import type { Member } from './members.ts'
import { type Membership, memberMeant } from './membership.ts'
import { type ReadBinding, type ReadMember, readPolicy } from './policy-index.ts'
import { memberOf, type Principal } from './principal.ts'
import type { Question } from './question.ts'
import { findRole, permits, type ResourceKind, suggestedRole } from './roles.ts'

/** Members shown of a long binding, and near misses told. */
const SHOWN = 3

const SERVICE = /^\/\/run\.googleapis\.com\/projects\/[^/]+\/locations\/([^/]+)\/services\/([^/]+)$/
const ACCOUNT = /^\/\/iam\.googleapis\.com\/projects\/[^/]+\/serviceAccounts\/([^/]+)$/
const PROJECT = /^\/\/cloudresourcemanager\.googleapis\.com\/projects\/([^/]+)$/

/** First the check that sums up, with its mend; then one for each binding whose role holds the permission. */
export function explainRefusal(question: Question, who: Membership): readonly Check[] {
  const { principal, permission, policies } = question
  const looked: Check[] = []
  const misses: Miss[] = []
  for (const { resource, policy } of policies) {
    for (const binding of readPolicy(policy).bindings) {
      const role = findRole(binding.role, question)
      const place = placeName(resource)
      if (permits(binding.role, permission, question)) looked.push(lookedAt(binding, place, question, who))
      misses.push(...nearMisses(binding, place, role !== undefined, question, who))
    }
  }
  const where = policies.map(({ resource }) => placeName(resource)).join(' or ')
  const nearest = misses.sort((a, b) => a.distance - b.distance).map(({ text }) => text)
  const mend = mendFor(principal, permission, policies[0]?.resource)
  const summary: Check = {
    name: 'binding',
    passed: false,
    expected: `${permission} for ${memberOf(principal)}`,
    actual: [`no binding on ${where || 'anything'}`, ...[...new Set(nearest)].slice(0, SHOWN)].join('; '),
    ...(mend !== undefined && { mend }),
  }
  return [summary, ...looked]
}

interface Miss {
  /** How far it was from granting: 0 for a condition alone. */
  readonly distance: number
  readonly text: string
}

/** `projects/p/locations/r/services/s` for `//run.googleapis.com/projects/p/locations/r/services/s` */
export function shortName(resource: string): string {
  return resource.replace(/^\/\/[^/]+\//, '')
}

/** A resource as a sentence names it: `service receiver`, `project p`. */
function placeName(resource: string): string {
  const [, , service] = SERVICE.exec(resource) ?? []
  if (service !== undefined) return `service ${service}`
  const [, account] = ACCOUNT.exec(resource) ?? []
  if (account !== undefined) return `service account ${account}`
  const [, project] = PROJECT.exec(resource) ?? []
  return project === undefined ? shortName(resource) : `project ${project}`
}

function lookedAt(binding: ReadBinding, place: string, question: Question, who: Membership): Check {
  const meant = memberMeant(binding.members, who)
  const trouble = meant === undefined ? undefined : conditionTrouble(binding, question)
  const shown = binding.members.slice(0, SHOWN).map(({ text }) => text)
  const more = binding.members.length - shown.length
  const names = `${shown.join(', ') || 'nobody'}${more > 0 ? ` and ${more} more` : ''}`
  return {
    name: 'binding',
    passed: false,
    expected: `${binding.role} on ${place} for ${memberOf(question.principal)}`,
    actual: trouble ?? `it is for ${names}`,
  }
}

/** What a binding that does not grant says to someone who thought it would. */
function nearMisses(
  binding: ReadBinding,
  place: string,
  known: boolean,
  question: Question,
  who: Membership,
): readonly Miss[] {
  const { permission, principal } = question
  const { role, members } = binding
  const meant = memberMeant(binding.members, who)
  if (permits(role, permission, question)) {
    const trouble = meant === undefined ? undefined : conditionTrouble(binding, question)
    if (trouble !== undefined) return [{ distance: 0, text: trouble }]
    return members.flatMap((member) => {
      const text = mistaken(member, role, place, principal, who)
      return text === undefined ? [] : [{ distance: member.member?.kind === 'group' ? 2 : 1, text }]
    })
  }
  // Everyone holds what is granted to everyone: no news about this caller.
  if (meant === undefined || (meant === 'allUsers' && principal.kind !== 'anonymous')) return []
  const lack = known ? `which does not include ${permission}` : 'a role that is not known here'
  return [{ distance: 3, text: `${meant} has ${role} on ${place}, ${lack}` }]
}

/** Undefined when the condition holds, or there is none. */
function conditionTrouble({ role, condition }: ReadBinding, question: Question): string | undefined {
  if (!condition) return undefined
  const name = `the condition ${condition.title || condition.expression} on ${role}`
  const compiled = compileCondition(condition.expression)
  if (!compiled.ok) return `${name} cannot be read: ${compiled.message}`
  const result = compiled.evaluate(question)
  switch (result.outcome) {
    case 'holds':
      return undefined
    case 'fails':
      return `${name} is not met at ${new Date(question.now).toISOString()}: ${condition.expression}`
    case 'error':
      return `${name} is an error, so it does not grant: ${result.reason}`
  }
}

/** A member that is nearly the caller: deleted, in another project, of another kind, or a group that nobody has listed. */
function mistaken(
  { text, member }: ReadMember,
  role: string,
  place: string,
  principal: Principal,
  who: Membership,
): string | undefined {
  const on = `${role} on ${place}`
  if (!member) return resembles(text, principal) ? `${on} is for ${text}, which is not a member` : undefined
  if (member.kind === 'group') {
    return who.knowsGroup(member.email) || principal.kind === 'anonymous'
      ? undefined
      : `${on} is for ${text}, a group whose members are not known here`
  }
  if (member.kind === 'allAuthenticatedUsers' && principal.kind === 'federated') {
    return `${on} is for ${text}, which does not include federated identities`
  }
  if (member.kind === 'deleted') {
    const same = emailOf(member.of) !== undefined && emailOf(member.of) === callerEmail(principal)
    return same ? `${on} is for ${text}, a deleted account of the same email` : undefined
  }
  if (!('email' in member)) {
    const own = memberOf(principal)
    const differs = principal.kind === 'federated' && text !== own && text.toLowerCase() === own.toLowerCase()
    return differs ? `${on} is for ${text}, which differs in case` : undefined
  }
  const email = callerEmail(principal)
  if (email === undefined) return undefined
  if (member.email === email) return `${on} is for ${text}, but the caller is ${memberOf(principal)}`
  const sameName = localPart(member.email) === localPart(email)
  return sameName ? `${on} is for ${text}, of another project or domain` : undefined
}

function mendFor(principal: Principal, permission: string, resource: string | undefined): string | undefined {
  if (resource === undefined) return undefined
  const [kind, command] = commandFor(resource)
  const role = kind && suggestedRole(permission, kind)
  return role && `${command} --member=${quoted(memberOf(principal))} --role=${role}`
}

function commandFor(resource: string): readonly [ResourceKind?, string?] {
  const [, region, service] = SERVICE.exec(resource) ?? []
  if (region !== undefined && service !== undefined) {
    return [
      'service',
      `gcloud run services add-iam-policy-binding ${quoted(service)} --region=${quoted(region)}`,
    ]
  }
  const [, account] = ACCOUNT.exec(resource) ?? []
  if (account !== undefined) {
    return ['serviceAccount', `gcloud iam service-accounts add-iam-policy-binding ${quoted(account)}`]
  }
  const [, project] = PROJECT.exec(resource) ?? []
  return project === undefined ? [] : ['project', `gcloud projects add-iam-policy-binding ${quoted(project)}`]
}

/** A word for a POSIX shell: subjects of federated identities may hold anything. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

function callerEmail(principal: Principal): string | undefined {
  return 'email' in principal ? principal.email.toLowerCase() : undefined
}

function emailOf(member: Member): string | undefined {
  return 'email' in member ? member.email : undefined
}

function localPart(email: string): string {
  return email.slice(0, email.indexOf('@'))
}

/** A caller's email written without a prefix, or with a wrong one. */
function resembles(text: string, principal: Principal): boolean {
  const email = callerEmail(principal)
  return email !== undefined && text.toLowerCase().endsWith(email)
}
