/**
 * Service-account keys at the token endpoint (RFC 7523): a JWT signed with a key of the account becomes an access token for its
 * `scope`, or an ID token for its `target_audience` (facts 4; gcloud's facts 2).
 *
 * Sentences marked "seen" were recorded from Google's endpoint by public projects, the order of the checks too.
 */
import { compactVerify, errors, importJWK } from 'jose'
import { z } from 'zod'
import { isGoogleScope } from '../../iam/scopes.ts'
import { accountKeys } from '../../state/account-keys.ts'
import type { ServiceAccount, ServiceAccountKey } from '../../state/resources.ts'
import { seconds } from '../../tokens/clock.ts'
import { type JsonMembers, readJwtClaims } from '../../tokens/jwt.ts'
import { mintIdToken } from '../../tokens/mint.ts'
import { ACCESS_TOKEN_SECONDS, type GrantRequest, type IssuerState, type TokenReply } from './grant.ts'
import { OAuthError } from './reply.ts'
import { splitScopes } from './scopes.ts'

/** The names that Google's token endpoint has had. gcloud sends the first whatever its `token_uri` is (gcloud's facts 2). */
const ENDPOINTS: readonly string[] = [
  'https://oauth2.googleapis.com/token',
  'https://www.googleapis.com/oauth2/v4/token',
  'https://www.googleapis.com/oauth2/v3/token',
  'https://accounts.google.com/o/oauth2/token',
]
/** facts 4. */
const LONGEST = 3600
/** Inferred: what Google's STS was seen to forgive between clocks. Seconds. */
const SKEW = 60

export async function jwtBearer({ state, parameters, endpoint }: GrantRequest): Promise<TokenReply> {
  const assertion = parameters.get('assertion') ?? ''
  const { header, claims } = read(assertion)
  // A Google account that has a key: by email, or by unique id (inferred for the id).
  const account = claims.iss === undefined ? undefined : state.serviceAccount(claims.iss)
  // Seen, for a disabled account too (gh:googleapis/google-cloud-php#3622).
  if (!account || account.disabled) throw invalidGrant('Invalid grant: account not found')
  await checkSignature(assertion, header, usableKeys(state, account))
  checkTimes(claims, seconds(state.clock()))
  if (claims.sub !== undefined && claims.sub !== claims.iss) throw delegationRefused()

  const { target_audience: target = '' } = claims
  const scope = (claims.scope ?? '').trim()
  // Seen.
  if (!target && !scope)
    throw new OAuthError('invalid_scope', 'Invalid OAuth scope or ID token audience provided.')
  // The endpoint as it was asked counts too: libraries that honour `token_uri` name it (facts 4).
  if (claims.aud === undefined || ![...ENDPOINTS, endpoint].includes(claims.aud))
    throw invalidGrant('Invalid JWT: Failed audience check.')

  const scopes = splitScopes(scope)
  if (target) return idToken(state, account, target)
  // Seen: what is no scope of Google's is taken for an audience.
  if (!scopes.every(isGoogleScope)) return idToken(state, account, scope)
  const { email, uniqueId } = account
  const { token } = state.issueAccessToken({ member: `serviceAccount:${email}`, email, uniqueId, scopes })
  return { access_token: token, expires_in: ACCESS_TOKEN_SECONDS, token_type: 'Bearer' }
}

/** Seen: `azp` is the email here, not the unique id. */
async function idToken(state: IssuerState, account: ServiceAccount, audience: string): Promise<TokenReply> {
  const { email } = account
  const minted = await mintIdToken(state.keys, state.clock(), {
    subject: account,
    audience,
    authorizedParty: email,
  })
  return { id_token: minted.token }
}

/** What is not text there names nobody, or no endpoint. */
const text = z.string().optional().catch(undefined)
/** Seen: digits in a string are taken for a number. */
const time = z
  .union([z.number(), z.string().regex(/^\d+$/).transform(Number).pipe(z.number())])
  .optional()
  .catch(undefined)

/** `sub`, `scope` and `target_audience` change what is issued: one of another type is refused, not passed over (inferred). */
const claimsOf = z.object({
  iss: text,
  aud: text,
  iat: time,
  exp: time,
  sub: z.string().optional(),
  scope: z.string().optional(),
  target_audience: z.string().optional(),
})

type Claims = z.output<typeof claimsOf>

/** Seen: whatever is no JWT is refused without a reason. */
function read(assertion: string): { readonly header: JsonMembers; readonly claims: Claims } {
  const jwt = readJwtClaims(assertion)
  const claims = claimsOf.safeParse(jwt?.claims)
  if (!jwt || !claims.success) throw new OAuthError('invalid_request', 'Bad Request')
  return { header: jwt.header, claims: claims.data }
}

function usableKeys(state: IssuerState, account: ServiceAccount): readonly ServiceAccountKey[] {
  const now = state.clock()
  return accountKeys(state, account).filter(
    ({ type, disabled, uploaded }) =>
      // What Google signs for somebody else (`signJwt`) may sign in: that is how delegation without a key works.
      (type === 'SYSTEM_MANAGED' || !disabled) &&
      (!uploaded ||
        (Date.parse(uploaded.validAfterTime) <= now && now < Date.parse(uploaded.validBeforeTime))),
  )
}

/** Node's library sends no `kid`: then any key of the account will do. */
async function checkSignature(
  assertion: string,
  { alg, kid }: JsonMembers,
  keys: readonly ServiceAccountKey[],
): Promise<void> {
  // Seen: another algorithm, and a key that is gone, are a wrong signature.
  const candidates = alg === 'RS256' ? keys.filter(({ keyId }) => kid === undefined || keyId === kid) : []
  for (const { publicJwk } of candidates) {
    try {
      await compactVerify(assertion, await importJWK({ ...publicJwk }, 'RS256'), { algorithms: ['RS256'] })
      return
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw error
    }
  }
  throw invalidGrant('Invalid JWT Signature.')
}

function checkTimes({ iat, exp }: Claims, now: number): void {
  // Seen.
  if (iat === undefined) throw invalidGrant('Invalid JWT: iat (issued at) is not set.')
  if (exp === undefined) throw invalidGrant('Invalid JWT: exp (expiration time) is not set.')
  const reasonable = exp > iat && exp - iat <= LONGEST && iat <= now + SKEW && exp > now - SKEW
  if (reasonable) return
  // facts 4.
  throw invalidGrant(
    'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.',
  )
}

/** Acting as a person takes domain-wide delegation, which a project without a Workspace domain does not have. */
function delegationRefused(): OAuthError {
  return new OAuthError(
    'unauthorized_client',
    'Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.',
    401,
  )
}

function invalidGrant(description: string): OAuthError {
  return new OAuthError('invalid_grant', description)
}
