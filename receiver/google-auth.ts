/**
 * @module
 * Hono middleware that lets only named Google accounts through, for places where no Cloud Run ingress does it: a public
 * service, GKE, a VM.
 */
import type { Context, MiddlewareHandler } from 'hono'
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { credentialOf, isSignatureRemoved } from './credential.ts'
import { forbiddenPage, unauthorizedPage } from './refusals.ts'

export const GOOGLE_JWKS_URL = 'https://www.googleapis.com/oauth2/v3/certs'

export interface GoogleAuthOptions {
  /**
   * The audiences that are accepted, at least one: the URL that callers ask for in their ID tokens, or names of your own. Compared
   * exactly, except that a bare origin is accepted with one `/` after it too, as on Cloud Run.
   */
  readonly audience: readonly string[]
  /**
   * Who may call, at least one: email addresses, or unique ids (the token's `sub`). An id survives neither deletion nor
   * re-creation of the account, so it never means somebody else; an email counts only when the token says it is verified.
   */
  readonly allowedCallers: readonly string[]
  /** Where Google's public keys are. Fetched when first needed and kept ten minutes. Default {@link GOOGLE_JWKS_URL}. */
  readonly jwksUrl?: string | URL
  /** How far the clocks may be apart when `exp` and `nbf` are checked, in seconds. Default 0. */
  readonly clockTolerance?: number
  /** Told of each refusal before it is answered: for a log. */
  readonly onRefuse?: (error: GoogleAuthError, c: Context) => void
}

/** Who is calling, by a token that was verified here. */
export interface GoogleCaller {
  /** The account's unique id. */
  readonly sub: string
  /** Only when verified by Google. */
  readonly email?: string
  readonly claims: JWTPayload
}

/** What the middleware sets: `c.var.caller`. */
export interface GoogleAuthVariables {
  caller: GoogleCaller
}

/** Why a request was refused. */
export type GoogleAuthErrorCode =
  /** 403: neither header is there. */
  | 'ERR_CREDENTIAL_MISSING'
  /** 401: the header does not hold `Bearer TOKEN`. */
  | 'ERR_CREDENTIAL_FORM'
  /** 401: Cloud Run has verified this token already, and nobody can again. */
  | 'ERR_SIGNATURE_REMOVED'
  /** 401: not a signed JWT. */
  | 'ERR_TOKEN_FORM'
  /** 401: not RS256. */
  | 'ERR_TOKEN_ALGORITHM'
  /** 401: none of the published keys. */
  | 'ERR_TOKEN_KEY'
  | 'ERR_TOKEN_SIGNATURE'
  | 'ERR_TOKEN_ISSUER'
  | 'ERR_TOKEN_AUDIENCE'
  | 'ERR_TOKEN_EXPIRED'
  /** 401: another claim is missing or not right. */
  | 'ERR_TOKEN_CLAIM'
  /** 403: a good token of somebody who is not on the list. */
  | 'ERR_CALLER_NOT_ALLOWED'
  /** 503: the public keys could not be had, so nothing is known about the token. The cause is kept. */
  | 'ERR_KEYS_UNAVAILABLE'

/** A refusal. `status` is what the caller was answered. Holds no token. */
export class GoogleAuthError extends Error {
  override readonly name = 'GoogleAuthError'
  readonly code: GoogleAuthErrorCode
  readonly status: 401 | 403 | 503

  constructor(code: GoogleAuthErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.status = statusOf(code)
  }
}

/**
 * Verifies the Google ID token that a request carries in `X-Serverless-Authorization` or `Authorization` (the first counts where
 * both are there), and whose it is. Anyone else is answered as Cloud Run answers: 403 without a credential, 401 with a bad one,
 * 403 with one of somebody who may not call; 503 while Google's keys cannot be had.
 *
 * @example
 * ```ts
 * const app = new Hono<{ Variables: GoogleAuthVariables }>()
 *
 * app.use(
 *   googleAuth({
 *     audience: ['https://orders.example.com'],
 *     allowedCallers: ['calling-service-sa@my-project.iam.gserviceaccount.com'],
 *     onRefuse: (error) => console.warn(error.code, error.message),
 *   }),
 * )
 *
 * app.get('/', (c) => c.text(`Hello ${c.var.caller.email}`))
 * ```
 * @throws {TypeError} when there is no audience or no caller, or the URL is not one
 */
export function googleAuth(
  options: GoogleAuthOptions,
): MiddlewareHandler<{ Variables: GoogleAuthVariables }> {
  const verify = createVerifier(options)

  return async function googleAuth(c, next) {
    try {
      c.set('caller', await verify(c.req.raw.headers))
    } catch (error) {
      if (!(error instanceof GoogleAuthError)) throw error
      options.onRefuse?.(error, c)
      return refusal(error, new URL(c.req.url).pathname)
    }
    return next()
  }
}

function refusal(error: GoogleAuthError, path: string): Response {
  if (error.status === 401) return unauthorizedPage(path)
  if (error.status === 403) return forbiddenPage(path)
  return new Response('Service Unavailable', {
    status: 503,
    headers: { 'content-type': 'text/plain; charset=UTF-8' },
  })
}

function statusOf(code: GoogleAuthErrorCode): 401 | 403 | 503 {
  if (code === 'ERR_KEYS_UNAVAILABLE') return 503
  return code === 'ERR_CREDENTIAL_MISSING' || code === 'ERR_CALLER_NOT_ALLOWED' ? 403 : 401
}

function createVerifier(options: GoogleAuthOptions): (headers: Headers) => Promise<GoogleCaller> {
  const { audience, allowedCallers, jwksUrl = GOOGLE_JWKS_URL, clockTolerance = 0 } = options
  if (audience.length === 0) throw new TypeError('audience needs at least one entry')
  if (allowedCallers.length === 0) throw new TypeError('allowedCallers needs at least one entry')
  const audiences = audience.flatMap((one) => (isOrigin(one) ? [one, `${one}/`] : [one]))
  const isEmail = (caller: string) => caller.includes('@')
  const allowed: Allowed = {
    ids: new Set(allowedCallers.filter((caller) => !isEmail(caller))),
    emails: new Set(allowedCallers.filter(isEmail).map((email) => email.toLowerCase())),
  }
  const keys = publicKeys(new URL(jwksUrl))
  const checks = {
    algorithms: ['RS256'],
    audience: audiences,
    // facts 3: Google writes its issuer in two ways.
    issuer: ['https://accounts.google.com', 'accounts.google.com'],
    requiredClaims: ['exp', 'sub'],
    clockTolerance,
  }

  return async function verify(headers) {
    const credential = credentialOf(headers)
    if (!credential) throw new GoogleAuthError('ERR_CREDENTIAL_MISSING', 'The request carries no credential')
    const { header, token } = credential
    if (!token)
      throw new GoogleAuthError('ERR_CREDENTIAL_FORM', `${header} does not hold Bearer and one token`)
    if (isSignatureRemoved(token)) {
      throw new GoogleAuthError(
        'ERR_SIGNATURE_REMOVED',
        'Cloud Run has verified this token and removed its signature: leave the check to Cloud Run, or make the service public',
      )
    }
    const claims = await jwtVerify(token, keys, checks).then(
      ({ payload }) => payload,
      (cause: unknown) => {
        throw explained(cause)
      },
    )
    return callerOf(claims, allowed)
  }
}

/** Apart, so that neither can stand for the other. */
interface Allowed {
  readonly ids: ReadonlySet<string>
  readonly emails: ReadonlySet<string>
}

function callerOf(claims: JWTPayload, allowed: Allowed): GoogleCaller {
  const { sub, aud, email, email_verified } = claims
  if (typeof sub !== 'string' || sub === '') throw new GoogleAuthError('ERR_TOKEN_CLAIM', 'sub is empty')
  // A list could name us among others; Google issues for one audience only.
  if (typeof aud !== 'string') throw new GoogleAuthError('ERR_TOKEN_AUDIENCE', 'aud is not one string')
  const verified = typeof email === 'string' && email_verified === true ? email : undefined
  if (!allowed.ids.has(sub) && !(verified && allowed.emails.has(verified.toLowerCase()))) {
    const who = verified ?? (email === undefined ? sub : `${sub}, whose email is not verified`)
    throw new GoogleAuthError('ERR_CALLER_NOT_ALLOWED', `${who} is not among the allowed callers`)
  }
  return { sub, claims, ...(verified ? { email: verified } : {}) }
}

/** The key set, with what is wrong with the set itself told apart from what is wrong with a token. */
function publicKeys(url: URL): JWTVerifyGetKey {
  const keys = createRemoteJWKSet(url)
  return async function publicKey(header, token) {
    try {
      return await keys(header, token)
    } catch (cause) {
      if (cause instanceof errors.JWKSNoMatchingKey || cause instanceof errors.JWKSMultipleMatchingKeys)
        throw cause
      throw new GoogleAuthError('ERR_KEYS_UNAVAILABLE', `No public keys from ${url.origin}${url.pathname}`, {
        cause,
      })
    }
  }
}

function explained(cause: unknown): unknown {
  // Anything else is a fault of ours, not of the token.
  if (!(cause instanceof errors.JOSEError)) return cause
  return new GoogleAuthError(codeOf(cause), cause.message, { cause })
}

function codeOf(error: errors.JOSEError): GoogleAuthErrorCode {
  if (error instanceof errors.JWTExpired) return 'ERR_TOKEN_EXPIRED'
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'iss') return 'ERR_TOKEN_ISSUER'
    return error.claim === 'aud' ? 'ERR_TOKEN_AUDIENCE' : 'ERR_TOKEN_CLAIM'
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'ERR_TOKEN_SIGNATURE'
  if (error instanceof errors.JOSEAlgNotAllowed) return 'ERR_TOKEN_ALGORITHM'
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
    return 'ERR_TOKEN_KEY'
  return 'ERR_TOKEN_FORM'
}

function isOrigin(text: string): boolean {
  return URL.parse(text)?.origin === text
}
