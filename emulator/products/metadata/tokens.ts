/** The tokens that the metadata server hands out, each until five minutes of its life remain. */
import { decodeProtectedHeader } from 'jose'
import type { AccessTokens, Read, SigningKeys, Timed } from '../../state/parts.ts'
import type { ServiceAccount } from '../../state/resources.ts'
import { type MintedToken, mintIdToken } from '../../tokens/mint.ts'
import { DEFAULT_SCOPES } from './tree.ts'

type TokenState = Read<AccessTokens & SigningKeys & Timed>

/** facts 2.1: the cached access token is handed out until five minutes remain; for ID tokens not established, so: the same. */
const EARLY = 5 * 60_000
/** More audiences than any workload calls; the longest unused goes first. */
const CACHED = 1000
/** Longer keys than any workload's are not kept: a caller says how long its audience is. Characters. */
const LONGEST_KEY = 4096

export interface IdTokenQuery {
  /** Whoever asks: a token of one instance is never handed to another. */
  readonly instanceId: string
  readonly account: ServiceAccount
  readonly audience: string
  readonly full: boolean
}

export interface WorkloadTokens {
  /** No scopes: the workload's own. */
  accessToken(account: ServiceAccount, scopes: readonly string[]): MintedToken
  idToken(query: IdTokenQuery): Promise<MintedToken>
}

export function createWorkloadTokens(state: TokenState): WorkloadTokens {
  const accessTokens = new Map<string, MintedToken>()
  const idTokens = new Map<string, MintedToken>()
  const minting = new Map<string, Promise<MintedToken>>()
  const lasts = (token: MintedToken) => token.expireTime - state.clock() > EARLY

  return {
    accessToken(account, asked) {
      const scopes = asked.length > 0 ? [...new Set(asked)].sort() : DEFAULT_SCOPES
      const key = JSON.stringify([account.uniqueId, scopes])
      const kept = accessTokens.get(key)
      // It may have been revoked since.
      if (kept && lasts(kept) && state.accessToken(kept.token)) return remember(accessTokens, key, kept)
      const { email, uniqueId } = account
      const member = `serviceAccount:${email}`
      return remember(accessTokens, key, state.issueAccessToken({ member, email, uniqueId, scopes }))
    },

    async idToken({ instanceId, account, audience, full }) {
      // The unique id: an account made anew under an old email is another account.
      const key = JSON.stringify([instanceId, account.uniqueId, audience, full])
      const kept = idTokens.get(key)
      if (kept && lasts(kept) && isPublished(state, kept.token)) return remember(idTokens, key, kept)
      // Two that ask at once wait for the same token.
      const started = minting.get(key) ?? mint().finally(() => minting.delete(key))
      minting.set(key, started)
      return remember(idTokens, key, await started)

      function mint() {
        // facts 6.6: without `format=full` no email (2024-01; 2019 said otherwise: the newer counts).
        const request = { subject: account, audience, includeEmail: full }
        return mintIdToken(state.keys, state.clock(), request)
      }
    },
  }
}

/** After several rotations at short notice, a token may outlive the publication of its key: nobody could verify it. */
function isPublished(state: TokenState, token: string): boolean {
  const { kid } = decodeProtectedHeader(token)
  return state.keys.published(state.clock()).some((key) => key.kid === kid)
}

function remember<T>(cache: Map<string, T>, key: string, value: T): T {
  if (key.length > LONGEST_KEY) return value
  cache.delete(key)
  cache.set(key, value)
  const [oldest] = cache.keys()
  if (cache.size > CACHED && oldest !== undefined) cache.delete(oldest)
  return value
}
