import { afterAll, beforeAll, expect, test } from 'bun:test'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { mintIdToken } from '../../tokens/mint.ts'
import { GCLOUD, type Issuer, OWNER, openIssuer, SCOPES } from './issuer.fixture.ts'

const START = Date.UTC(2026, 0, 1)
const PATHS = ['/tokeninfo', '/oauth2/v1/tokeninfo', '/oauth2/v3/tokeninfo']
const subject = { email: 'a@demo-project.iam.gserviceaccount.com', uniqueId: '123456789012345678901' }

let issuer: Issuer
beforeAll(async () => {
  issuer = await openIssuer(START)
})
afterAll(() => issuer.state.close())

function userToken(scopes = SCOPES): string {
  const { email, uniqueId } = issuer.state.user(OWNER)
  const holder = { member: `user:${email}`, email, uniqueId, scopes: scopes.split(' '), clientId: GCLOUD }
  return issuer.state.issueAccessToken(holder).token
}

async function json(response: Response) {
  return { status: response.status, body: JSON.parse(await response.text()) }
}

for (const path of PATHS) {
  test(`facts 3: ${path} tells an ID token's claims and header, every value a string, by GET and POST`, async () => {
    const { token } = await mintIdToken(issuer.state.keys, START, { subject, audience: 'https://x' })
    const { kid = '' } = decodeProtectedHeader(token)
    const { iat, exp } = decodeJwt(token)
    const expected = {
      iss: 'https://accounts.google.com',
      azp: subject.uniqueId,
      aud: 'https://x',
      sub: subject.uniqueId,
      email: subject.email,
      email_verified: 'true',
      iat: String(iat),
      exp: String(exp),
      alg: 'RS256',
      kid,
      typ: 'JWT',
    }
    for (const response of [
      await issuer.get(`${path}?id_token=${token}`),
      await issuer.post(path, { id_token: token }),
    ]) {
      expect(await json(response)).toEqual({ status: 200, body: expected })
    }
  })

  test(`facts 3, 6.8: ${path} answers whatever is wrong with a token with 400 invalid_token`, async () => {
    const { token } = await mintIdToken(issuer.state.keys, START - 3_600_000, {
      subject,
      audience: 'https://x',
    })
    const queries = [`id_token=${token}`, 'id_token=nonsense', 'access_token=ya29.nonsense', 'id_token=a.b.c']
    for (const query of queries) {
      expect(await json(await issuer.get(`${path}?${query}`))).toEqual({
        status: 400,
        body: { error: 'invalid_token', error_description: 'Invalid Value' },
      })
    }
    expect((await issuer.get(path)).status).toBe(400)
  })
}

test('an access token is told as strings: of a person with its client, of a service account as its own client', async () => {
  const { uniqueId } = issuer.state.user(OWNER)
  expect((await json(await issuer.get(`/tokeninfo?access_token=${userToken()}`))).body).toEqual({
    azp: GCLOUD,
    aud: GCLOUD,
    sub: uniqueId,
    scope: SCOPES,
    exp: String(START / 1000 + 3600),
    expires_in: '3599',
    email: OWNER,
    email_verified: 'true',
    access_type: 'offline',
  })
  const scopes = ['https://www.googleapis.com/auth/cloud-platform']
  const holder = { member: `serviceAccount:${subject.email}`, ...subject, scopes }
  const { token } = issuer.state.issueAccessToken(holder)
  expect((await json(await issuer.post('/tokeninfo', { access_token: token }))).body).toEqual({
    azp: subject.uniqueId,
    aud: subject.uniqueId,
    scope: scopes[0],
    exp: String(START / 1000 + 3600),
    expires_in: '3599',
    access_type: 'online',
  })
})

test('userinfo says who holds an access token, as far as its scopes go', async () => {
  const { uniqueId } = issuer.state.user(OWNER)
  for (const path of ['/v1/userinfo', '/oauth2/v3/userinfo']) {
    const header = { Authorization: `Bearer ${userToken()}` }
    expect(await json(await issuer.get(path, header))).toEqual({
      status: 200,
      body: { sub: uniqueId, email: OWNER, email_verified: true },
    })
    const narrow = { Authorization: `Bearer ${userToken('openid')}` }
    expect((await json(await issuer.get(path, narrow))).body).toEqual({ sub: uniqueId })
    const wrong = await issuer.get(path, { Authorization: 'Bearer ya29.nonsense' })
    expect(wrong.status).toBe(401)
    expect(wrong.headers.get('WWW-Authenticate')).toContain('error="invalid_token"')
    expect((await issuer.get(path)).status).toBe(401)
  }
})

test('the older userinfo says it in the older words', async () => {
  const { uniqueId } = issuer.state.user(OWNER)
  for (const path of ['/oauth2/v1/userinfo', '/oauth2/v2/userinfo']) {
    const header = { Authorization: `Bearer ${userToken()}` }
    expect(await json(await issuer.get(path, header))).toEqual({
      status: 200,
      body: { id: uniqueId, email: OWNER, verified_email: true },
    })
    expect((await issuer.get(path)).status).toBe(401)
  }
})
