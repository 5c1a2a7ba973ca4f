/**
 * ID tokens from wherever Application Default Credentials lead: the metadata server on Google Cloud, a key file elsewhere.
 *
 * `google-auth-library` finds the source and keeps each token until five minutes before it expires. Added here is what it
 * leaves out: callers that come together share one fetch, a source that hangs is given up on, one that was missing is looked
 * for again, and what is no token, a proxy's page say, is sent to nobody.
 */
import type { IdTokenClient } from 'google-auth-library'
import { readJwt } from '../service/jwt.ts'

export interface IdTokenSource {
  /**
   * The value of an `Authorization` header for a service that takes this audience.
   * @throws {TokenError} when no token could be had
   */
  authorization(audience: string): Promise<string>
}

/** No token could be had; `cause` says why. Holds no token. */
export class TokenError extends Error {
  override readonly name = 'TokenError'
  readonly code: 'ERR_TOKEN_SOURCE' | 'ERR_TOKEN_TIMEOUT'

  constructor(code: TokenError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

export interface GoogleIdTokensOptions {
  /**
   * Aborts when a fetch is given up on: made once a fetch. Default after 5 s: the library tries a failing metadata server four
   * times in about 2 s, and waits for a silent one without end; what is left of the sender's 10 s is the receiver's.
   */
  readonly deadline?: () => AbortSignal
}

/** Asks nobody for anything, and loads nothing, before the first token is wanted. */
export function googleIdTokens(options: GoogleIdTokensOptions = {}): IdTokenSource {
  const { deadline = () => AbortSignal.timeout(5000) } = options
  const clients = new Map<string, IdTokenClient>()
  const pending = new Map<string, Promise<string>>()

  async function fetchAuthorization(audience: string): Promise<string> {
    const client = clients.get(audience) ?? (await findClient(audience))
    const value = (await client.getRequestHeaders()).get('authorization') ?? ''
    // Whose it is and whom it is for is the receiver's to check: a person's token is for gcloud itself (facts 1.6).
    if (!readJwt(value.replace(/^Bearer /, '')))
      throw new Error('the token source answered with something that is no ID token')
    // Kept only now: one that has never given a token may be waiting for a source that will not come.
    clients.set(audience, client)
    return value
  }

  async function bounded(audience: string): Promise<string> {
    const { promise: late, reject } = Promise.withResolvers<never>()
    const giveUp = () =>
      reject(new TokenError('ERR_TOKEN_TIMEOUT', 'The token source did not answer in time'))
    deadline().addEventListener('abort', giveUp, { once: true })
    try {
      return await Promise.race([fetchAuthorization(audience), late])
    } catch (cause) {
      clients.delete(audience)
      if (cause instanceof TokenError) throw cause
      throw new TokenError('ERR_TOKEN_SOURCE', 'The token source failed', { cause })
    } finally {
      pending.delete(audience)
    }
  }

  return {
    authorization(audience) {
      const known = pending.get(audience)
      if (known) return known
      const fetching = bounded(audience)
      pending.set(audience, fetching)
      return fetching
    },
  }
}

async function findClient(audience: string): Promise<IdTokenClient> {
  const { GoogleAuth, gcpMetadata } = await import('google-auth-library')
  // The library remembers for ever that there was no metadata server, which may only have been late.
  gcpMetadata.resetIsAvailableCache()
  // An ID token needs no project, but the library looks for one, with a request or by running gcloud, unless it is told.
  return new GoogleAuth({ projectId: 'not-needed' }).getIdTokenClient(audience)
}
