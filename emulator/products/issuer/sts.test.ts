import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { goodToken, hostileTokens } from '../../../trust/hostile-tokens.ts'
import { poolName, putProviders } from '../../state/federation.ts'
import type { WorkloadIdentityPoolProvider } from '../../state/resources.ts'
import { type Issuer, openIssuer } from './issuer.fixture.ts'
import { createIssuer } from './issuer.ts'

const START = Date.UTC(2026, 0, 1)
const NOW = START / 1000
const POOL = poolName('123456789012', 'ci-pool')
const NAME = `${POOL}/providers/oidc`
const AUDIENCE = `//iam.googleapis.com/${NAME}`
const ISSUER = 'https://issuer.example.com'
const PLATFORM = 'https://www.googleapis.com/auth/cloud-platform'
const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:'
const GONE =
  'The target service indicated by the "audience" parameters is invalid. This might either be because the pool or provider is disabled or deleted or because it doesn\'t exist.'
const UNREACHABLE = "Error connecting to the given credential's issuer."

const pair = await generateKeyPair('RS256', { extractable: true })
const elliptic = await generateKeyPair('ES256', { extractable: true })
const foreign = await generateKeyPair('RS256')
const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }
const ellipticJwk = { ...(await exportJWK(elliptic.publicKey)), kid: 'two', alg: 'ES256', use: 'sig' }
const jwksJson = JSON.stringify({ keys: [jwk, ellipticJwk] })

const PROVIDER: WorkloadIdentityPoolProvider = {
  name: NAME,
  displayName: '',
  description: '',
  disabled: false,
  attributeMapping: { 'google.subject': 'assertion.sub' },
  attributeCondition: '',
  oidc: { issuerUri: ISSUER, allowedAudiences: [], jwksJson },
}

let issuer: Issuer
const lines: string[] = []
beforeAll(async () => {
  issuer = await openIssuer(START)
})
afterAll(() => issuer.state.close())
beforeEach(() => {
  issuer.now = START
  lines.length = 0
  provide({})
  issuer.state.workloadIdentityPools.put(POOL, {
    name: POOL,
    displayName: '',
    description: '',
    disabled: false,
  })
})

const provide = (changes: Partial<WorkloadIdentityPoolProvider>) =>
  putProviders(issuer.state, [{ ...PROVIDER, ...changes }])

/** A token of the outside issuer; a claim that is `undefined` is left out. */
function subjectToken(
  claims: object = {},
  key = pair.privateKey,
  header: { alg?: string; kid?: string } = {},
) {
  const all = {
    iss: ISSUER,
    aud: `https://iam.googleapis.com/${NAME}`,
    sub: 'someone',
    iat: NOW,
    exp: NOW + 3600,
  }
  const payload: JWTPayload = JSON.parse(JSON.stringify({ ...all, ...claims }))
  return new SignJWT(payload).setProtectedHeader({ alg: 'RS256', kid: 'one', ...header }).sign(key)
}

async function ask(body: string, type: string, host = 'sts.googleapis.com') {
  const app = createIssuer({ state: issuer.state, log: (line) => lines.push(line) })
  const response = await app.fetch(
    new Request(`https://${host}/v1/token`, { method: 'POST', body, headers: { 'Content-Type': type } }),
    { host, scheme: 'https', peer: { address: '127.0.0.1' } },
  )
  const text = await response.text()
  // biome-ignore lint/suspicious/noExplicitAny: a test reads any part of an answer, and fails where it is not there
  return { status: response.status, text, body: JSON.parse(text) as any }
}

const form = (token: string, changes: Record<string, string> = {}) => ({
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  requested_token_type: `${TOKEN_TYPE}access_token`,
  audience: AUDIENCE,
  scope: PLATFORM,
  subject_token_type: `${TOKEN_TYPE}jwt`,
  subject_token: token,
  ...changes,
})
const exchange = (token: string, changes?: Record<string, string>) =>
  ask(new URLSearchParams(form(token, changes)).toString(), 'application/x-www-form-urlencoded')

const refused = (error: string, error_description: string) => ({
  status: 400,
  body: { error, error_description },
  text: JSON.stringify({ error, error_description }),
})
const invalidGrant = (sentence: string) => refused('invalid_grant', sentence)

describe('facts 4: an outside token becomes a federated access token', () => {
  test("with the members of Google's answer, for the principal of the mapped subject", async () => {
    const { status, body } = await exchange(await subjectToken())
    expect(status).toBe(200)
    expect(Object.keys(body)).toEqual(['access_token', 'issued_token_type', 'token_type', 'expires_in'])
    expect(body).toMatchObject({
      issued_token_type: `${TOKEN_TYPE}access_token`,
      token_type: 'Bearer',
      expires_in: 3599,
    })
    expect(issuer.state.accessToken(body.access_token)).toEqual({
      member: `principal://iam.googleapis.com/${POOL}/subject/someone`,
      scopes: [PLATFORM],
      federation: { groups: [], attributes: {} },
      expireTime: START + 3_600_000,
    })
  })

  test('asked with a form, or with JSON in either spelling', async () => {
    const asked = form(await subjectToken(), { subject_token_type: `${TOKEN_TYPE}id_token` })
    const camel = Object.fromEntries(
      Object.entries(asked).map(([name, value]) => [
        name.replace(/_(.)/g, (_, c: string) => c.toUpperCase()),
        value,
      ]),
    )
    expect((await ask(JSON.stringify(asked), 'application/json')).status).toBe(200)
    expect((await ask(JSON.stringify(camel), 'application/json')).status).toBe(200)
  })

  test('groups and attributes come along', async () => {
    provide({
      attributeMapping: {
        'google.subject': 'assertion.sub',
        'google.groups': 'assertion.groups',
        'attribute.repository': 'assertion.repository',
      },
    })
    const { body } = await exchange(await subjectToken({ groups: ['a', 'b'], repository: 'acme/shop' }))
    expect(issuer.state.accessToken(body.access_token)?.federation).toEqual({
      groups: ['a', 'b'],
      attributes: { repository: 'acme/shop' },
    })
  })

  test('as long as the token that came, an hour at most', async () => {
    for (const [exp, expires] of [
      [NOW + 600, 599],
      [NOW + 86_400, 3599],
      [NOW - 59, 59],
      [NOW + 2, 1],
    ]) {
      const { body } = await exchange(await subjectToken({ exp, iat: NOW - 3600 }))
      expect(body.expires_in).toBe(expires)
    }
    const { status, body } = await exchange(await subjectToken({ exp: NOW + 1 }))
    expect([status, 'expires_in' in body]).toEqual([200, false])
  })

  test('ES256, a key that its kid does not name, and a list of audiences', async () => {
    const es256 = await subjectToken({}, elliptic.privateKey, { alg: 'ES256', kid: 'two' })
    expect((await exchange(es256)).status).toBe(200)
    const nameless = await new SignJWT({
      iss: ISSUER,
      sub: 's',
      aud: ['x', AUDIENCE],
      iat: NOW,
      exp: NOW + 60,
    })
      .setProtectedHeader({ alg: 'RS256' })
      .sign(pair.privateKey)
    expect((await exchange(nameless)).status).toBe(200)
  })

  test('allowed audiences stand in place of the default ones', async () => {
    provide({ oidc: { ...PROVIDER.oidc, allowedAudiences: ['my-audience'] } })
    expect((await exchange(await subjectToken({ aud: 'my-audience' }))).status).toBe(200)
    expect((await exchange(await subjectToken())).status).toBe(400)
  })

  test('tokeninfo does not know it', async () => {
    const { body } = await exchange(await subjectToken())
    expect((await issuer.get(`/tokeninfo?access_token=${body.access_token}`)).status).toBe(400)
  })
})

describe('an issuer that is asked for its keys', () => {
  const hits: string[] = []
  const keys = { keys: [jwk] as object[] }
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: ({ url }) => {
      const { pathname, origin } = new URL(url)
      hits.push(pathname)
      if (pathname === '/.well-known/openid-configuration')
        return Response.json({ issuer: origin, jwks_uri: `${origin}/keys` })
      return pathname === '/keys' ? Response.json(keys) : new Response(null, { status: 404 })
    },
  })
  const issuerUri = server.url.origin
  afterAll(() => server.stop(true))

  test('by its discovery document, once for many tokens', async () => {
    provide({ oidc: { issuerUri, allowedAudiences: [] } })
    const app = createIssuer({ state: issuer.state })
    for (let turn = 0; turn < 3; turn += 1) {
      const response = await app.fetch(
        new Request('https://sts.googleapis.com/v1/token', {
          method: 'POST',
          body: new URLSearchParams(form(await subjectToken({ iss: issuerUri }))),
        }),
        { host: 'sts.googleapis.com', scheme: 'https', peer: { address: '127.0.0.1' } },
      )
      expect(response.status).toBe(200)
    }
    expect(hits).toEqual(['/.well-known/openid-configuration', '/keys'])
  })

  test('one that cannot be reached is named in the log, not in the answer', async () => {
    provide({ oidc: { issuerUri: 'http://127.0.0.1:1', allowedAudiences: [] } })
    expect(await exchange(await subjectToken({ iss: 'http://127.0.0.1:1' }))).toEqual(
      invalidGrant(UNREACHABLE),
    )
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('http://127.0.0.1:1')
    provide({ oidc: { issuerUri: `${issuerUri}/nothing`, allowedAudiences: [] } })
    expect(await exchange(await subjectToken({ iss: `${issuerUri}/nothing` }))).toEqual(
      invalidGrant(UNREACHABLE),
    )
  })
})

describe("what is refused, in Google's words", () => {
  test('facts 4: an audience that names no provider', async () => {
    const sentence =
      'Invalid value for "audience". This value should be the full resource name of the Identity Provider. See https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token for the list of possible formats.'
    for (const audience of ['', 'x', NAME, `//iam.googleapis.com/${POOL}`])
      expect(await exchange(await subjectToken(), { audience })).toEqual(refused('invalid_request', sentence))
  })

  test('a provider or pool that is missing, disabled or deleted, and a project id in place of its number', async () => {
    const gone = refused('invalid_target', GONE)
    const token = await subjectToken()
    expect(await exchange(token, { audience: `${AUDIENCE}2` })).toEqual(gone)
    expect(await exchange(token, { audience: AUDIENCE.replace('123456789012', 'demo-project') })).toEqual(
      gone,
    )
    provide({ disabled: true })
    expect(await exchange(token)).toEqual(gone)
    provide({ expireTime: '2026-02-01T00:00:00Z' })
    expect(await exchange(token)).toEqual(gone)
    provide({})
    const pool = { name: POOL, displayName: '', description: '' }
    issuer.state.workloadIdentityPools.put(POOL, { ...pool, disabled: true })
    expect(await exchange(token)).toEqual(gone)
    issuer.state.workloadIdentityPools.put(POOL, {
      ...pool,
      disabled: false,
      expireTime: '2026-02-01T00:00:00Z',
    })
    expect(await exchange(token)).toEqual(gone)
  })

  test.each([
    [
      { iss: 'https://other' },
      `The issuer in ID Token https://other does not match the expected one in config: ${ISSUER}.`,
    ],
    [{ iss: undefined }, `The issuer in ID Token null does not match the expected one in config: ${ISSUER}.`],
    [{ aud: 'other' }, 'The audience in ID Token [other] does not match the expected audience.'],
    [{ aud: undefined }, 'The audience in ID Token [] does not match the expected audience.'],
    [{ iat: undefined }, 'ID Token issued at null is stale to sign-in.'],
    [{ exp: undefined }, `ID Token issued at ${NOW} is stale to sign-in.`],
    [{ iss: [ISSUER] }, `The issuer in ID Token null does not match the expected one in config: ${ISSUER}.`],
    [
      { aud: [{ toString: 1, valueOf: 1 }] },
      'The audience in ID Token [] does not match the expected audience.',
    ],
    [{ aud: 7 }, 'The audience in ID Token [] does not match the expected audience.'],
    [{ exp: String(NOW + 3600) }, `ID Token issued at ${NOW} is stale to sign-in.`],
    [{ iat: NOW - 3600, exp: NOW - 61 }, `ID Token issued at ${NOW - 3600} is stale to sign-in.`],
    [{ iat: NOW + 119 }, `ID Token issued at ${NOW + 119} is stale to sign-in.`],
  ])('%j: %s', async (claims, sentence) => {
    expect(await exchange(await subjectToken(claims))).toEqual(invalidGrant(sentence))
  })

  test('a foreign key under our kid, an unknown kid, another algorithm, no JWT', async () => {
    const bad = invalidGrant('Unable to verify the ID Token signature.')
    expect(await exchange(await subjectToken({}, foreign.privateKey))).toEqual(bad)
    expect(await exchange(await subjectToken({}, pair.privateKey, { kid: 'three' }))).toEqual(
      invalidGrant(UNREACHABLE),
    )
    const [, payload = ''] = (await subjectToken()).split('.')
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    expect(await exchange(`${none}.${payload}.`)).toEqual(bad)
    const hmac = await new SignJWT(JSON.parse(Buffer.from(payload, 'base64url').toString()))
      .setProtectedHeader({ alg: 'HS256', kid: 'one' })
      .sign(Buffer.from(jwk.n ?? '', 'base64url'))
    expect(await exchange(hmac)).toEqual(bad)
    const good = await subjectToken()
    for (const text of ['x', `${good}==`, good.replace('.', '=.')])
      expect(await exchange(text)).toEqual(invalidGrant('Unable to parse the ID Token.'))
  })

  test('whatever types its claims have, and however it is written, a token is answered and never a fault', async () => {
    const original = {
      header: { alg: 'RS256', kid: 'one' },
      claims: { iss: ISSUER, aud: AUDIENCE, sub: 'someone', iat: NOW, exp: NOW + 3600 },
      key: createPrivateKey({ key: { ...(await exportJWK(pair.privateKey)) }, format: 'jwk' }),
    }
    expect((await exchange(goodToken(original))).status).toBe(200)
    await fc.assert(
      fc.asyncProperty(hostileTokens(original), async ({ what, token }) => {
        const { status } = await exchange(token)
        // Google's claims of a person mean nothing here; a subject may be a number, and an audience a list with ours in it.
        const free = /^(email|email_verified|azp|nbf|sub): |^aud: \[/.test(what)
        expect([what, status]).toEqual([what, free && status === 200 ? 200 : 400])
      }),
      { numRuns: 200 },
    )
  })

  test('a key of its issuer that is weak verifies nothing', async () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 })
    const weakJwk = { ...weak.publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'RS256' }
    provide({ oidc: { ...PROVIDER.oidc, jwksJson: JSON.stringify({ keys: [weakJwk] }) } })
    const claims = { iss: ISSUER, aud: AUDIENCE, sub: 'someone', iat: NOW, exp: NOW + 3600 }
    const token = goodToken({ header: { alg: 'RS256', kid: 'one' }, claims, key: weak.privateKey })
    expect(await exchange(token)).toEqual(invalidGrant(UNREACHABLE))
  })

  test('an identity that the condition does not take, or that has no subject, or too long a one', async () => {
    const rejected = refused(
      'unauthorized_client',
      'The given credential is rejected by the attribute condition.',
    )
    provide({ attributeCondition: "assertion.sub == 'someone else'" })
    expect(await exchange(await subjectToken())).toEqual(rejected)
    expect(await exchange(await subjectToken({ sub: undefined }))).toEqual(rejected)
    provide({})
    expect(await exchange(await subjectToken({ sub: undefined }))).toEqual(
      refused(
        'unauthorized_client',
        'Could not obtain a value for google.subject from the given credential.',
      ),
    )
    expect((await exchange(await subjectToken({ sub: 'ä'.repeat(63) }))).status).toBe(200)
    const { body } = await exchange(await subjectToken({ sub: 'ä'.repeat(64) }))
    expect(body).toEqual({
      error: 'invalid_request',
      error_description:
        'The size of mapped attribute google.subject exceeds the 127 bytes limit. Either modify your attribute mapping or the incoming assertion to produce a mapped attribute that is less than 127 bytes.',
    })
  })

  test('AWS and SAML tokens, and requests that lack something', async () => {
    for (const type of ['saml2', 'access_token'])
      expect(
        (await exchange(await subjectToken(), { subject_token_type: TOKEN_TYPE + type })).body
          .error_description,
      ).toContain('OIDC')
    for (const name of ['grant_type', 'requested_token_type', 'scope', 'subject_token']) {
      const { status, body } = await exchange(await subjectToken(), { [name]: '' })
      expect([status, body.error]).toEqual([400, 'invalid_request'])
      expect(body.error_description).toStartWith(`Invalid value for "${name}".`)
    }
  })

  test("another of Google's names does not answer here", async () => {
    const body = new URLSearchParams(form(await subjectToken())).toString()
    const type = 'application/x-www-form-urlencoded'
    expect((await ask(body, type, 'oauth2.googleapis.com')).status).toBe(404)
    expect((await ask(body, type, 'localhost')).status).toBe(200)
  })
})
