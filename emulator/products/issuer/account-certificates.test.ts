import { afterAll, beforeAll, expect, test } from 'bun:test'
import { X509Certificate } from 'node:crypto'
import { createUserKey, systemKey } from '../../state/account-keys.ts'
import { type Issuer, openIssuer } from './issuer.fixture.ts'

const EMAIL = '123456789012-compute@developer.gserviceaccount.com'

let issuer: Issuer
beforeAll(async () => {
  issuer = await openIssuer(Date.UTC(2026, 0, 1))
})
afterAll(() => issuer.state.close())

async function get(path: string) {
  const response = await issuer.get(path)
  return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) }
}

test('the keys of an account are published as certificates and as a key set, its own and the one that Google manages', async () => {
  const account = issuer.state.serviceAccount(EMAIL)
  if (!account) throw new Error('a project has a default account')
  const own = await createUserKey(issuer.state, account)
  const kids = [own?.key.keyId, (await systemKey(issuer.state, account))?.keyId]

  for (const path of ['/service_accounts/v1/metadata/x509', '/robot/v1/metadata/x509']) {
    const { status, body, headers } = await get(`${path}/${encodeURIComponent(EMAIL)}`)
    expect([status, Object.keys(body)]).toEqual([200, kids as string[]])
    expect(headers.get('Cache-Control')).toMatch(/^public, max-age=\d+/)
    for (const pem of Object.values(body)) new X509Certificate(String(pem))
  }
  for (const path of ['/service_accounts/v1/jwk', '/service_accounts/v1/metadata/jwk']) {
    const { body } = await get(`${path}/${EMAIL}`)
    expect(body.keys.map(({ kid }: { kid: string }) => kid)).toEqual(kids)
    for (const published of body.keys)
      expect(Object.keys(published)).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use'])
  }
})

test('a disabled key is not published', async () => {
  const account = issuer.state.serviceAccount(EMAIL)
  const made = account && (await createUserKey(issuer.state, account))
  if (!made) throw new Error('no key was made')
  const { key } = made
  issuer.state.serviceAccountKeys.put(key.keyId, { ...key, disabled: true })
  expect(Object.keys((await get(`/service_accounts/v1/metadata/x509/${EMAIL}`)).body)).not.toContain(
    key.keyId,
  )
})

test('an account that does not exist has none', async () => {
  expect((await get('/service_accounts/v1/jwk/nobody@demo-project.iam.gserviceaccount.com')).status).toBe(404)
})
