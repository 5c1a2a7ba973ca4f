/** tokeninfo: what Google knows of a token, every value a string (facts 3, 6.8). */
import type { AccessTokens, SigningKeys, Timed } from '../../state/parts.ts'
import { type JsonMembers, readJwt } from '../../tokens/jwt.ts'
import { type AudienceRule, IdTokenVerifier } from '../../tokens/verify.ts'
import { OAuthError, type Parameters } from './reply.ts'
import { mayReadEmail, mayReadSubject } from './scopes.ts'

export type TokenInfo = Readonly<Record<string, string>>

/** Claims in the order of Google's answers. */
const CLAIMS: readonly string[] = [
  'iss',
  'azp',
  'aud',
  'sub',
  'email',
  'email_verified',
  'at_hash',
  'nonce',
  'iat',
  'exp',
]

const ANY_AUDIENCE: AudienceRule = { accepts: () => true, expected: 'any audience', mend: () => '' }

/** Answers for one state. Rejects with {@link OAuthError}: `invalid_token` for whatever is wrong with a token. */
export function createTokenInfo(
  state: AccessTokens & SigningKeys & Timed,
): (parameters: Parameters) => Promise<TokenInfo> {
  const verifier = new IdTokenVerifier(state.keys)

  return async function tokenInfo(parameters) {
    const idToken = parameters.get('id_token')
    if (idToken) return idTokenInfo(verifier, state.clock(), idToken)
    const accessToken = parameters.get('access_token')
    if (accessToken) return accessTokenInfo(state, accessToken)
    throw new OAuthError('invalid_request', 'Either access_token, id_token, or token_handle required') // inferred
  }
}

async function idTokenInfo(verifier: IdTokenVerifier, now: number, token: string): Promise<TokenInfo> {
  const result = await verifier.verify(token, now, ANY_AUDIENCE)
  if (!result.verified) throw invalidToken()
  return { ...told(CLAIMS, result.claims), ...told(['alg', 'kid', 'typ'], readJwt(token)?.header ?? {}) }
}

function told(names: readonly string[], members: JsonMembers): TokenInfo {
  const found = names.map((name): [string, unknown] => [name, members[name]])
  return Object.fromEntries(found.flatMap(([name, value]) => (isPlain(value) ? [[name, String(value)]] : [])))
}

function isPlain(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function accessTokenInfo(state: AccessTokens & SigningKeys & Timed, token: string): TokenInfo {
  const kept = state.accessToken(token)
  // Measured: a federated token is not known here.
  if (!kept || kept.federation) throw invalidToken()
  const { uniqueId = '', email, scopes, expireTime } = kept
  // A service account is its own client.
  const client = kept.clientId ?? uniqueId
  return {
    azp: client,
    aud: client,
    ...(mayReadSubject(scopes) ? { sub: uniqueId } : {}),
    scope: scopes.join(' '),
    exp: String(Math.floor(expireTime / 1000)),
    expires_in: String(Math.max(0, Math.ceil((expireTime - state.clock()) / 1000) - 1)),
    ...(email && mayReadEmail(scopes) ? { email, email_verified: 'true' } : {}),
    // Everything that a person signs in to here comes with a refresh token.
    access_type: kept.clientId ? 'offline' : 'online',
  }
}

function invalidToken(): OAuthError {
  return new OAuthError('invalid_token', 'Invalid Value')
}
