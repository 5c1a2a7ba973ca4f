/** What every grant type has in common. */
import type {
  AccessTokens,
  AccountKeys,
  Accounts,
  IdentityPools,
  SignIns,
  SigningKeys,
  Stored,
  Timed,
  Users,
} from '../../state/parts.ts'
import type { Parameters } from './reply.ts'

export type IssuerState = AccessTokens &
  AccountKeys &
  Accounts &
  IdentityPools &
  SignIns &
  SigningKeys &
  Stored &
  Timed &
  Users

export interface GrantRequest {
  readonly state: IssuerState
  readonly parameters: Parameters
  /** Who asks, by `client_id`; undefined where nothing says so. */
  readonly clientId: string | undefined
  /** The URL that was asked, without its query. */
  readonly endpoint: string
}

/** Members in the order of Google's answers. `scope` is left out: it is as requested (gcloud's facts 2). */
export interface TokenReply {
  readonly access_token?: string
  readonly expires_in?: number
  readonly refresh_token?: string
  readonly token_type?: 'Bearer'
  readonly id_token?: string
}

/** Rejects with `OAuthError`. */
export type Grant = (request: GrantRequest) => Promise<TokenReply>

/** Google says 3599 of the 3600 seconds. */
export const ACCESS_TOKEN_SECONDS = 3599
