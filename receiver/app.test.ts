import { afterAll, beforeAll, expect, test } from 'bun:test'
import { keptLog } from '../service/log.fixture.ts'
import { createApp } from './app.ts'
import { readConfig } from './config.ts'
import { AUDIENCE, EMAIL, SUB, signatureRemoved, startGoogle } from './google.fixture.ts'

let google: Awaited<ReturnType<typeof startGoogle>>
beforeAll(async () => {
  google = await startGoogle()
})
afterAll(() => google.stop())

function receiver(env: Record<string, string> = {}) {
  const log = keptLog()
  return { log, app: createApp(readConfig(env), { logger: log.logger }) }
}
const onCloudRun = { K_SERVICE: 'receiving-service' }
const verifying = () => ({
  RECEIVER_AUTH: 'verify',
  RECEIVER_AUDIENCE: `orders, ${AUDIENCE}`,
  RECEIVER_ALLOWED_CALLERS: `other@example.com,${EMAIL}`,
  RECEIVER_JWKS_URL: google.jwksUrl,
})
async function whoami(env: Record<string, string>, headers: Record<string, string>): Promise<unknown> {
  return (await receiver(env).app.request('/whoami', { headers })).json()
}

test('GET / greets, as plain text', async () => {
  const response = await receiver().app.request('/')
  expect(await response.text()).toBe('Hello from the receiving service!')
  expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
})

test('facts 7.2: the caller is read from the token that Cloud Run passes on without its signature in X-Serverless-Authorization', async () => {
  const value = `bearer ${signatureRemoved(await google.token())}`
  for (const more of [{}, { authorization: `Bearer ${await google.token({ email: 'unchecked@x.com' })}` }])
    expect(await whoami(onCloudRun, { ...more, 'x-serverless-authorization': value })).toMatchObject({
      verified_by: 'cloud-run',
      caller: {
        email: EMAIL,
        email_verified: true,
        sub: SUB,
        aud: AUDIENCE,
        iss: 'https://accounts.google.com',
      },
    })
})

test.each([
  ['x-serverless-authorization', onCloudRun],
  ['authorization', onCloudRun],
  ['authorization', {}],
])(
  'facts 7.2: what still has its signature was checked by nobody that is known, and its claims are not repeated: %s',
  async (header, env) => {
    const answer = await whoami(env, { [header]: `Bearer ${await google.token()}` })
    expect(answer).toMatchObject({ verified_by: 'nobody', caller: null })
    expect(JSON.stringify(answer)).toContain('RECEIVER_AUTH=verify')
    expect(JSON.stringify(answer)).not.toContain(EMAIL)
  },
)

test('anyone could have written a removed signature where no Cloud Run ingress is known to stand, and in Authorization everywhere', async () => {
  const value = `Bearer ${signatureRemoved(await google.token())}`
  for (const [env, header] of [
    [{}, 'x-serverless-authorization'],
    [{}, 'authorization'],
    [onCloudRun, 'authorization'],
  ] as const)
    expect(await whoami(env, { [header]: value })).toMatchObject({ verified_by: 'nobody', caller: null })
})

test.each([
  {},
  { authorization: 'Basic dTpw' },
  { 'x-serverless-authorization': 'bearer x.y.SIGNATURE_REMOVED_BY_GOOGLE' },
])('nobody is named by %j', async (headers) => {
  expect(await whoami(onCloudRun, { ...headers })).toMatchObject({ verified_by: 'nobody', caller: null })
})

test('RECEIVER_AUTH=verify: the receiver has checked for itself', async () => {
  const headers = { authorization: `Bearer ${await google.token()}` }
  expect(await whoami(verifying(), headers)).toMatchObject({
    verified_by: 'receiver',
    caller: { email: EMAIL },
  })
})

test('RECEIVER_AUTH=verify guards every path but the health path, and each refusal is logged with its code', async () => {
  const { app, log } = receiver(verifying())
  for (const path of ['/', '/whoami', '/nothing']) expect((await app.request(path)).status).toBe(403)
  expect((await app.request('/readyz')).status).toBe(200)
  expect(log.lines[0]).toMatchObject({
    severity: 'WARNING',
    message: 'Refused with 403: The request carries no credential',
    err: { code: 'ERR_CREDENTIAL_MISSING' },
  })
})

test('a key set that cannot be had is an error in the log, with its cause', async () => {
  const { app, log } = receiver({ ...verifying(), RECEIVER_JWKS_URL: 'http://127.0.0.1:1/certs' })
  const response = await app.request('/', { headers: { authorization: `Bearer ${await google.token()}` } })
  expect(response.status).toBe(503)
  expect(log.lines[0]).toMatchObject({
    severity: 'ERROR',
    message: 'Refused with 503: No public keys from http://127.0.0.1:1/certs',
    err: { code: 'ERR_KEYS_UNAVAILABLE', cause: { message: expect.any(String) } },
  })
})
