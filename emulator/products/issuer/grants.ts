/** The token endpoint: a grant type is a function in {@link GRANTS}. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { AuthorizationCode } from '../../state/resources.ts'
import { tokenKey } from '../../state/token-key.ts'
import { mintIdToken, mintRefreshToken } from '../../tokens/mint.ts'
import {
  ACCESS_TOKEN_SECONDS,
  type Grant,
  type GrantRequest,
  type IssuerState,
  type TokenReply,
} from './grant.ts'
import { jwtBearer } from './jwt-bearer.ts'
import { OAuthError, parse } from './reply.ts'
import { covers, mayReadEmail, splitScopes } from './scopes.ts'

const GRANTS: ReadonlyMap<string, Grant> = new Map([
  ['authorization_code', exchangeCode],
  ['refresh_token', refresh],
  ['urn:ietf:params:oauth:grant-type:jwt-bearer', jwtBearer],
])

export async function grant(request: GrantRequest): Promise<TokenReply> {
  const type = request.parameters.get('grant_type') ?? ''
  const handler = GRANTS.get(type)
  if (!handler) throw new OAuthError('unsupported_grant_type', `Invalid grant_type: ${type}`)
  return handler(request)
}

/** Forgets a token, and whatever came from the same sign-in. False when it is not known. */
export function revoke(state: IssuerState, token: string): boolean {
  const key = tokenKey(token)
  const accessToken = state.accessTokens.get(key)
  if (!accessToken && !state.refreshTokens.has(key)) return false
  const root = accessToken ? accessToken.grant : key
  state.store.transaction(() => {
    state.accessTokens.delete(key)
    if (root === undefined) return
    state.refreshTokens.delete(root)
    for (const [other, kept] of state.accessTokens.entries())
      if (kept.grant === root) state.accessTokens.delete(other)
  })
  return true
}

const codeForm = z.object({
  code: z.string().min(1),
  redirect_uri: z.string().min(1),
  code_verifier: z.string().optional(),
})

async function exchangeCode({ state, parameters, clientId }: GrantRequest): Promise<TokenReply> {
  const client = identified(clientId)
  const form = parse(codeForm, parameters)
  const key = tokenKey(form.code)
  const kept = state.authorizationCodes.get(key)
  if (!kept) throw new OAuthError('invalid_grant', 'Malformed auth code.')
  if (kept.clientId !== client) throw foreignClient()
  if (kept.redirectUri !== form.redirect_uri) throw new OAuthError('redirect_uri_mismatch', 'Bad Request')
  if (kept.used || kept.expireTime <= state.clock()) throw new OAuthError('invalid_grant', 'Bad Request')
  checkVerifier(kept, form.code_verifier)

  const refreshToken = mintRefreshToken()
  const { email, scopes, nonce } = kept
  state.store.transaction(() => {
    state.authorizationCodes.put(key, { ...kept, used: true })
    state.refreshTokens.put(tokenKey(refreshToken), {
      clientId: client,
      email,
      scopes,
      createTime: state.timestamp(),
    })
  })
  return issue(state, { client, email, scopes, refreshToken, fresh: true, ...(nonce ? { nonce } : {}) })
}

/** RFC 7636 section 4.6. */
function checkVerifier({ challenge }: AuthorizationCode, verifier: string | undefined): void {
  if (!challenge) return
  if (!verifier) throw new OAuthError('invalid_grant', 'Missing code verifier.')
  const hashed =
    challenge.method === 'plain' ? verifier : createHash('sha256').update(verifier).digest('base64url')
  const [given, expected] = [Buffer.from(hashed), Buffer.from(challenge.value)]
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw new OAuthError('invalid_grant', 'Invalid code verifier.')
}

const refreshForm = z.object({ refresh_token: z.string().min(1), scope: z.string().optional() })

async function refresh({ state, parameters, clientId }: GrantRequest): Promise<TokenReply> {
  const client = identified(clientId)
  const form = parse(refreshForm, parameters)
  const kept = state.refreshTokens.get(tokenKey(form.refresh_token))
  if (!kept) throw new OAuthError('invalid_grant', 'Bad Request')
  if (kept.clientId !== client) throw foreignClient()
  const asked = splitScopes(form.scope ?? '')
  if (!covers(kept.scopes, asked)) throw new OAuthError('invalid_scope', 'Bad Request')
  const scopes = asked.length > 0 ? asked : kept.scopes
  return issue(state, {
    client,
    email: kept.email,
    scopes,
    refreshToken: form.refresh_token,
    fresh: false,
  })
}

interface Issue {
  readonly client: string
  readonly email: string
  readonly scopes: readonly string[]
  readonly refreshToken: string
  /** True when the refresh token has just been made: only then is it told. */
  readonly fresh: boolean
  readonly nonce?: string
}

async function issue(state: IssuerState, request: Issue): Promise<TokenReply> {
  const { client, email, scopes, refreshToken, fresh, nonce } = request
  const user = state.user(email)
  const { token } = state.issueAccessToken({
    member: `user:${user.email}`,
    email: user.email,
    uniqueId: user.uniqueId,
    scopes,
    clientId: client,
    grant: tokenKey(refreshToken),
  })
  const reply = {
    access_token: token,
    expires_in: ACCESS_TOKEN_SECONDS,
    ...(fresh ? { refresh_token: refreshToken } : {}),
    token_type: 'Bearer',
  } as const
  if (!scopes.includes('openid')) return reply
  const idToken = await mintIdToken(state.keys, state.clock(), {
    subject: user,
    audience: client,
    authorizedParty: client,
    includeEmail: mayReadEmail(scopes),
    accessToken: token,
    ...(nonce ? { nonce } : {}),
  })
  return { ...reply, id_token: idToken.token }
}

function identified(clientId: string | undefined): string {
  if (!clientId) throw new OAuthError('invalid_request', 'Could not determine client ID from request.')
  return clientId
}

function foreignClient(): OAuthError {
  return new OAuthError('unauthorized_client', 'Unauthorized', 401)
}
