/** Making tokens as Google makes them (facts 3). */
import { createHash, randomBytes } from 'node:crypto'
import { SignJWT } from 'jose'
import { seconds } from './clock.ts'
import { type KeyRing, TOKEN_LIFE } from './keys.ts'

const ISSUER = 'https://accounts.google.com'

/** Whom a token is for. */
export interface TokenSubject {
  readonly email: string
  /** The unique id: 21 digits. */
  readonly uniqueId: string
}

export interface IdTokenRequest {
  readonly subject: TokenSubject
  readonly audience: string
  /** Default true. `generateIdToken` without `includeEmail` leaves it out. */
  readonly includeEmail?: boolean
  /** Default the subject's unique id; an OAuth client id for a user, the email with `useEmailAzp`. */
  readonly authorizedParty?: string
  /** The access token issued in the same reply: bound to this one by its `at_hash`. */
  readonly accessToken?: string
  /** Given back as it came in the sign-in request. */
  readonly nonce?: string
}

export interface MintedToken {
  readonly token: string
  /** Milliseconds since the epoch. */
  readonly expireTime: number
}

/** Signs one ID token: RS256, `exp - iat` = 3600 s, claims in Google's order. */
export async function mintIdToken(ring: KeyRing, now: number, request: IdTokenRequest): Promise<MintedToken> {
  const { subject, audience, includeEmail = true, authorizedParty = subject.uniqueId } = request
  const { accessToken, nonce } = request
  const iat = seconds(now)
  const exp = iat + TOKEN_LIFE / 1000
  const key = ring.signing(now)
  const claims = {
    ...(accessToken ? { at_hash: accessTokenHash(accessToken) } : {}),
    aud: audience,
    azp: authorizedParty,
    ...(includeEmail ? { email: subject.email, email_verified: true } : {}),
    exp,
    iat,
    iss: ISSUER,
    ...(nonce ? { nonce } : {}),
    sub: subject.uniqueId,
  }
  const token = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'RS256', kid: key.kid, typ: 'JWT' })
    .sign(await ring.privateKeyOf(key))
  return { token, expireTime: exp * 1000 }
}

/** OpenID Connect Core 3.1.3.6: the left half of the hash that the signature uses. */
function accessTokenHash(token: string): string {
  return createHash('sha256').update(token).digest().subarray(0, 16).toString('base64url')
}

/** An opaque access token. What it stands for is kept by whoever issues it. */
export function mintAccessToken(): string {
  // The `ya29.` prefix is what clients and secret scanners know Google's access tokens by.
  return `ya29.c.${randomBytes(96).toString('base64url')}`
}

/** A code for the token endpoint, in the form that Google's have. */
export function mintAuthorizationCode(): string {
  return `4/0${randomBytes(40).toString('base64url')}`
}

/** An opaque refresh token. */
export function mintRefreshToken(): string {
  return `1//0${randomBytes(64).toString('base64url')}`
}

/** A 21-digit unique id, as Google gives accounts. */
export function mintUniqueId(): string {
  const digits = BigInt(`0x${randomBytes(10).toString('hex')}`) % 10n ** 20n
  return `1${digits.toString().padStart(20, '0')}`
}
