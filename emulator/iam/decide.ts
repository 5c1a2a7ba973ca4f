/**
 * May this principal use this permission here? And by which binding, or why not.
 *
 * The policies of the resource and of everything above it count together: one binding that grants is enough (facts 1.7).
 */
import { type ConditionContext, compileCondition } from './condition.ts'
import { explainRefusal, shortName } from './explain.ts'
import { type Membership, memberMeant, membership } from './membership.ts'
import type { Policy } from './policy.ts'
import { indexFor, type ReadBinding, readPolicy } from './policy-index.ts'
import { memberOf } from './principal.ts'
import type { Answer, Question } from './question.ts'
import { broughtRole } from './roles.ts'

export type { Answer, AttachedPolicy, Directory, Question } from './question.ts'

interface Found {
  readonly resource: string
  readonly binding: ReadBinding
  readonly text: string
}

export function decide(question: Question): Answer {
  const { principal, policies } = question
  const who = membership(principal, question, policies)
  const found = direct(question, who) ?? indirect(question, who) ?? conditional(question, who)
  return found ? granted(question, found) : { allowed: false, checks: explainRefusal(question, who) }
}

/** Unconditional bindings that name the caller, or everyone. A few look-ups: nearly every request ends here. */
function direct({ permission, policies }: Question, who: Membership): Found | undefined {
  for (const { resource, policy } of policies) {
    const index = indexFor(policy, permission)
    for (const member of who.direct) {
      const grant = index.direct.get(member)
      if (grant) return { resource, ...grant }
    }
  }
  return undefined
}

/** Unconditional bindings whose members take the directory, and those of roles that come with the question. */
function indirect(question: Question, who: Membership): Found | undefined {
  const { permission, policies } = question
  for (const { resource, policy } of policies) {
    const more = bindingsOf(policy, question).filter(({ condition }) => !condition)
    for (const binding of [...indexFor(policy, permission).indirect, ...more]) {
      const text = memberMeant(binding.members, who)
      if (text !== undefined) return { resource, binding, text }
    }
  }
  return undefined
}

function conditional(question: Question, who: Membership): Found | undefined {
  const { permission, policies } = question
  for (const { resource, policy } of policies) {
    const more = bindingsOf(policy, question).filter(({ condition }) => condition)
    for (const binding of [...indexFor(policy, permission).conditional, ...more]) {
      const text = memberMeant(binding.members, who)
      if (text !== undefined && holds(binding, question)) return { resource, binding, text }
    }
  }
  return undefined
}

/** Bindings of roles that come with the question. */
function bindingsOf(policy: Policy, question: Question): readonly ReadBinding[] {
  if (!question.roles?.size && !question.added?.size) return []
  return readPolicy(policy).bindings.filter(({ role }) =>
    broughtRole(role, question)?.permissions.has(question.permission),
  )
}

function holds({ condition }: ReadBinding, context: ConditionContext): boolean {
  if (!condition) return true
  const compiled = compileCondition(condition.expression)
  return compiled.ok && compiled.evaluate(context).outcome === 'holds'
}

function granted({ principal, permission }: Question, { resource, binding, text }: Found): Answer {
  const { role, condition } = binding
  return {
    allowed: true,
    binding: { resource, role, member: text, ...(condition && { condition: condition.expression }) },
    checks: [
      {
        name: 'binding',
        passed: true,
        expected: `${permission} for ${memberOf(principal)}`,
        actual: `${role} on ${shortName(resource)} for ${text}`,
      },
    ],
  }
}
