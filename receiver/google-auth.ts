/**
 * @module
 * Hono middleware that lets only named Google accounts through: where no Cloud Run ingress does it (a public service, GKE, a
 * VM), or behind one once more, as it leaves the signature on `Authorization` (facts 7.2).
 */
import type { Context, MiddlewareHandler } from 'hono'
import { errors, type JWTPayload, jwtVerify } from 'jose'
import { readJwt } from '../service/jwt.ts'
import { type GoogleClaims, readClaims } from './claims.ts'
import { credentialOf, isSignatureRemoved } from './credential.ts'
import { KeysUnavailable, publicKeys } from './public-keys.ts'
import { forbiddenPage, unauthorizedPage } from './refusals.ts'

export const GOOGLE_JWKS_URL = 'https://www.googleapis.com/oauth2/v3/certs'
/** Google's ID tokens live an hour (facts 3); what lives longer than a day is none. Seconds. */
const LONGEST = 24 * 3600

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
  /**
   * Where Google's public keys are. Fetched when first needed, kept ten minutes, and asked again for a key that is not there at
   * most every 30 s, or 5 s after a failure. RSA keys under 2048 bits are passed over. Default {@link GOOGLE_JWKS_URL}.
   */
  readonly jwksUrl?: string | URL
  /** How far the clocks may be apart when `exp`, `iat` and `nbf` are checked, in seconds. Default 0. */
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
  readonly claims: GoogleClaims
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
  /** 401: not a signed JWT, or not written as one must be. */
  | 'ERR_TOKEN_FORM'
  /** 401: not RS256. */
  | 'ERR_TOKEN_ALGORITHM'
  /** 401: none of the published keys. */
  | 'ERR_TOKEN_KEY'
  | 'ERR_TOKEN_SIGNATURE'
  | 'ERR_TOKEN_ISSUER'
  | 'ERR_TOKEN_AUDIENCE'
  | 'ERR_TOKEN_EXPIRED'
  /** 401: another claim is missing, of another type than Google's, or not right. */
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
      return refusal(error, new URL(c.req.url))
    }
    return next()
  }
}

function refusal(error: GoogleAuthError, { pathname, search }: URL): Response {
  const path = `${pathname}${search}`
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
    requiredClaims: ['exp', 'iat', 'sub'],
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
        'Cloud Run has verified this token and removed its signature, as it does in X-Serverless-Authorization: have it sent as Authorization, or leave the check to Cloud Run',
      )
    }
    if (!readJwt(token)) throw new GoogleAuthError('ERR_TOKEN_FORM', 'The token is no signed JWT')
    const { payload } = await jwtVerify(token, keys, checks).catch((cause: unknown) => {
      throw explained(cause)
    })
    const claims = typed(payload)
    checkTimes(claims, Math.floor(Date.now() / 1000), clockTolerance)
    return callerOf(claims, allowed)
  }
}

function typed(payload: JWTPayload): GoogleClaims {
  const read = readClaims(payload)
  if (read.claims) return read.claims
  const { wrong } = read
  throw new GoogleAuthError(
    wrong === 'aud' ? 'ERR_TOKEN_AUDIENCE' : 'ERR_TOKEN_CLAIM',
    `${wrong} is not as Google writes it`,
  )
}

/** What jose leaves open. `exp` and `nbf` it has checked. */
function checkTimes({ iat, exp }: GoogleClaims, now: number, tolerance: number): void {
  if (iat > now + tolerance) throw new GoogleAuthError('ERR_TOKEN_CLAIM', 'iat is in the future')
  if (exp - iat > LONGEST) throw new GoogleAuthError('ERR_TOKEN_CLAIM', 'exp is more than 24 hours after iat')
}

/** Apart, so that neither can stand for the other. */
interface Allowed {
  readonly ids: ReadonlySet<string>
  readonly emails: ReadonlySet<string>
}

function callerOf(claims: GoogleClaims, allowed: Allowed): GoogleCaller {
  const { sub, email, email_verified } = claims
  const verified = email_verified === true ? email : undefined
  if (!allowed.ids.has(sub) && !(verified && allowed.emails.has(verified.toLowerCase()))) {
    const who = verified ?? (email === undefined ? sub : `${sub}, whose email is not verified`)
    throw new GoogleAuthError('ERR_CALLER_NOT_ALLOWED', `${who} is not among the allowed callers`)
  }
  return { sub, claims, ...(verified ? { email: verified } : {}) }
}

function explained(cause: unknown): unknown {
  if (cause instanceof KeysUnavailable)
    return new GoogleAuthError('ERR_KEYS_UNAVAILABLE', cause.message, { cause: cause.cause })
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
