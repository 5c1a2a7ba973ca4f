import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { X509Certificate } from 'node:crypto'
import { compactVerify, decodeProtectedHeader, importJWK, importX509, type JWK } from 'jose'
import { ROTATION_PERIOD } from '../../tokens/keys.ts'
import { mintIdToken } from '../../tokens/mint.ts'
import { type Issuer, openIssuer } from './issuer.fixture.ts'

const START = Date.UTC(2026, 0, 1)
const subject = { email: 'a@demo-project.iam.gserviceaccount.com', uniqueId: '123456789012345678901' }

let issuer: Issuer
beforeAll(async () => {
  issuer = await openIssuer(START)
})
afterAll(() => issuer.state.close())

async function published(path: string) {
  const response = await issuer.get(path)
  expect(response.status).toBe(200)
  const age = /max-age=(\d+)/.exec(response.headers.get('Cache-Control') ?? '')?.[1]
  return { body: JSON.parse(await response.text()), age: Number(age), headers: response.headers }
}

describe('facts 3: what the issuer publishes', () => {
  test('facts 3: the discovery document, to the letter and in its order', async () => {
    const { body, headers } = await published('/.well-known/openid-configuration')
    expect(headers.get('Content-Type')).toBe('application/json')
    expect(JSON.stringify(body)).toBe(
      JSON.stringify({
        issuer: 'https://accounts.google.com',
        authorization_endpoint: 'https://accounts.google.com/o/oauth2/v2/auth',
        device_authorization_endpoint: 'https://oauth2.googleapis.com/device/code',
        token_endpoint: 'https://oauth2.googleapis.com/token',
        userinfo_endpoint: 'https://openidconnect.googleapis.com/v1/userinfo',
        revocation_endpoint: 'https://oauth2.googleapis.com/revoke',
        jwks_uri: 'https://www.googleapis.com/oauth2/v3/certs',
        response_types_supported:
          'code,token,id_token,code token,code id_token,token id_token,code token id_token,none'.split(','),
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256'],
        scopes_supported: ['openid', 'email', 'profile'],
        token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
        claims_supported:
          'aud,email,email_verified,exp,family_name,given_name,iat,iss,name,picture,sub'.split(','),
        code_challenge_methods_supported: ['plain', 'S256'],
        grant_types_supported: [
          'authorization_code',
          'refresh_token',
          'urn:ietf:params:oauth:grant-type:device_code',
          'urn:ietf:params:oauth:grant-type:jwt-bearer',
        ],
      }),
    )
  })

  test('facts 3, 6.8: the key set has two keys of six members each, and never a private one', async () => {
    const { body, headers } = await published('/oauth2/v3/certs')
    expect(headers.get('Content-Type')).toBe('application/json; charset=UTF-8')
    expect(Object.keys(body)).toEqual(['keys'])
    expect(body.keys).toHaveLength(2)
    for (const key of body.keys) {
      expect(Object.keys(key)).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use'])
      expect(key).toMatchObject({ alg: 'RS256', kty: 'RSA', use: 'sig' })
    }
  })

  test('nothing that is published holds a private member, at any depth', async () => {
    const members = (value: unknown): string[] =>
      typeof value === 'object' && value !== null
        ? Object.entries(value).flatMap(([name, member]) => [name, ...members(member)])
        : []
    const secrets = issuer.state.keys
      .published(START)
      .flatMap(({ privateJwk: { d, p, q, dp, dq, qi } }) => [d, p, q, dp, dq, qi])
    expect(secrets).toHaveLength(12)
    for (const path of ['/oauth2/v3/certs', '/oauth2/v1/certs', '/.well-known/openid-configuration']) {
      const text = await (await issuer.get(path)).text()
      expect(text).not.toContain('PRIVATE')
      for (const secret of secrets) expect(text).not.toContain(secret ?? 'none')
      for (const name of members(JSON.parse(text)))
        expect(['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth']).not.toContain(name)
    }
  })

  test('facts 3, 6.8: the certificates hold the same keys under the same kids, and verify what is minted', async () => {
    const certificates = (await published('/oauth2/v1/certs')).body
    const { keys } = (await published('/oauth2/v3/certs')).body
    expect(Object.keys(certificates)).toEqual(keys.map((key: JWK) => key.kid))
    const { token } = await mintIdToken(issuer.state.keys, START, { subject, audience: 'https://x' })
    const { kid = '' } = decodeProtectedHeader(token)
    await compactVerify(token, await importX509(certificates[kid], 'RS256'))
    await compactVerify(
      token,
      await importJWK(
        keys.find((key: JWK) => key.kid === kid),
        'RS256',
      ),
    )
    for (const pem of Object.values(certificates)) {
      const certificate = new X509Certificate(String(pem))
      expect(Date.parse(certificate.validFrom)).toBeLessThanOrEqual(START)
      expect(Date.parse(certificate.validTo)).toBeGreaterThan(START + ROTATION_PERIOD)
    }
  })

  test('facts 3, 6.8: a key set may be cached for hours, with the headers of Google, and has no ETag', async () => {
    for (const path of ['/oauth2/v3/certs', '/oauth2/v1/certs']) {
      const { headers, age } = await published(path)
      expect(age).toBe(21_600)
      const seen = Object.fromEntries(headers)
      expect(seen).toMatchObject({
        'cache-control': 'public, max-age=21600, must-revalidate, no-transform',
        expires: 'Thu, 01 Jan 2026 06:00:00 GMT',
        age: '0',
        server: 'scaffolding on HTTPServer2',
        vary: 'Origin,X-Origin,Referer,Accept-Encoding',
        'accept-ranges': 'none',
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'SAMEORIGIN',
        'x-xss-protection': '0',
      })
      expect(seen).not.toHaveProperty('etag')
    }
  })

  test('unknown paths are a JSON 404', async () => {
    const response = await issuer.get('/oauth2/v9/certs')
    expect(response.status).toBe(404)
    expect(JSON.parse(await response.text()).error.code).toBe(404)
  })
})

describe('rotation, with a clock that moves', () => {
  test('over weeks, a verifier that keeps a key set as long as it may knows every key that signs', async () => {
    const { state } = issuer
    const step = 20 * 60_000
    // The worst verifier: it fetched right before each turn and holds on until the last second.
    let kept: { readonly kids: readonly string[]; readonly until: number } = { kids: [], until: 0 }
    const signed = new Set<string>()
    for (issuer.now = START; issuer.now < START + 2.5 * ROTATION_PERIOD; issuer.now += step) {
      if (issuer.now >= kept.until) {
        const { body, age } = await published('/oauth2/v3/certs')
        kept = { kids: body.keys.map((key: JWK) => key.kid), until: issuer.now + age * 1000 }
        expect(kept.kids).toHaveLength(2)
      }
      await state.keys.rotateWhenDue(issuer.now)
      const { kid } = state.keys.signing(issuer.now)
      signed.add(kid)
      expect(kept.kids).toContain(kid)
    }
    expect(signed.size).toBe(3)
  })
})
