/** What a service's settings and policies mean for its door, worked out once for as long as they stay the same. */
import type { Check, GrantingBinding } from '../decision/decision.ts'
import { decide } from '../iam/decide.ts'
import { EMPTY_POLICY, type Policy } from '../iam/policy.ts'
import { ANONYMOUS, type Principal } from '../iam/principal.ts'
import type { Answer, AttachedPolicy, Directory } from '../iam/question.ts'
import { projectResource, serviceResource } from '../state/names.ts'
import type { Placed, Projects, Read } from '../state/parts.ts'
import type { Service } from '../state/resources.ts'
import type { AudienceRule } from '../tokens/verify.ts'
import { type AudienceOptions, audienceRule } from './audience.ts'

type GateState = Read<Directory & Placed & Projects>

/** The permission that a request needs (facts 1.7). */
const PERMISSION = 'run.routes.invoke'

/** Why no token is looked at. */
export interface Opening {
  /** Undefined when the invoker IAM check is switched off. */
  readonly binding?: GrantingBinding
  readonly check: Check
}

export interface Gate {
  readonly service: Service
  readonly audience: AudienceRule
  /** Only callers inside the VPC network. */
  readonly internalOnly: boolean
  readonly defaultUrlDisabled: boolean
  /** How the door stands open to everyone, if it does. */
  open(now: number): Opening | undefined
  /** May this principal invoke the service? */
  may(principal: Principal, now: number): Answer
}

/** Finds the gate of a service. Services and policies are immutable, so each pair of them has its gate made once. */
export function createGates(state: GateState, options: AudienceOptions): (service: Service) => Gate {
  const known = new WeakMap<Service, { readonly projectPolicy: Policy; readonly gate: Gate }>()
  return function gateOf(service) {
    const projectPolicy = state.projects.get(service.project)?.policy ?? EMPTY_POLICY
    const found = known.get(service)
    if (found?.projectPolicy === projectPolicy) return found.gate
    const gate = makeGate(service, projectPolicy, state, options)
    known.set(service, { projectPolicy, gate })
    return gate
  }
}

function makeGate(service: Service, projectPolicy: Policy, state: GateState, options: AudienceOptions): Gate {
  const { settings } = service
  const policies: readonly AttachedPolicy[] = [
    { resource: serviceResource(service), policy: service.policy },
    { resource: projectResource(service.project), policy: projectPolicy },
  ]
  const { groups, domains } = state
  const may = (principal: Principal, now: number): Answer =>
    decide({ principal, permission: PERMISSION, policies, groups, domains, now })
  return {
    service,
    audience: audienceRule(service, state.place, options),
    internalOnly: settings.ingress !== 'all',
    defaultUrlDisabled: settings.defaultUrlDisabled === true,
    open: opening(service, policies, may),
    may,
  }
}

function opening(
  service: Service,
  policies: readonly AttachedPolicy[],
  may: (principal: Principal, now: number) => Answer,
): Gate['open'] {
  if (service.settings.invokerIamDisabled) {
    const off: Opening = { check: openCheck('it is off: --no-invoker-iam-check') }
    return () => off
  }
  const forEveryone = (now: number): Opening | undefined => {
    const { binding } = may(ANONYMOUS, now)
    return binding && { binding, check: openCheck(`${binding.member} holds ${binding.role}`) }
  }
  // Only a condition makes the answer depend on the time.
  const conditional = policies.some(({ policy }) =>
    policy.bindings.some(({ condition, members }) => condition !== undefined && members.includes('allUsers')),
  )
  if (conditional) return forEveryone
  let answer: { readonly opening: Opening | undefined } | undefined
  return (now) => {
    answer ??= { opening: forEveryone(now) }
    return answer.opening
  }
}

function openCheck(actual: string): Check {
  return {
    name: 'invoker-iam-check',
    passed: true,
    expected: 'a caller with run.routes.invoke, or a service open to everyone',
    actual,
  }
}
