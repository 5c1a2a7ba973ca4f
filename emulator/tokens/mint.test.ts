import { expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { KeyRing } from './keys.ts'
import { mintAccessToken, mintIdToken, mintUniqueId } from './mint.ts'

const NOW = Date.UTC(2026, 0, 1) + 123
const ring = await KeyRing.open([], NOW, () => {})
const subject = { email: 'a@demo-project.iam.gserviceaccount.com', uniqueId: '123456789012345678901' }
const audience = 'https://receiver-123456789012.us-central1.run.app'

test('facts 3: the header is alg, kid, typ, and the kid is the key that signs now', async () => {
  const { token } = await mintIdToken(ring, NOW, { subject, audience })
  expect(JSON.stringify(decodeProtectedHeader(token))).toBe(
    JSON.stringify({ alg: 'RS256', kid: ring.signing(NOW).kid, typ: 'JWT' }),
  )
})

test('facts 3: a full token has these claims and no others, and lives 3600 seconds', async () => {
  const { token, expireTime } = await mintIdToken(ring, NOW, { subject, audience })
  const iat = Math.floor(NOW / 1000)
  expect(decodeJwt(token)).toEqual({
    aud: audience,
    azp: subject.uniqueId,
    email: subject.email,
    email_verified: true,
    exp: iat + 3600,
    iat,
    iss: 'https://accounts.google.com',
    sub: subject.uniqueId,
  })
  expect(expireTime).toBe((iat + 3600) * 1000)
})

test('facts 3: azp may be the email; facts 4: without includeEmail neither email claim is there', async () => {
  const { token } = await mintIdToken(ring, NOW, {
    subject,
    audience,
    includeEmail: false,
    authorizedParty: subject.email,
  })
  const claims = decodeJwt(token)
  expect(claims.azp).toBe(subject.email)
  expect(claims).not.toHaveProperty('email')
  expect(claims).not.toHaveProperty('email_verified')
})

test('at_hash binds an ID token to the access token of the same reply, and a nonce is given back', async () => {
  const accessToken = mintAccessToken()
  const { token } = await mintIdToken(ring, NOW, { subject, audience, accessToken, nonce: 'n-1' })
  const half = createHash('sha256').update(accessToken).digest().subarray(0, 16)
  expect(decodeJwt(token)).toMatchObject({ at_hash: half.toString('base64url'), nonce: 'n-1' })
})

test('a token is signed with the key of the moment', async () => {
  const own = await KeyRing.open([], NOW, () => {})
  const first = decodeProtectedHeader((await mintIdToken(own, NOW, { subject, audience })).token).kid
  await own.rotate(NOW)
  const second = decodeProtectedHeader((await mintIdToken(own, NOW, { subject, audience })).token).kid
  expect(second).not.toBe(first)
  expect(second).toBe(own.signing(NOW).kid)
})

test('facts 3: a unique id has 21 digits', () => {
  for (let i = 0; i < 100; i++) expect(mintUniqueId()).toMatch(/^1\d{20}$/)
})
