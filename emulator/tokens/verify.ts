/**
 * Is this an ID token that Google would accept here, and if not, which check failed?
 *
 * Algorithm and key come from us, never from the token: `jku`, `x5u`, `x5c` and `jwk` headers are not looked at.
 */
import { compactVerify, errors } from 'jose'
import { copyOf } from '../decision/cut.ts'
import type { Check, CheckName } from '../decision/decision.ts'
import { type IdTokenClaims, readIdTokenClaims } from './claims.ts'
import { seconds } from './clock.ts'
import { type JsonMembers, readJwt, readMembers } from './jwt.ts'
import { type KeyRing, TOKEN_LIFE } from './keys.ts'

/** Google writes its issuer in two ways. Verifiers must take both. */
const ISSUERS: readonly string[] = ['https://accounts.google.com', 'accounts.google.com']
/** What Google's front end forgives between clocks; not documented for Cloud Run, so: none before, none after. Seconds. */
const SKEW = 0

/** What a service accepts as `aud`. `expected` is for a person to read. */
export interface AudienceRule {
  readonly accepts: (audience: string) => boolean
  readonly expected: string
  /** One line on mending a wrong audience. */
  readonly mend: (audience: string) => string
}

export type Verification =
  | { readonly verified: true; readonly claims: IdTokenClaims; readonly checks: readonly Check[] }
  | { readonly verified: false; readonly checks: readonly Check[] }

/** A token whose form and signature have been checked; these two never change for the same bytes, so they are kept. */
interface Signed {
  readonly claims: JsonMembers | undefined
  readonly checks: readonly Check[]
  readonly kid?: string
}

const REMEMBERED = 1024
/** Longer tokens than any that is meant are checked anew each time: a caller says how long its audience is. Characters. */
const LONGEST_REMEMBERED = 8192
const AS_ISSUED = 'Send the token exactly as it was issued.'

/** Verifies ID tokens against one key ring. Signatures already checked are remembered; times and audience are checked at every call. */
export class IdTokenVerifier {
  readonly #ring: KeyRing
  readonly #signed = new Map<string, Signed>()

  constructor(ring: KeyRing) {
    this.#ring = ring
  }

  async verify(token: string, now: number, audience: AudienceRule): Promise<Verification> {
    const signed = await this.#check(token, now)
    if (!signed.claims) return { verified: false, checks: signed.checks }
    const checks = [...signed.checks]
    for (const check of claimChecks(signed.claims, seconds(now), audience)) {
      checks.push(check)
      if (!check.passed) return { verified: false, checks }
    }
    const read = readIdTokenClaims(signed.claims)
    if (read.claims) return { verified: true, claims: read.claims, checks }
    const actual = `${read.wrong}: ${printable(signed.claims[read.wrong])}`
    checks.push(check('token-form', false, 'claims of the types that Google writes', actual, AS_ISSUED))
    return { verified: false, checks }
  }

  async #check(token: string, now: number): Promise<Signed> {
    const known = this.#signed.get(token)
    // A remembered signature holds only while its key does.
    if (known?.kid && this.#ring.find(known.kid, now)) return known
    const signed = await checkSignature(token, now, this.#ring)
    if (signed.claims && token.length <= LONGEST_REMEMBERED) {
      if (this.#signed.size >= REMEMBERED) this.#signed.delete(this.#signed.keys().next().value ?? '')
      // A copy: the token was cut out of a header, which may be longer.
      this.#signed.set(copyOf(token), signed)
    }
    return signed
  }
}

async function checkSignature(token: string, now: number, ring: KeyRing): Promise<Signed> {
  const checks: Check[] = []
  const fail = (name: CheckName, expected: string, actual: string, mend: string): Signed => {
    checks.push({ name, passed: false, expected, actual, mend })
    return { claims: undefined, checks }
  }
  const pass = (name: CheckName, expected: string, actual: string) =>
    checks.push({ name, passed: true, expected, actual })

  const read = readForm(token)
  if ('actual' in read) return fail('token-form', FORM, read.actual, read.mend)
  const { header } = read
  pass('token-form', FORM, 'three segments')

  if (header.alg !== 'RS256') {
    return fail(
      'token-algorithm',
      'RS256',
      printable(header.alg),
      'Only Google signs ID tokens for Cloud Run, and always with RS256.',
    )
  }
  pass('token-algorithm', 'RS256', 'RS256')

  const published = `one of Google's keys: ${ring
    .published(now)
    .map((key) => key.kid)
    .join(', ')}`
  const key = typeof header.kid === 'string' ? ring.find(header.kid, now) : undefined
  if (!key) {
    const mend =
      'The token was not signed by this Google: fetch it from the metadata server or from iamcredentials here.'
    return fail(
      'token-key',
      published,
      header.kid === undefined ? 'no kid' : `kid ${printable(header.kid)}`,
      mend,
    )
  }
  pass('token-key', published, `kid ${key.kid}`)

  let payload: Uint8Array
  try {
    payload = (await compactVerify(token, await ring.publicKeyOf(key), { algorithms: ['RS256'] })).payload
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error
    const actual =
      error instanceof errors.JWSSignatureVerificationFailed ? 'a signature that does not match' : error.code
    return fail(
      'token-signature',
      `a signature by key ${key.kid}`,
      actual,
      'The token was changed after it was signed, or signed by somebody else.',
    )
  }
  pass('token-signature', `a signature by key ${key.kid}`, 'valid')

  const claims = readMembers(payload)
  if (!claims) return fail('token-form', 'a payload that is a JSON object', 'something else', AS_ISSUED)
  return { claims, checks, kid: key.kid }
}

const FORM = 'an ID token: three base64url segments, header.payload.signature'

/** The header, or what it is that came instead. */
function readForm(
  token: string,
): { readonly header: JsonMembers } | { readonly actual: string; readonly mend: string } {
  const parts = token.split('.')
  if (token.startsWith('ya29.')) {
    const mend = 'Send an ID token: Cloud Run does not take access tokens.'
    return { actual: 'an access token (ya29.…)', mend }
  }
  // An empty signature is the form that `alg: none` has: the algorithm is what is wrong with it.
  if (parts.length !== 3 || !parts[0] || !parts[1]) {
    const actual = `${parts.length} segment${parts.length === 1 ? '' : 's'}, ${token.length} characters`
    return { actual, mend: AS_ISSUED }
  }
  if (parts[2] === 'SIGNATURE_REMOVED_BY_GOOGLE') {
    const mend =
      'Do not pass on the token that you were called with: fetch one of your own for the service you call.'
    return { actual: 'a token whose signature Cloud Run has removed', mend }
  }
  return readJwt(token) ?? { actual: 'segments that are not base64url of JSON', mend: AS_ISSUED }
}

function* claimChecks(claims: JsonMembers, now: number, audience: AudienceRule): Generator<Check> {
  const { iss, aud, sub } = claims
  yield check(
    'token-issuer',
    typeof iss === 'string' && ISSUERS.includes(iss),
    ISSUERS.join(' or '),
    printable(iss),
    'Only ID tokens that Google issued are accepted.',
  )

  const one = typeof aud === 'string'
  yield check(
    'token-audience',
    one && audience.accepts(aud),
    audience.expected,
    printable(aud),
    one ? audience.mend(aud) : 'The audience must be one string.',
  )

  yield* timeChecks(claims, now)
  yield check(
    'principal',
    typeof sub === 'string' && sub !== '',
    'a subject',
    printable(sub),
    'Every token of Google names its holder in sub.',
  )
}

function* timeChecks({ iat, nbf, exp }: JsonMembers, now: number): Generator<Check> {
  const expiry = 'a time in the future'
  const expired = typeof exp === 'number' ? `${printable(exp)}, ${now - exp} s ago` : printable(exp)
  const alive = isTime(exp) && now < exp + SKEW
  yield check(
    'token-expiry',
    alive,
    expiry,
    alive ? `in ${exp - now} s` : expired,
    'ID tokens live one hour: fetch a new one.',
  )

  const issued = isTime(iat) && iat <= now + SKEW
  yield check(
    'token-issued-at',
    issued,
    'a time in the past',
    printable(iat),
    'The clock that issued the token is ahead, or the claim is missing.',
  )

  const tooLong = isTime(exp) && isTime(iat) && exp - iat > 24 * (TOKEN_LIFE / 1000)
  if (tooLong)
    yield check(
      'token-expiry',
      false,
      'at most 24 hours after iat',
      `${exp - iat} s`,
      'Google never issues such a token.',
    )

  if (nbf !== undefined) {
    yield check(
      'token-not-before',
      isTime(nbf) && nbf <= now + SKEW,
      'a time in the past',
      printable(nbf),
      'The token is not valid yet.',
    )
  }
}

function check(name: CheckName, passed: boolean, expected: string, actual: string, mend: string): Check {
  return passed ? { name, passed, expected, actual } : { name, passed, expected, actual, mend }
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

/** A value out of a token, short enough and plain enough for a log line. */
function printable(value: unknown): string {
  if (value === undefined) return 'none'
  const text = (typeof value === 'string' ? value : JSON.stringify(value)).replace(/\p{Cc}/gu, '\uFFFD')
  return text.length > 200 ? `${text.slice(0, 200)}… (${text.length} characters)` : text
}
