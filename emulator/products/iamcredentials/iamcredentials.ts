/** IAM Service Account Credentials API v1: tokens and signatures in a service account's name (facts 4). */
import { sign } from 'node:crypto'
import { CompactSign, importJWK } from 'jose'
import { z } from 'zod'
import type { Permission } from '../../iam/roles.ts'
import { isGoogleScope } from '../../iam/scopes.ts'
import { accountPolicies, type Caller, holds, iamDenied } from '../../rest/caller.ts'
import { type ApiError, badRequest, invalid, notFound } from '../../rest/errors.ts'
import type { Google, RestState } from '../../rest/google.ts'
import { bool, bytes, message, strings, text } from '../../rest/messages.ts'
import type { Call, Router } from '../../rest/route.ts'
import { systemKey } from '../../state/account-keys.ts'
import type { AccountKeys, SigningKeys } from '../../state/parts.ts'
import type { ServiceAccount } from '../../state/resources.ts'
import { seconds } from '../../tokens/clock.ts'
import { mintIdToken } from '../../tokens/mint.ts'

export type CredentialsState = RestState & AccountKeys & SigningKeys

const ACCOUNT = '/v1/projects/{project}/serviceAccounts/{account}'
/** facts 4: an hour, in seconds, unless the organization allows more. */
const LONGEST_LIFE = 3600
/** The API's reference: how far ahead the `exp` of a JWT to sign may be. Seconds. */
const LONGEST_JWT = 12 * 3600
const PLATFORM_SCOPE = 'https://www.googleapis.com/auth/cloud-platform'

const accessTokenMessage = message({ delegates: strings, scope: strings, lifetime: text })
const idTokenMessage = message({
  delegates: strings,
  audience: text,
  includeEmail: bool,
  organizationNumberIncluded: bool,
  useEmailAzp: bool,
})
const signBlobMessage = message({ delegates: strings, payload: bytes })
const signJwtMessage = message({ delegates: strings, payload: text })

export function iamCredentials(routes: Router, { state }: Google<CredentialsState>): void {
  routes.post(`${ACCOUNT}:generateAccessToken`, async (call) => {
    const { delegates, scope = [], lifetime } = await call.body(accessTokenMessage)
    const account = impersonated(call, state, 'iam.serviceAccounts.getAccessToken', delegates)
    const scopes = scopesOf(scope)
    const { email, uniqueId } = account
    const holder = { member: `serviceAccount:${email}`, email, uniqueId, scopes }
    const { token, expireTime } = state.issueAccessToken(holder, secondsOf(lifetime) * 1000)
    return { accessToken: token, expireTime: new Date(expireTime).toISOString().replace(/\.\d+/, '') }
  })
  routes.post(`${ACCOUNT}:generateIdToken`, async (call) => {
    const { delegates, audience, includeEmail = false, useEmailAzp } = await call.body(idTokenMessage)
    const account = impersonated(call, state, 'iam.serviceAccounts.getOpenIdToken', delegates)
    if (!audience) throw invalidArgument()
    const { token } = await mintIdToken(state.keys, state.clock(), {
      subject: account,
      audience,
      includeEmail,
      ...(useEmailAzp ? { authorizedParty: account.email } : {}),
    })
    return { token }
  })
  routes.post(`${ACCOUNT}:signBlob`, async (call) => {
    const { delegates, payload } = await call.body(signBlobMessage)
    const account = impersonated(call, state, 'iam.serviceAccounts.signBlob', delegates)
    if (!payload) throw invalidArgument()
    const { keyId, privateJwk } = await signingKey(state, account)
    const key = { key: { ...privateJwk }, format: 'jwk' } as const
    const signedBlob = sign('RSA-SHA256', Buffer.from(payload, 'base64'), key).toString('base64')
    return { keyId, signedBlob }
  })
  routes.post(`${ACCOUNT}:signJwt`, async (call) => {
    const { delegates, payload } = await call.body(signJwtMessage)
    const account = impersonated(call, state, 'iam.serviceAccounts.signJwt', delegates)
    const claims = claimsOf(payload, seconds(state.clock()))
    const { keyId, privateJwk } = await signingKey(state, account)
    // The claims as they came: a number that JavaScript cannot hold stays what it was.
    const signedJwt = await new CompactSign(Buffer.from(claims))
      .setProtectedHeader({ alg: 'RS256', kid: keyId, typ: 'JWT' })
      .sign(await importJWK({ ...privateJwk }, 'RS256'))
    return { keyId, signedJwt }
  })
  // Python's and Java's libraries ask this of themselves in the background. Inferred: `0x0`, the libraries' own word for
  // no boundary.
  routes.get(`${ACCOUNT}/allowedLocations`, (call) => {
    const account = state.serviceAccount(call.param('account'))
    const permission = 'iam.serviceAccounts.get'
    if (!account || !holds(state, call.caller, permission, accountPolicies(state, account)))
      throw iamDenied(permission)
    return { encodedLocations: '0x0' }
  })
}

/** The account to act as, when the caller may, directly or through the chain of delegates. */
function impersonated(
  call: Call,
  state: CredentialsState,
  permission: Permission,
  delegates: readonly string[] = [],
): ServiceAccount {
  // facts 4: the project segment must be `-`.
  if (call.param('project') !== '-') throw invalidArgument()
  const target = accountNamed(state, call.param('account'))
  let caller: Pick<Caller, 'principal'> = call.caller
  for (const name of delegates) {
    const email = /^projects\/-\/serviceAccounts\/([^/]+)$/.exec(name)?.[1]
    if (email === undefined) throw invalidArgument()
    const delegate = accountNamed(state, email)
    // Each link may pass on what it is allowed: implicitDelegation on the next one.
    requireOn(state, caller, 'iam.serviceAccounts.implicitDelegation', delegate, permission)
    caller = { principal: { kind: 'serviceAccount', email: delegate.email, uniqueId: delegate.uniqueId } }
  }
  requireOn(state, caller, permission, target, permission)
  const project = state.project(target.projectId)
  if (project) call.requireEnabled(project)
  return target
}

function requireOn(
  state: CredentialsState,
  caller: Pick<Caller, 'principal'>,
  permission: Permission,
  account: ServiceAccount,
  named: Permission,
): void {
  // Inferred: a disabled account answers as one that may not be used.
  if (account.disabled || !holds(state, caller, permission, accountPolicies(state, account)))
    throw iamDenied(named)
}

function accountNamed(state: CredentialsState, name: string): ServiceAccount {
  const account = state.serviceAccount(name)
  if (account) return account
  // Inferred from the older sentence of facts 6.9, which this API keeps.
  throw notFound(`Not found; Gaia id not found for email ${name}`)
}

/** facts 4. */
function invalidArgument(): ApiError {
  return invalid('Request contains an invalid argument.')
}

/** Measured: an empty one stands for cloud-platform; what is no scope of Google's is refused. */
function scopesOf(scope: readonly string[]): readonly string[] {
  const scopes = scope.map((one) => one || PLATFORM_SCOPE)
  if (scopes.length === 0 || !scopes.every(isGoogleScope)) throw invalidArgument()
  return scopes
}

/** A duration such as `3600s`. */
function secondsOf(lifetime: string | undefined): number {
  if (lifetime === undefined) return LONGEST_LIFE
  const life = Number(/^(-?\d+(?:\.\d+)?)s$/.exec(lifetime)?.[1])
  if (Number.isNaN(life)) {
    const description = `Invalid value at 'lifetime' (type.googleapis.com/google.protobuf.Duration), Field 'lifetime', Illegal duration format; duration must end with 's'`
    throw badRequest(description, [{ field: 'lifetime', description }])
  }
  // Measured at Google in September 2026; the subject of the second sentence is inferred.
  if (life <= 0) throw invalid('Lifetime of access token must be larger then zero.')
  if (life > LONGEST_LIFE)
    throw invalid(
      'Access tokens can not have lifetimes of more than 1 hour. Use the Org Policy Constraint constraints/iam.allowServiceAccountCredentialLifetimeExtension to allow up to 12 hours.',
    )
  return life
}

const claimSet = z.looseObject({ exp: z.int().optional() })

/** The text of a claim set. The API's reference: an `exp` is neither past nor more than 12 hours ahead. */
function claimsOf(payload: string | undefined, now: number): string {
  try {
    const { exp } = claimSet.parse(JSON.parse(payload ?? ''))
    if (payload !== undefined && (exp === undefined || (exp > now && exp <= now + LONGEST_JWT)))
      return payload
  } catch {
    // Refused as every other payload that cannot be signed.
  }
  throw invalidArgument()
}

async function signingKey(state: CredentialsState, account: ServiceAccount) {
  const key = await systemKey(state, account)
  if (!key) throw notFound(`Not found; Gaia id not found for email ${account.email}`)
  return key
}
