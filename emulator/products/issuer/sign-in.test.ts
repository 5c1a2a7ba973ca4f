import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { GCLOUD, type Issuer, OWNER, openIssuer, SCOPES } from './issuer.fixture.ts'

const START = Date.UTC(2026, 0, 1)
const REDIRECT = 'http://localhost:8085/'
const VERIFIER = 'v'.repeat(64)
const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url')

let issuer: Issuer
beforeAll(async () => {
  issuer = await openIssuer(START)
})
afterAll(() => issuer.state.close())

/** What gcloud asks for. */
const ASKED = {
  response_type: 'code',
  client_id: GCLOUD,
  redirect_uri: REDIRECT,
  scope: SCOPES,
  state: 'opaque state',
  access_type: 'offline',
  code_challenge: CHALLENGE,
  code_challenge_method: 'S256',
}

function open(change: Record<string, string | undefined> = {}, on = issuer): Promise<Response> {
  const asked = Object.entries({ ...ASKED, ...change }).filter(
    (pair): pair is [string, string] => pair[1] !== undefined,
  )
  return on.get(`/o/oauth2/auth?${new URLSearchParams(asked)}`)
}

async function code(change: Record<string, string | undefined> = {}, on = issuer): Promise<string> {
  const response = await open(change, on)
  expect(response.status).toBe(302)
  return new URL(response.headers.get('Location') ?? '').searchParams.get('code') ?? ''
}

async function token(form: Record<string, string>, on = issuer, path = '/token') {
  const response = await on.post(path, { client_id: GCLOUD, client_secret: 'notasecret', ...form })
  const body = await response.text()
  return { status: response.status, body: JSON.parse(body), text: body, headers: response.headers }
}

const exchange = (given: string, change: Record<string, string> = {}, on = issuer) =>
  token(
    {
      grant_type: 'authorization_code',
      code: given,
      redirect_uri: REDIRECT,
      code_verifier: VERIFIER,
      ...change,
    },
    on,
  )

describe("gcloud's facts 2: the sign-in page", () => {
  for (const path of ['/o/oauth2/auth', '/o/oauth2/v2/auth']) {
    test(`gcloud's facts 2: ${path} sends the browser back with code, state and scope`, async () => {
      const response = await issuer.get(`${path}?${new URLSearchParams(ASKED)}`)
      expect(response.status).toBe(302)
      const location = new URL(response.headers.get('Location') ?? '')
      expect(`${location.origin}${location.pathname}`).toBe(REDIRECT)
      expect([...location.searchParams.keys()]).toEqual(['code', 'state', 'scope', 'authuser', 'prompt'])
      expect(location.searchParams.get('state')).toBe('opaque state')
      expect(location.searchParams.get('scope')).toBe(SCOPES)
      expect(location.searchParams.get('code')).toStartWith('4/0')
      expect(response.headers.get('Cache-Control')).toBe('no-store')
    })
  }

  test('a code leaves only to this machine: every other address is a page, not a redirect', async () => {
    for (const redirect_uri of [
      'https://evil.example/',
      'http://localhost.evil.example/',
      'http://localhost@evil.example/',
      'http://user:pass@localhost/',
      'http://127.0.0.1.evil.example:8085/',
      'http://10.0.0.1/',
      'javascript:alert(1)',
      'https://sdk.cloud.google.com/other.html',
      'nonsense',
    ]) {
      const response = await open({ redirect_uri })
      expect([redirect_uri, response.status]).toEqual([redirect_uri, 400])
      expect(response.headers.has('Location')).toBe(false)
      expect(await response.text()).toContain('Error 400: redirect_uri_mismatch')
    }
    for (const redirect_uri of ['http://127.0.0.1:9/x?keep=1', 'http://[::1]:8085/', 'http://localhost:1/']) {
      const location = (await open({ redirect_uri })).headers.get('Location') ?? ''
      expect(location).toStartWith(redirect_uri)
    }
  })

  test('where there is no way back, a page shows the code, and the code works', async () => {
    for (const redirect_uri of [
      'https://sdk.cloud.google.com/authcode.html',
      'https://sdk.cloud.google.com/applicationdefaultauthcode.html',
      'urn:ietf:wg:oauth:2.0:oob',
    ]) {
      const response = await open({ redirect_uri })
      expect(response.status).toBe(200)
      expect(response.headers.get('Content-Type')).toStartWith('text/html')
      const shown = /<pre>(.+)<\/pre>/.exec(await response.text())?.[1] ?? ''
      expect((await exchange(shown, { redirect_uri })).status).toBe(200)
    }
  })

  test('a parameter that is missing or wrong is named on the page', async () => {
    for (const name of ['client_id', 'redirect_uri', 'response_type', 'scope']) {
      const response = await open({ [name]: undefined })
      expect(response.status).toBe(400)
      expect(await response.text()).toContain(`Missing required parameter: ${name}`)
    }
    expect((await open({ response_type: 'token' })).status).toBe(400)
    expect((await open({ code_challenge: 'short' })).status).toBe(400)
    expect((await open({ code_challenge_method: 'S512' })).status).toBe(400)
  })

  test('login_hint picks the account, otherwise the owner signs in; a service account never does', async () => {
    const email = async (login_hint?: string) =>
      decodeJwt((await exchange(await code({ login_hint }))).body.id_token).email
    expect(await email()).toBe(OWNER)
    expect(await email('Someone@Example.com')).toBe('someone@example.com')
    expect(await email(issuer.state.user('someone@example.com').uniqueId)).toBe('someone@example.com')
    expect(await email('not an address')).toBe(OWNER)
    expect(await email('123456789012-compute@developer.gserviceaccount.com')).toBe(OWNER)
  })
})

describe("gcloud's facts 2: the token endpoint", () => {
  test("gcloud's facts 2: a code becomes access, refresh and ID token; scope is left out", async () => {
    const { status, body, headers } = await exchange(await code({ nonce: 'n-1' }))
    expect(status).toBe(200)
    expect(headers.get('Content-Type')).toBe('application/json; charset=utf-8')
    expect(headers.get('Cache-Control')).toContain('no-store')
    expect(Object.keys(body)).toEqual([
      'access_token',
      'expires_in',
      'refresh_token',
      'token_type',
      'id_token',
    ])
    expect(body).toMatchObject({ expires_in: 3599, token_type: 'Bearer' })
    const { uniqueId } = issuer.state.user(OWNER)
    const half = createHash('sha256').update(body.access_token).digest().subarray(0, 16)
    expect(decodeJwt(body.id_token)).toEqual({
      iss: 'https://accounts.google.com',
      azp: GCLOUD,
      aud: GCLOUD,
      sub: uniqueId,
      email: OWNER,
      email_verified: true,
      at_hash: half.toString('base64url'),
      nonce: 'n-1',
      iat: issuer.now / 1000,
      exp: issuer.now / 1000 + 3600,
    })
    expect(issuer.state.accessToken(body.access_token)).toMatchObject({
      member: `user:${OWNER}`,
      email: OWNER,
      uniqueId,
      clientId: GCLOUD,
      scopes: SCOPES.split(' '),
    })
  })

  test('what is not asked for is not told: no openid no ID token, no email scope no email', async () => {
    const plain = await exchange(await code({ scope: 'https://www.googleapis.com/auth/cloud-platform' }))
    expect(plain.body).not.toHaveProperty('id_token')
    const nameless = await exchange(await code({ scope: 'openid' }))
    expect(decodeJwt(nameless.body.id_token)).not.toHaveProperty('email')
  })

  const refused = (error: string, error_description: string) => ({ error, error_description })

  test('a code works once, for ten minutes', async () => {
    const once = await code()
    expect((await exchange(once)).status).toBe(200)
    const again = await exchange(once)
    expect([again.status, again.body]).toEqual([400, refused('invalid_grant', 'Bad Request')])
    const late = await code()
    issuer.now += 10 * 60_000
    expect((await exchange(late)).body).toEqual(refused('invalid_grant', 'Bad Request'))
    expect((await exchange('4/0made-up')).body).toEqual(refused('invalid_grant', 'Malformed auth code.'))
  })

  test('two that race for one code: one gets it', async () => {
    const one = await code()
    const results = await Promise.all([exchange(one), exchange(one)])
    expect(results.map((result) => result.status).sort()).toEqual([200, 400])
  })

  test('PKCE is checked, S256 and plain', async () => {
    const s256 = await code()
    const wrong = await exchange(s256, { code_verifier: 'w'.repeat(64) })
    expect(wrong.body).toEqual(refused('invalid_grant', 'Invalid code verifier.'))
    expect((await exchange(s256, { code_verifier: CHALLENGE })).status).toBe(400)
    const missing = await exchange(s256, { code_verifier: '' })
    expect(missing.body).toEqual(refused('invalid_grant', 'Missing code verifier.'))
    expect((await exchange(s256)).status).toBe(200)

    const plain = { code_challenge: VERIFIER, code_challenge_method: 'plain' }
    expect((await exchange(await code(plain), { code_verifier: 'w'.repeat(64) })).status).toBe(400)
    expect((await exchange(await code(plain))).status).toBe(200)
    // RFC 7636 section 4.3: plain where no method is named.
    expect((await exchange(await code({ ...plain, code_challenge_method: undefined }))).status).toBe(200)
  })

  test('a code is for the client and the redirect URI that it was asked with', async () => {
    const given = await code()
    const elsewhere = await exchange(given, { redirect_uri: 'http://localhost:8086/' })
    expect([elsewhere.status, elsewhere.body.error]).toEqual([400, 'redirect_uri_mismatch'])
    const foreign = await exchange(given, { client_id: 'other' })
    expect([foreign.status, foreign.body]).toEqual([401, refused('unauthorized_client', 'Unauthorized')])
    expect((await exchange(given)).status).toBe(200)
  })

  test('a refresh token gives fresh access and ID tokens, narrower if asked, never wider', async () => {
    const first = (await exchange(await code())).body
    issuer.now += 1000
    const refresh = (more: Record<string, string> = {}) =>
      token({ grant_type: 'refresh_token', refresh_token: first.refresh_token, ...more })
    const second = await refresh()
    expect(second.status).toBe(200)
    expect(Object.keys(second.body)).toEqual(['access_token', 'expires_in', 'token_type', 'id_token'])
    expect(second.body.access_token).not.toBe(first.access_token)
    expect(decodeJwt(second.body.id_token)).toMatchObject({ aud: GCLOUD, email: OWNER })
    const narrow = (await refresh({ scope: 'openid email' })).body
    expect(issuer.state.accessToken(narrow.access_token)?.scopes).toEqual(['openid', 'email'])
    const wider = await refresh({ scope: `${SCOPES} https://www.googleapis.com/auth/drive` })
    expect([wider.status, wider.body.error]).toEqual([400, 'invalid_scope'])
    expect((await refresh({ client_id: 'other' })).body.error).toBe('unauthorized_client')
    const unknown = await refresh({ refresh_token: '1//0made-up' })
    expect([unknown.status, unknown.body]).toEqual([400, refused('invalid_grant', 'Bad Request')])
  })

  test('the client may name itself by HTTP Basic, and on the older path', async () => {
    const given = await code()
    const basic = Buffer.from(`${GCLOUD}:secret`).toString('base64')
    const form = {
      grant_type: 'authorization_code',
      code: given,
      redirect_uri: REDIRECT,
      code_verifier: VERIFIER,
    }
    const none = await issuer.post('/oauth2/v4/token', form)
    expect([none.status, JSON.parse(await none.text())]).toEqual([
      400,
      refused('invalid_request', 'Could not determine client ID from request.'),
    ])
    const broken = await issuer.post('/token', form, { Authorization: 'Basic !' })
    expect([broken.status, JSON.parse(await broken.text()).error]).toEqual([401, 'invalid_client'])
    const good = await issuer.post('/oauth2/v4/token', form, { Authorization: `Basic ${basic}` })
    expect(good.status).toBe(200)
  })

  test('a grant type that is not answered here says so', async () => {
    for (const grant_type of ['urn:ietf:params:oauth:grant-type:device_code', 'password', 'constructor']) {
      const { status, body } = await token({ grant_type })
      expect([status, body]).toEqual([
        400,
        refused('unsupported_grant_type', `Invalid grant_type: ${grant_type}`),
      ])
    }
    expect((await token({})).body.error).toBe('unsupported_grant_type')
    const missing = await token({ grant_type: 'refresh_token' })
    expect(missing.body).toEqual(refused('invalid_request', 'Missing required parameter: refresh_token'))
  })

  test('a refresh token survives a restart, and no raw secret is in the data folder', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'issuer-'))
    const before = await openIssuer(START, folder)
    const { refresh_token, access_token } = (await exchange(await code({}, before), {}, before)).body
    before.state.close()
    const after = await openIssuer(START + 60_000, folder)
    const refreshed = await token({ grant_type: 'refresh_token', refresh_token }, after)
    expect(refreshed.status).toBe(200)
    after.state.close()
    const file = await Bun.file(join(folder, 'invoker.sqlite')).text()
    for (const secret of [refresh_token, access_token]) expect(file).not.toContain(secret)
    rmSync(folder, { recursive: true })
  })
})

describe('revocation', () => {
  const bearer = (accessToken: string) => ({ Authorization: `Bearer ${accessToken}` })

  for (const which of ['refresh_token', 'access_token']) {
    test(`revoking the ${which} ends everything of its sign-in, and nothing else`, async () => {
      const [mine, other] = [(await exchange(await code())).body, (await exchange(await code())).body]
      const response = await issuer.post('/revoke', { token: mine[which] })
      expect([response.status, await response.text()]).toEqual([200, '{}\n'])
      expect((await issuer.get('/v1/userinfo', bearer(mine.access_token))).status).toBe(401)
      const form = { grant_type: 'refresh_token', refresh_token: mine.refresh_token }
      expect((await token(form)).body.error).toBe('invalid_grant')
      expect((await issuer.get('/v1/userinfo', bearer(other.access_token))).status).toBe(200)
    })
  }

  test('an unknown token is invalid_token', async () => {
    const response = await issuer.post('/revoke', { token: 'made-up' })
    expect([response.status, JSON.parse(await response.text()).error]).toEqual([400, 'invalid_token'])
    expect((await issuer.post('/revoke', {})).status).toBe(400)
  })
})
