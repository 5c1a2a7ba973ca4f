/** The credential that a request carries, found as Cloud Run finds it (facts 1.5). */

export interface Credential {
  readonly header: 'authorization' | 'x-serverless-authorization'
  /** What follows `Bearer `; undefined when the header holds something else. Never log it. */
  readonly token: string | undefined
}

/** facts 1.5: what Cloud Run writes in place of the signature of a token that it has verified. */
const SIGNATURE_REMOVED = 'SIGNATURE_REMOVED_BY_GOOGLE'

/** Undefined when the request carries none. Where both headers are there only `X-Serverless-Authorization` counts, good or bad. */
export function credentialOf(headers: Headers): Credential | undefined {
  for (const header of ['x-serverless-authorization', 'authorization'] as const) {
    const value = headers.get(header)
    // facts 1.5: Cloud Run passes on `bearer` in lower case.
    if (value !== null) return { header, token: /^bearer +(\S+)$/i.exec(value)?.[1] }
  }
  return undefined
}

export function isSignatureRemoved(token: string): boolean {
  return token.split('.')[2] === SIGNATURE_REMOVED
}
