/**
 * Security Token Service, introspection: who a federated access token stands for (RFC 7662). gcloud asks it for the name of
 * the account that signs in with a credential file.
 */
import type { AccessTokens } from '../../state/parts.ts'
import { seconds } from '../../tokens/clock.ts'
import { OAuthError, type Parameters } from './reply.ts'

/** Members of Google's reference; when it was issued is not kept. */
export type Introspection =
  | { readonly active: false }
  | {
      readonly active: true
      readonly username: string
      readonly sub: string
      readonly iss: string
      readonly scope: string
      /** Seconds since the epoch. */
      readonly exp: number
    }

/** Any client may ask. Inferred: of another token than a federated one nothing is said. */
export function introspect(state: AccessTokens, parameters: Parameters): Introspection {
  const token = parameters.get('token')
  if (!token) throw new OAuthError('invalid_request', 'Missing required parameter: token')
  const kept = state.accessToken(token)
  if (!kept?.federation) return { active: false }
  return {
    active: true,
    // gcloud shows this as the account: the principal, as policies spell it.
    username: kept.member,
    sub: kept.member,
    iss: 'https://sts.googleapis.com/',
    scope: kept.scopes.join(' '),
    exp: seconds(kept.expireTime),
  }
}
