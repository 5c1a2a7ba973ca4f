/** For tests: Google's signing keys behind a JWKS address, and tokens signed with them (facts 3). */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'

export const AUDIENCE = 'https://receiving-service-123456789012.us-central1.run.app'
export const EMAIL = 'calling-service-sa@demo-project.iam.gserviceaccount.com'
export const SUB = '112233445566778899001'
const KID = '7d680d8c70d44e947133cbd499ebc1a61c3d5abc'

/** Undefined leaves a claim out. */
export type Claims = Readonly<Record<string, unknown>>

export async function startGoogle() {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
  const key: KeyObject = createPrivateKey({ key: { ...(await exportJWK(privateKey)) }, format: 'jwk' })
  const jwk = { ...(await exportJWK(publicKey)), kid: KID, alg: 'RS256', use: 'sig' }
  let fetches = 0
  let answer = (): Response => Response.json({ keys: [jwk] })
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch() {
      fetches += 1
      return answer()
    },
  })
  return {
    jwk,
    key,
    header: { alg: 'RS256', kid: KID, typ: 'JWT' },
    /** What its JWKS address answers from now on; without one, its key. */
    publish(other = () => Response.json({ keys: [jwk] })) {
      answer = other
    },
    jwksUrl: server.url.href,
    fetches: () => fetches,
    stop: () => server.stop(true),
    /** A token of the calling service for {@link AUDIENCE}; claims and header members are replaced by those given, or left out where undefined. */
    token: (claims: Claims = {}, header: Record<string, unknown> = {}) => sign(privateKey, claims, header),
  }
}

export function claimsOf(changes: Claims = {}): Claims {
  const now = Math.floor(Date.now() / 1000)
  return {
    aud: AUDIENCE,
    azp: SUB,
    email: EMAIL,
    email_verified: true,
    exp: now + 3600,
    iat: now,
    iss: 'https://accounts.google.com',
    sub: SUB,
    ...changes,
  }
}

export function sign(
  key: Parameters<SignJWT['sign']>[0],
  claims: Claims = {},
  header: Record<string, unknown> = {},
): Promise<string> {
  return new SignJWT(claimsOf(claims))
    .setProtectedHeader({ alg: 'RS256', kid: KID, typ: 'JWT', ...header })
    .sign(key)
}

/** As Cloud Run passes a token on (facts 1.5). */
export function signatureRemoved(token: string): string {
  return token.replace(/[^.]*$/, 'SIGNATURE_REMOVED_BY_GOOGLE')
}
