import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { decodeJwt, exportJWK, generateKeyPair, SignJWT } from 'jose'
import {
  ACCOUNTS,
  type Answer,
  callApi,
  LOCATED,
  manifest,
  SERVICES,
  signIn,
} from '../emulator/emulator.fixture.ts'
import { type Emulator, startEmulator } from '../emulator/emulator.ts'

setDefaultTimeout(20_000)

const PROGRAM = fileURLToPath(new URL('./credentials.fixture.ts', import.meta.url))
const email = (name: string) => `${name}@demo-project.iam.gserviceaccount.com`
const POOL = 'projects/123456789012/locations/global/workloadIdentityPools/ci-pool'
const DENIED = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."
const ISSUER = 'https://issuer.example.com'

const folder = mkdtempSync(join(tmpdir(), 'invoker-credentials-'))
const upstream = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('hello') })
const outside = await generateKeyPair('RS256', { extractable: true })
let emulator: Emulator
let call: (method: string, path: string, body?: object) => Promise<Answer>
let keyName = ''
const keyFile = join(folder, 'key.json')
const caFile = join(folder, 'ca.pem')
let target = ''

beforeAll(async () => {
  emulator = await startEmulator({ port: 0, upstream: { api: upstream.url.href } })
  const { accessToken } = await signIn(emulator.url)
  call = (method, path, body) => callApi(emulator.url, accessToken, method, path, body)
  for (const accountId of ['keyed-sa', 'target-sa']) await call('POST', ACCOUNTS, { accountId })
  const key = (await call('POST', `${ACCOUNTS}/${email('keyed-sa')}/keys`)).body
  keyName = key.name
  writeFileSync(keyFile, Buffer.from(key.privateKeyData, 'base64'))
  writeFileSync(caFile, await (await fetch(`${emulator.url}/_emulator/ca.pem`)).text())
  await call('POST', SERVICES, manifest('api'))
  target = (await call('GET', `${SERVICES}/api`)).body.status.url
  await grant(`${LOCATED}/api`, 'roles/run.invoker', email('keyed-sa'))
})
afterAll(async () => {
  await emulator.close()
  await upstream.stop(true)
  rmSync(folder, { recursive: true })
})

const grant = (on: string, role: string, account: string) =>
  call('POST', `${on}:setIamPolicy`, {
    policy: { bindings: [{ role, members: [`serviceAccount:${account}`] }] },
  })

/** Runs the program with the emulator as its proxy, as `emulator env` would have it. */
async function run(...args: readonly string[]) {
  const child = Bun.spawn([process.execPath, PROGRAM, ...args], {
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      http_proxy: emulator.url,
      https_proxy: emulator.url,
      no_proxy: 'localhost,127.0.0.1',
      NODE_EXTRA_CA_CERTS: caFile,
    },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { ok: (await child.exited) === 0, errors, ...(output ? JSON.parse(output) : {}) }
}

/** The library warns on standard error: only a failure counts. */
async function succeed(...args: readonly string[]) {
  const result = await run(...args)
  if (!result.ok) throw new Error(result.errors)
  return result
}

const holder = (token: string) => emulator.state.accessToken(token)?.member

describe("facts 4: Google's own Node library, unmodified, by the intercepting proxy", () => {
  test('a key file signs in at https://oauth2.googleapis.com/token and calls a private service', async () => {
    const { accessToken, idToken, status, data } = await succeed('key-file', keyFile, target)
    expect(holder(accessToken)).toBe(`serviceAccount:${email('keyed-sa')}`)
    expect(decodeJwt(idToken)).toMatchObject({ aud: target, email: email('keyed-sa') })
    expect([status, data]).toEqual([200, 'hello'])
  })

  test('a key that is disabled signs in no more, nor one that is deleted', async () => {
    const made = (await call('POST', `${ACCOUNTS}/${email('keyed-sa')}/keys`)).body
    const file = join(folder, 'other.json')
    writeFileSync(file, Buffer.from(made.privateKeyData, 'base64'))
    await call('POST', `/v1/${made.name}:disable`)
    expect((await run('key-file', file, target)).errors).toContain('invalid_grant')
    await call('POST', `/v1/${made.name}:enable`)
    expect((await run('key-file', file, target)).ok).toBe(true)
    await call('DELETE', `/v1/${made.name}`)
    expect((await run('key-file', file, target)).errors).toContain('Invalid JWT Signature.')
    expect(keyName).not.toBe(made.name)
  })

  test('impersonation takes the token creator role, then mints and signs as the account', async () => {
    const refused = await run('impersonated', keyFile, target, email('target-sa'))
    expect(refused.errors).toContain(DENIED)
    await grant(
      `${ACCOUNTS}/${email('target-sa')}`,
      'roles/iam.serviceAccountTokenCreator',
      email('keyed-sa'),
    )
    for (const endpoint of ['', emulator.url]) {
      const result = await succeed('impersonated', keyFile, target, email('target-sa'), endpoint)
      expect(holder(result.accessToken)).toBe(`serviceAccount:${email('target-sa')}`)
      expect(decodeJwt(result.idToken)).toMatchObject({ aud: target, email: email('target-sa') })
      expect(result.signedBlob).toBeString()
    }
  })
})

describe('facts 4: workload identity federation, by an external account file', () => {
  const provider = `${POOL}/providers/oidc`
  const subjectFile = join(folder, 'subject.jwt')
  const credentials = (more: object = {}) => ({
    type: 'external_account',
    audience: `//iam.googleapis.com/${provider}`,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: 'https://sts.googleapis.com/v1/token',
    credential_source: { file: subjectFile, format: { type: 'text' } },
    ...more,
  })
  const writeCredentials = (name: string, more: object) => {
    const file = join(folder, name)
    writeFileSync(file, JSON.stringify(credentials(more)))
    return file
  }

  beforeAll(async () => {
    const jwks = { keys: [{ ...(await exportJWK(outside.publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }] }
    const pools = '/v1/projects/demo-project/locations/global/workloadIdentityPools'
    await call('POST', `${pools}?workloadIdentityPoolId=ci-pool`, {})
    await call('POST', `${pools}/ci-pool/providers?workloadIdentityPoolProviderId=oidc`, {
      attributeMapping: { 'google.subject': 'assertion.sub', 'attribute.repository': 'assertion.repository' },
      attributeCondition: "assertion.repository.startsWith('acme/')",
      oidc: { issuerUri: ISSUER, jwksJson: JSON.stringify(jwks) },
    })
    const now = Math.floor(Date.now() / 1000)
    const subject = await new SignJWT({ repository: 'acme/shop' })
      .setProtectedHeader({ alg: 'RS256', kid: 'one' })
      .setIssuer(ISSUER)
      .setAudience(`//iam.googleapis.com/${provider}`)
      .setSubject('someone')
      .setIssuedAt(now)
      .setExpirationTime(now + 600)
      .sign(outside.privateKey)
    writeFileSync(subjectFile, subject)
  })

  test('the federated token is of the principal, and no key to a service', async () => {
    for (const token_url of ['https://sts.googleapis.com/v1/token', `${emulator.url}/v1/token`]) {
      const { accessToken } = await succeed(
        'external-account',
        writeCredentials('federated.json', { token_url }),
      )
      expect(holder(accessToken)).toBe(`principal://iam.googleapis.com/${POOL}/subject/someone`)
      const headers = { authorization: `Bearer ${accessToken}` }
      const answer = await fetch(target, { proxy: emulator.url, headers })
      expect(answer.status).toBe(401) // facts 1.1: an access token
    }
  })

  test('as an account: takes roles/iam.workloadIdentityUser for a principal set', async () => {
    const at = `/v1/projects/-/serviceAccounts/${email('target-sa')}:generateAccessToken`
    const file = writeCredentials('account.json', {
      service_account_impersonation_url: `https://iamcredentials.googleapis.com${at}`,
    })
    await grant(
      `${ACCOUNTS}/${email('target-sa')}`,
      'roles/iam.serviceAccountTokenCreator',
      email('keyed-sa'),
    )
    expect((await run('external-account', file)).errors).toContain(DENIED)
    const members = [`principalSet://iam.googleapis.com/${POOL}/attribute.repository/acme/shop`]
    const answer = await call('POST', `${ACCOUNTS}/${email('target-sa')}:setIamPolicy`, {
      policy: { bindings: [{ role: 'roles/iam.workloadIdentityUser', members }] },
    })
    expect(answer.status).toBe(200)
    const { accessToken } = await succeed('external-account', file)
    expect(holder(accessToken)).toBe(`serviceAccount:${email('target-sa')}`)
  })
})

test('providers of the configuration are there from the start, in the form that gcloud describes them in', async () => {
  const name = `${POOL}/providers/configured`
  const other = await startEmulator({
    port: 0,
    workloadIdentityPoolProviders: [
      {
        name,
        attributeMapping: { 'google.subject': 'assertion.sub' },
        oidc: { issuerUri: 'http://127.0.0.1:1' },
      },
    ],
  })
  try {
    const shown = async () => {
      const { accessToken } = await signIn(other.url)
      return (await callApi(other.url, accessToken, 'GET', `/v1/${name}`)).body
    }
    expect(await shown()).toMatchObject({ name, state: 'ACTIVE' })
    const headers = { 'Content-Type': 'application/json' }
    expect((await fetch(`${other.url}/_emulator/reset`, { method: 'POST', headers, body: '{}' })).ok).toBe(
      true,
    )
    expect(await shown()).toMatchObject({ name, state: 'ACTIVE' })
  } finally {
    await other.close()
  }
  const foreign = { name: name.replace('123456789012', '1'), attributeMapping: {}, oidc: { issuerUri: 'x' } }
  await expect(startEmulator({ workloadIdentityPoolProviders: [foreign] })).rejects.toThrow(
    /^workloadIdentityPoolProviders: expected a provider that can be used \(Invalid OIDC issuer URI\.\)/,
  )
})
