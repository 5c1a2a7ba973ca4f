import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createPrivateKey } from 'node:crypto'
import fc from 'fast-check'
import { decodeJwt, importJWK, type JWK, SignJWT } from 'jose'
import { goodToken, hostileTokens } from '../../../trust/hostile-tokens.ts'
import { createUserKey, keepKey, systemKey } from '../../state/account-keys.ts'
import type { ServiceAccount, ServiceAccountKey } from '../../state/resources.ts'
import { IdTokenVerifier } from '../../tokens/verify.ts'
import { type Issuer, openIssuer } from './issuer.fixture.ts'

const START = Date.UTC(2026, 0, 1)
const NOW = START / 1000
const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const AUDIENCE = 'https://oauth2.googleapis.com/token'
const PLATFORM = 'https://www.googleapis.com/auth/cloud-platform'
const SERVICE = 'https://receiving-service-123456789012.us-central1.run.app'
const TIMES =
  'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.'

let issuer: Issuer
let account: ServiceAccount
let key: ServiceAccountKey
let privateJwk: JWK

beforeAll(async () => {
  issuer = await openIssuer(START)
  const [compute] = issuer.state.serviceAccounts.list()
  if (!compute) throw new Error('a project has a default account')
  account = compute
  const made = await createUserKey(issuer.state, account)
  if (!made) throw new Error('no key was made')
  key = made.key
  privateJwk = made.privateJwk
})
afterAll(() => issuer.state.close())

type Header = { alg?: string; kid?: string | undefined }

async function assertion(claims: object = {}, header: Header = {}, signer: JWK = privateJwk) {
  const { alg = 'RS256', kid } = { kid: key.keyId, ...header }
  const all = { iss: account.email, aud: AUDIENCE, iat: NOW, exp: NOW + 3600, scope: PLATFORM, ...claims }
  // `undefined` leaves a claim out.
  return new SignJWT(JSON.parse(JSON.stringify(all)))
    .setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) })
    .sign(await importJWK({ ...signer }, alg))
}

async function exchange(token: string, path = '/token') {
  const response = await issuer.post(path, { grant_type: GRANT, assertion: token })
  // biome-ignore lint/suspicious/noExplicitAny: a test reads any part of an answer, and fails where it is not there
  const body: any = await response.json()
  return { status: response.status, body }
}

const refused = (error: string, error_description: string) => ({
  status: 400,
  body: { error, error_description },
})
const invalidGrant = (sentence: string) => refused('invalid_grant', sentence)

describe('facts 4: a service-account key at the token endpoint', () => {
  test('a scope becomes an access token of the account', async () => {
    const { status, body } = await exchange(await assertion())
    expect(status).toBe(200)
    expect(Object.keys(body)).toEqual(['access_token', 'expires_in', 'token_type'])
    expect(body).toMatchObject({ expires_in: 3599, token_type: 'Bearer' })
    expect(issuer.state.accessToken(body.access_token)).toMatchObject({
      member: `serviceAccount:${account.email}`,
      uniqueId: account.uniqueId,
      scopes: [PLATFORM],
      expireTime: START + 3_600_000,
    })
  })

  test('a target audience becomes an ID token alone, azp the email', async () => {
    const { status, body } = await exchange(await assertion({ scope: undefined, target_audience: SERVICE }))
    expect([status, Object.keys(body)]).toEqual([200, ['id_token']])
    expect(decodeJwt(body.id_token)).toEqual({
      aud: SERVICE,
      azp: account.email,
      email: account.email,
      email_verified: true,
      exp: NOW + 3600,
      iat: NOW,
      iss: 'https://accounts.google.com',
      sub: account.uniqueId,
    })
    const rule = { accepts: (audience: string) => audience === SERVICE, expected: '', mend: () => '' }
    expect((await new IdTokenVerifier(issuer.state.keys).verify(body.id_token, START, rule)).verified).toBe(
      true,
    )
  })

  test("what is no scope of Google's is taken for an audience", async () => {
    const { body } = await exchange(await assertion({ scope: SERVICE }))
    expect([Object.keys(body), decodeJwt(body.id_token).aud]).toEqual([['id_token'], SERVICE])
  })

  test("gcloud's facts 2: Google's name for the endpoint is taken wherever it is asked, and so is its own URL", async () => {
    for (const aud of [
      AUDIENCE,
      'https://www.googleapis.com/oauth2/v4/token',
      'https://accounts.google.com/o/oauth2/token',
      'https://oauth2.googleapis.com/oauth2/v4/token', // where the fixture asks
    ])
      expect((await exchange(await assertion({ aud }), '/oauth2/v4/token')).status).toBe(200)
    for (const aud of ['https://oauth2.googleapis.com', 'https://example.com/token', undefined])
      expect(await exchange(await assertion({ aud }))).toEqual(
        invalidGrant('Invalid JWT: Failed audience check.'),
      )
  })

  test("Node's library sends no kid: any key of the account will do", async () => {
    expect((await exchange(await assertion({}, { kid: undefined }))).status).toBe(200)
  })

  test('what signJwt signs may sign in as well', async () => {
    const system = await systemKey(issuer.state, account)
    const signed = await assertion({}, { kid: system?.keyId }, system?.privateJwk)
    expect((await exchange(signed)).status).toBe(200)
  })
})

describe("facts 4: what is refused, in Google's words", () => {
  test.each(['', 'x', 'a.b.c', 'e30.e30'])('assertion %j is a bad request', async (text) => {
    expect(await exchange(text)).toEqual(refused('invalid_request', 'Bad Request'))
  })

  test('an assertion that is written in another way, or whose claims are of other types', async () => {
    const good = await assertion()
    const bad = refused('invalid_request', 'Bad Request')
    const [header = '', payload = '', signature = ''] = good.split('.')
    const marked = Buffer.from(`\uFEFF${Buffer.from(payload, 'base64url')}`).toString('base64url')
    for (const text of [
      `${good}==`,
      `${header}=.${payload}.${signature}`,
      `${header}.${marked}.${signature}`,
    ])
      expect(await exchange(text)).toEqual(bad)
    for (const claims of [
      { sub: 7 },
      { sub: [account.email] },
      { scope: [PLATFORM] },
      { target_audience: {} },
    ])
      expect(await exchange(await assertion(claims))).toEqual(bad)
  })

  test('whatever types its claims have, and however it is written, an assertion is answered and never a fault', async () => {
    const original = {
      header: { alg: 'RS256', kid: key.keyId },
      claims: {
        iss: account.email,
        aud: AUDIENCE,
        sub: account.email,
        iat: NOW,
        exp: NOW + 3600,
        scope: PLATFORM,
      },
      key: createPrivateKey({ key: { ...privateJwk }, format: 'jwk' }),
    }
    expect((await exchange(goodToken(original))).status).toBe(200)
    await fc.assert(
      fc.asyncProperty(hostileTokens(original), async ({ what, token }) => {
        const { status } = await exchange(token)
        // Claims that an assertion does not have mean nothing here, and it may leave out whom it acts as.
        const free = /^(email|email_verified|azp|nbf): |^no sub$/.test(what)
        expect([what, status]).toEqual([what, free && status === 200 ? 200 : 400])
      }),
      { numRuns: 200 },
    )
  })

  test('a signature by another key, another algorithm, an unknown kid', async () => {
    const other = await createUserKey(issuer.state, account)
    const bad = invalidGrant('Invalid JWT Signature.')
    expect(await exchange(await assertion({}, {}, other?.privateJwk))).toEqual(bad)
    expect(await exchange(await assertion({}, { kid: '0'.repeat(40) }))).toEqual(bad)
    const [header = '', payload = ''] = (await assertion()).split('.')
    expect(await exchange(`${header}.${payload}.`)).toEqual(bad)
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    expect(await exchange(`${none}.${payload}.`)).toEqual(bad)
    const hmac = await new SignJWT(decodeJwt(await assertion()))
      .setProtectedHeader({ alg: 'HS256', kid: key.keyId })
      .sign(Buffer.from(key.publicJwk.n, 'base64url'))
    expect(await exchange(hmac)).toEqual(bad)
  })

  test('a key of another account', async () => {
    const email = 'other@demo-project.iam.gserviceaccount.com'
    issuer.state.serviceAccounts.put(email, { ...account, email, uniqueId: '199999999999999999999' })
    expect(await exchange(await assertion({ iss: email }))).toEqual(invalidGrant('Invalid JWT Signature.'))
    issuer.state.serviceAccounts.delete(email)
  })

  test('an account that is unknown, or disabled', async () => {
    const unknown = invalidGrant('Invalid grant: account not found')
    for (const iss of ['nobody@demo-project.iam.gserviceaccount.com', undefined, 7])
      expect(await exchange(await assertion({ iss }))).toEqual(unknown)
    issuer.state.serviceAccounts.put(account.email, { ...account, disabled: true })
    expect(await exchange(await assertion())).toEqual(unknown)
    issuer.state.serviceAccounts.put(account.email, account)
  })

  test('a key that is disabled signs in again only when it is enabled', async () => {
    issuer.state.serviceAccountKeys.put(key.keyId, { ...key, disabled: true })
    for (const kid of [key.keyId, undefined])
      expect(await exchange(await assertion({}, { kid }))).toEqual(invalidGrant('Invalid JWT Signature.'))
    issuer.state.serviceAccountKeys.put(key.keyId, key)
    expect((await exchange(await assertion())).status).toBe(200)
  })

  test('an uploaded key outside the time of its certificate', async () => {
    const uploaded = { validAfterTime: '2025-01-01T00:00:00Z', validBeforeTime: '2026-01-01T00:00:00Z' }
    keepKey(issuer.state, account, { ...key, uploaded })
    expect(await exchange(await assertion())).toEqual(invalidGrant('Invalid JWT Signature.'))
    keepKey(issuer.state, account, key)
  })

  test.each([
    { iat: undefined, sentence: 'Invalid JWT: iat (issued at) is not set.' },
    { exp: undefined, sentence: 'Invalid JWT: exp (expiration time) is not set.' },
    { exp: NOW + 3601, sentence: TIMES },
    { iat: NOW - 7200, exp: NOW - 3600, sentence: TIMES },
    { iat: NOW + 600, exp: NOW + 1200, sentence: TIMES },
    { iat: NOW, exp: NOW, sentence: TIMES },
  ])('%j', async ({ sentence, ...claims }) => {
    expect(await exchange(await assertion(claims))).toEqual(invalidGrant(sentence))
  })

  test('times may be digits in a string', async () => {
    expect((await exchange(await assertion({ iat: String(NOW), exp: String(NOW + 60) }))).status).toBe(200)
  })

  test.each(['', ' ', undefined])('scope %j and no target audience', async (scope) => {
    expect(await exchange(await assertion({ scope }))).toEqual(
      refused('invalid_scope', 'Invalid OAuth scope or ID token audience provided.'),
    )
  })

  test('acting as a person, which takes domain-wide delegation', async () => {
    const { status, body } = await exchange(await assertion({ sub: 'someone@example.com' }))
    expect([status, body.error]).toEqual([401, 'unauthorized_client'])
    expect((await exchange(await assertion({ sub: account.email }))).status).toBe(200)
  })
})
