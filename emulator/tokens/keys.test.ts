import { describe, expect, test } from 'bun:test'
import { KeyRing, ROTATION_PERIOD, type SigningKey, TOKEN_LIFE } from './keys.ts'
import { mintIdToken } from './mint.ts'
import { type AudienceRule, IdTokenVerifier } from './verify.ts'

const T0 = Date.UTC(2026, 0, 1)
const MINUTE = 60_000
const anyAudience: AudienceRule = { accepts: () => true, expected: 'any', mend: () => '' }
const subject = { email: 'a@demo-project.iam.gserviceaccount.com', uniqueId: '123456789012345678901' }

async function openRing(kept: readonly SigningKey[] = [], now = T0) {
  let saved = kept
  const ring = await KeyRing.open(kept, now, (keys) => {
    saved = keys
  })
  return { ring, saved: () => saved }
}

describe('the key ring', () => {
  test('facts 3, 6.8: two RSA keys are published from the start, each with a kid of 40 lower-case hex digits', async () => {
    const { ring } = await openRing()
    const published = ring.published(T0)
    expect(published).toHaveLength(2)
    for (const key of published) {
      expect(key.kid).toMatch(/^[0-9a-f]{40}$/)
      expect(Buffer.from(key.publicJwk.n, 'base64url')).toHaveLength(256)
      expect(Object.keys(key.publicJwk)).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use'])
      expect(key.certificate).toStartWith('-----BEGIN CERTIFICATE-----\n')
    }
    expect(published[0]?.kid).not.toBe(published[1]?.kid)
  })

  test('a ring opened over kept keys is the same ring', async () => {
    const first = await openRing()
    const second = await openRing(JSON.parse(JSON.stringify(first.saved())), T0 + MINUTE)
    expect(second.ring.signing(T0 + MINUTE).kid).toBe(first.ring.signing(T0).kid)
    const { token } = await mintIdToken(first.ring, T0, { subject, audience: 'https://x' })
    const result = await new IdTokenVerifier(second.ring).verify(token, T0 + MINUTE, anyAudience)
    expect(result.verified).toBe(true)
  })

  test('a rotation changes the signing key at once, and tokens of the retired key verify for their whole life', async () => {
    const { ring } = await openRing()
    const before = ring.signing(T0)
    const { token } = await mintIdToken(ring, T0, { subject, audience: 'https://x' })
    await ring.rotate(T0)
    expect(ring.signing(T0).kid).not.toBe(before.kid)
    const verifier = new IdTokenVerifier(ring)
    const last = T0 + TOKEN_LIFE - 1000
    expect((await verifier.verify(token, last, anyAudience)).verified).toBe(true)
    expect(ring.published(last).map((key) => key.kid)).toContain(before.kid)
    const after = await verifier.verify(token, T0 + TOKEN_LIFE, anyAudience)
    expect(after.checks.at(-1)).toMatchObject({ name: 'token-key', passed: false })
    expect(ring.published(T0 + TOKEN_LIFE).map((key) => key.kid)).not.toContain(before.kid)
    expect(ring.published(T0 + TOKEN_LIFE)).toHaveLength(2)
  })

  test('a rotation comes due once a period, and calls that overlap rotate once', async () => {
    const { ring } = await openRing()
    expect(await ring.rotateWhenDue(T0 + ROTATION_PERIOD - 1)).toBe(false)
    const due = T0 + ROTATION_PERIOD
    const before = ring.signing(due).kid
    const next = ring.published(due)[1]?.kid ?? ''
    const rotated = await Promise.all([ring.rotateWhenDue(due), ring.rotateWhenDue(due)])
    expect(rotated.sort()).toEqual([false, true])
    expect(ring.signing(due).kid).toBe(next)
    expect(ring.signing(due).kid).not.toBe(before)
    expect(await ring.rotateWhenDue(due + 1)).toBe(false)
    expect(ring.dueTime(due)).toBe(due + ROTATION_PERIOD)
  })

  test('a clock that is set back leaves a key to sign with, and publishes it', async () => {
    const { ring } = await openRing()
    await ring.rotate(T0 + MINUTE)
    const earlier = T0 - MINUTE
    const signing = ring.signing(earlier)
    expect(ring.published(earlier).map((key) => key.kid)).toContain(signing.kid)
    expect((await mintIdToken(ring, earlier, { subject, audience: 'https://x' })).token).toBeString()
  })
})
