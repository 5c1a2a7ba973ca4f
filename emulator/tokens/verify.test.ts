import { describe, expect, test } from 'bun:test'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import fc from 'fast-check'
import { CompactSign, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { goodToken, hostileTokens } from '../../trust/hostile-tokens.ts'
import type { CheckName } from '../decision/decision.ts'
import { KeyRing } from './keys.ts'
import { mintIdToken } from './mint.ts'
import { type AudienceRule, IdTokenVerifier } from './verify.ts'

const NOW = Date.UTC(2026, 0, 1)
const IAT = NOW / 1000
const AUDIENCE = 'https://receiver-123456789012.us-central1.run.app'
const ring = await KeyRing.open([], NOW, () => {})
const key = ring.signing(NOW)
const privateKey = await ring.privateKeyOf(key)
const foreign = await generateKeyPair('RS256', { extractable: true })
const foreignJwk = await exportJWK(foreign.publicKey)
const subject = { email: 'a@demo-project.iam.gserviceaccount.com', uniqueId: '123456789012345678901' }
const rule: AudienceRule = {
  accepts: (audience) => audience === AUDIENCE,
  expected: AUDIENCE,
  mend: () => 'Ask for this audience.',
}

const good: JWTPayload = {
  aud: AUDIENCE,
  azp: subject.uniqueId,
  email: subject.email,
  email_verified: true,
  exp: IAT + 3600,
  iat: IAT,
  iss: 'https://accounts.google.com',
  sub: subject.uniqueId,
}

/** Signed by Google's own key, whatever it says: only the claims are wrong. */
function ours(claims: Record<string, unknown>, header: Record<string, unknown> = {}): Promise<string> {
  return new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader({ alg: 'RS256', kid: key.kid, typ: 'JWT', ...header })
    .sign(privateKey)
}

/** Signed by Google's own key, to the letter. */
function written(payload: string): Promise<string> {
  return new CompactSign(Buffer.from(payload))
    .setProtectedHeader({ alg: 'RS256', kid: key.kid, typ: 'JWT' })
    .sign(privateKey)
}

function theirs(header: Record<string, unknown> = {}): Promise<string> {
  return new SignJWT(good)
    .setProtectedHeader({ alg: 'RS256', kid: key.kid, typ: 'JWT', ...header })
    .sign(foreign.privateKey)
}

function without(claim: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(good).filter(([name]) => name !== claim))
}

function segment(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

async function failure(token: string, now = NOW) {
  const result = await new IdTokenVerifier(ring).verify(token, now, rule)
  expect(result.verified).toBe(false)
  const failed = result.checks.filter((check) => !check.passed)
  expect(failed).toHaveLength(1)
  expect(result.checks.at(-1)).toBe(failed[0])
  return failed[0]
}

const pem = createPublicKey({ key: { ...key.publicJwk }, format: 'jwk' }).export({
  type: 'spki',
  format: 'pem',
})
const hmac = (secret: Uint8Array) =>
  new SignJWT(good).setProtectedHeader({ alg: 'HS256', kid: key.kid, typ: 'JWT' }).sign(secret)

const HOSTILE: readonly (readonly [string, CheckName, string | Promise<string>])[] = [
  ['an empty string', 'token-form', ''],
  ['no token at all', 'token-form', 'hello'],
  ['two segments', 'token-form', 'a.b'],
  ['five segments', 'token-form', 'a.b.c.d.e'],
  ['a header that is not JSON', 'token-form', 'bm9wZQ.e30.c2ln'],
  ['a header that is an array', 'token-form', `${segment([])}.${segment(good)}.c2ln`],
  ['an access token', 'token-form', 'ya29.c.abc'],
  [
    'a token whose signature Cloud Run removed',
    'token-form',
    ours(good).then((token) => token.replace(/[^.]*$/, 'SIGNATURE_REMOVED_BY_GOOGLE')),
  ],
  ['alg none, unsigned', 'token-algorithm', `${segment({ alg: 'none', kid: key.kid })}.${segment(good)}.`],
  [
    'alg none with something for a signature',
    'token-algorithm',
    `${segment({ alg: 'None', kid: key.kid })}.${segment(good)}.c2ln`,
  ],
  ['no alg', 'token-algorithm', `${segment({ kid: key.kid })}.${segment(good)}.c2ln`],
  ['HS256 with the public key as PEM', 'token-algorithm', hmac(Buffer.from(pem))],
  ['HS256 with the modulus', 'token-algorithm', hmac(Buffer.from(key.publicJwk.n))],
  ['an empty signature under RS256', 'token-signature', ours(good).then((t) => t.replace(/[^.]*$/, ''))],
  ['a foreign key under our kid', 'token-signature', theirs()],
  ['an unknown kid', 'token-key', theirs({ kid: '0'.repeat(40) })],
  [
    'a kid that is not text',
    'token-key',
    `${segment({ alg: 'RS256', kid: [key.kid] })}.${segment(good)}.c2ln`,
  ],
  ['no kid', 'token-key', theirs({ kid: undefined })],
  ['a key of its own in jwk', 'token-signature', theirs({ jwk: foreignJwk })],
  ['a key of its own in jwk, unknown kid', 'token-key', theirs({ kid: 'mine', jwk: foreignJwk })],
  ['a key set of its own in jku', 'token-key', theirs({ kid: 'mine', jku: 'https://evil.example/certs' })],
  ['a certificate of its own in x5u', 'token-signature', theirs({ x5u: 'https://evil.example/cert' })],
  [
    'claims changed after signing',
    'token-signature',
    ours(good).then((token) => {
      const [header, , signature] = token.split('.')
      return `${header}.${segment({ ...good, email: 'root@demo-project.iam.gserviceaccount.com' })}.${signature}`
    }),
  ],
  [
    'a critical header nobody knows',
    'token-signature',
    `${segment({ alg: 'RS256', kid: key.kid, crit: ['x'], x: 1 })}.${segment(good)}.c2ln`,
  ],
  ['a payload that is an array', 'token-form', ours([] as unknown as Record<string, unknown>)],
  ['no issuer', 'token-issuer', ours(without('iss'))],
  ['another issuer', 'token-issuer', ours({ ...good, iss: 'https://accounts.google.com.evil.example' })],
  ['an issuer with a slash', 'token-issuer', ours({ ...good, iss: 'https://accounts.google.com/' })],
  ['a list of issuers', 'token-issuer', ours({ ...good, iss: ['https://accounts.google.com'] })],
  ['an audience array', 'token-audience', ours({ ...good, aud: [AUDIENCE] })],
  ['no audience', 'token-audience', ours(without('aud'))],
  ['another audience', 'token-audience', ours({ ...good, aud: 'https://other.run.app' })],
  ['no exp', 'token-expiry', ours(without('exp'))],
  ['exp as text', 'token-expiry', ours({ ...good, exp: String(IAT + 3600) })],
  ['exp null', 'token-expiry', ours({ ...good, exp: null })],
  ['exp far too late', 'token-expiry', ours({ ...good, exp: 1e300 })],
  ['an expired token', 'token-expiry', ours({ ...good, exp: IAT })],
  ['no iat', 'token-issued-at', ours(without('iat'))],
  ['iat as text', 'token-issued-at', ours({ ...good, iat: String(IAT) })],
  ['iat in the future', 'token-issued-at', ours({ ...good, iat: IAT + 60 })],
  ['nbf in the future', 'token-not-before', ours({ ...good, nbf: IAT + 60 })],
  ['nbf as text', 'token-not-before', ours({ ...good, nbf: '0' })],
  ['no sub', 'principal', ours(without('sub'))],
  ['an email that is a number', 'token-form', ours({ ...good, email: 7 })],
  ['an email that is a list', 'token-form', ours({ ...good, email: [subject.email] })],
  ['an email that is an object', 'token-form', ours({ ...good, email: { toString: 1 } })],
  ['email_verified as text', 'token-form', ours({ ...good, email_verified: 'true' })],
  ['padding after the signature', 'token-form', ours(good).then((token) => `${token}==`)],
  [
    'bits left over in the signature',
    'token-form',
    // 256 bytes end in a character that stands for two bits: the other four of `w` are zero.
    ours(good).then(
      (token) => token.slice(0, -1) + ({ A: 'B', Q: 'R', g: 'h', w: 'x' }[token.at(-1) ?? ''] ?? ''),
    ),
  ],
  ['a byte order mark before the payload', 'token-form', written(`\uFEFF${JSON.stringify(good)}`)],
  [
    'exp beyond all numbers',
    'token-expiry',
    written(JSON.stringify(good).replace(/"exp":\d+/, '"exp":1e400')),
  ],
  ['64 KiB of one letter', 'token-form', 'a'.repeat(65_536)],
  ['64 KiB of dots', 'token-form', '.'.repeat(65_536)],
  [
    'a 64 KiB kid',
    'token-key',
    `${segment({ alg: 'RS256', kid: 'k'.repeat(65_536) })}.${segment(good)}.c2ln`,
  ],
  [
    'a 64 KiB payload under a foreign signature',
    'token-signature',
    `${segment({ alg: 'RS256', kid: key.kid })}.${'A'.repeat(65_536)}.c2ln`,
  ],
]

describe('a hostile token is refused, and the check that failed is named', () => {
  for (const [what, name, token] of HOSTILE) {
    test(`${what}: ${name}`, async () => {
      expect((await failure(await token))?.name).toBe(name)
    })
  }
})

test('what Google minted verifies, and every check is told', async () => {
  const { token } = await mintIdToken(ring, NOW, { subject, audience: AUDIENCE })
  const result = await new IdTokenVerifier(ring).verify(token, NOW, rule)
  expect(result.verified && result.claims.email).toBe(subject.email)
  expect(result.checks.map((check) => check.name)).toEqual([
    'token-form',
    'token-algorithm',
    'token-key',
    'token-signature',
    'token-issuer',
    'token-audience',
    'token-expiry',
    'token-issued-at',
    'principal',
  ])
})

test("facts 3: both of Google's spellings of its issuer are taken", async () => {
  const token = await ours({ ...good, iss: 'accounts.google.com' })
  expect((await new IdTokenVerifier(ring).verify(token, NOW, rule)).verified).toBe(true)
})

test('a token that verified once is still checked for its time and its audience', async () => {
  const verifier = new IdTokenVerifier(ring)
  const { token } = await mintIdToken(ring, NOW, { subject, audience: AUDIENCE })
  expect((await verifier.verify(token, NOW, rule)).verified).toBe(true)
  expect((await verifier.verify(token, NOW + 3_599_999, rule)).verified).toBe(true)
  const late = await verifier.verify(token, NOW + 3_600_000, rule)
  expect(late.checks.at(-1)).toMatchObject({ name: 'token-expiry', passed: false })
  const elsewhere = await verifier.verify(token, NOW, { ...rule, accepts: () => false })
  expect(elsewhere.checks.at(-1)).toMatchObject({ name: 'token-audience', passed: false })
})

test('no check repeats a token, or carries line breaks of one into a log', async () => {
  const token = await ours({ ...good, iss: 'x\r\ninjected: line' })
  const failed = await failure(token)
  expect(JSON.stringify(failed)).not.toContain(token)
  expect(failed?.actual).not.toMatch(/[\r\n]/)
  const long = await failure('a'.repeat(65_536))
  expect(JSON.stringify(long).length).toBeLessThan(1000)
})

test('nothing that is put together out of parts makes the verifier throw or pass', async () => {
  const part = fc.oneof(
    fc.string(),
    fc.base64String(),
    fc.json().map((text) => Buffer.from(text).toString('base64url')),
  )
  const verifier = new IdTokenVerifier(ring)
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 5 }), async (parts) => {
      expect((await verifier.verify(parts.join('.'), NOW, rule)).verified).toBe(false)
    }),
    { numRuns: 300 },
  )
})

const original = {
  header: { alg: 'RS256', kid: key.kid, typ: 'JWT' },
  claims: good,
  key: createPrivateKey({ key: { ...key.privateJwk }, format: 'jwk' }),
}

test('no claim of another type, no missing one and no other way of writing a token passes, or makes the verifier throw', async () => {
  const verifier = new IdTokenVerifier(ring)
  expect((await verifier.verify(goodToken(original), NOW, rule)).verified).toBe(true)
  await fc.assert(
    fc.asyncProperty(hostileTokens(original), async ({ token }) => {
      expect((await verifier.verify(token, NOW, rule)).verified).toBe(false)
    }),
    { numRuns: 400 },
  )
})
