/** What decide() is asked, and what it answers. */
import type { Check, GrantingBinding } from '../decision/decision.ts'
import type { Policy } from './policy.ts'
import type { Principal } from './principal.ts'
import type { MoreRoles } from './roles.ts'

/** A policy and what it is attached to: a full resource name such as `//cloudresourcemanager.googleapis.com/projects/p`. */
export interface AttachedPolicy {
  readonly resource: string
  readonly policy: Policy
}

/**
 * What Google's directory knows. Groups, by email, list members as a policy spells them, other groups too; a domain lists
 * accounts that belong to it beside those whose email ends with it. In both, an email alone is the account of that email.
 */
export interface Directory {
  readonly groups: ReadonlyMap<string, readonly string[]>
  readonly domains: ReadonlyMap<string, readonly string[]>
}

export interface Question extends Directory, MoreRoles {
  readonly principal: Principal
  /** Such as `run.routes.invoke`. */
  readonly permission: string
  /** The resource's own policy first, then its project's, folders' and organization's. Never changed in place. */
  readonly policies: readonly AttachedPolicy[]
  /** Milliseconds since the epoch: what `request.time` is. */
  readonly now: number
  /** Tags on the resource, for conditions. */
  readonly tags?: ReadonlyMap<string, string>
}

/** `checks` is the one check that passed, or on a refusal the check that sums it up, then one for each binding looked at. */
export interface Answer {
  readonly allowed: boolean
  readonly binding?: GrantingBinding
  readonly checks: readonly Check[]
}
