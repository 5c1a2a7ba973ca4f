/** Whom a verified token speaks for. */
import type { Caller, Check } from '../decision/decision.ts'
import { memberOf, type Principal } from '../iam/principal.ts'
import type { Accounts, Read, Users } from '../state/parts.ts'
import type { IdTokenClaims } from '../tokens/claims.ts'
import { isPersonal } from './audience.ts'

export type CallerResult =
  | { readonly kind: 'known'; readonly principal: Principal; readonly caller: Caller; readonly check: Check }
  /** Answered with 401. */
  | { readonly kind: 'unknown'; readonly caller: Caller; readonly check: Check }
  /** Answered with 403. */
  | { readonly kind: 'disabled'; readonly caller: Caller; readonly check: Check }

/**
 * The account of a token. It is the subject that counts, as for a token without an email (facts 1.6), so the token of a
 * deleted account is nobody's, even when an account of the same email has been made since (inferred: 401).
 */
export function callerOf(claims: IdTokenClaims, state: Read<Accounts & Pick<Users, 'users'>>): CallerResult {
  const { sub, email, aud } = claims
  const account = (email && state.serviceAccounts.get(email.toLowerCase())) || state.serviceAccount(sub)
  if (account && account.uniqueId === sub) {
    const principal: Principal = { kind: 'serviceAccount', email: account.email, uniqueId: sub }
    const caller = { member: memberOf(principal), email: account.email, subject: sub }
    if (isPersonal(aud)) {
      const mend = 'Ask for a token for the URL of the service.'
      const check = failed('token-audience', "a person's token", `${account.email}, for gcloud itself`, mend)
      return { kind: 'unknown', caller, check }
    }
    if (account.disabled) {
      const mend = `gcloud iam service-accounts enable ${account.email}`
      const check = failed('principal', 'an account that is enabled', `${account.email}, disabled`, mend)
      return { kind: 'disabled', caller, check }
    }
    return { kind: 'known', principal, caller, check: passed(caller.member) }
  }

  const user = (email && state.users.get(email.toLowerCase())) || state.users.getBy('uniqueId', sub)
  if (user && user.uniqueId === sub) {
    const principal: Principal = { kind: 'user', email: user.email, uniqueId: sub }
    const caller = { member: memberOf(principal), email: user.email, subject: sub }
    return { kind: 'known', principal, caller, check: passed(caller.member) }
  }

  const named = email ? `${email}, subject ${sub}` : `subject ${sub}`
  const mend = account
    ? 'The account of this email was made anew after the token was issued: fetch a new token.'
    : 'The account was deleted, or never was: fetch a token as an account that exists.'
  return {
    kind: 'unknown',
    caller: { member: 'unknown', subject: sub },
    check: failed('principal', 'an account that exists', named, mend),
  }
}

function passed(member: string): Check {
  return { name: 'principal', passed: true, expected: 'an account that exists', actual: member }
}

function failed(name: 'principal' | 'token-audience', expected: string, actual: string, mend: string): Check {
  return { name, passed: false, expected, actual, mend }
}
