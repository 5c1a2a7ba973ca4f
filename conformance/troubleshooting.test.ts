/** docs/troubleshooting.md: each mistake of its table, made; the status that the caller gets, and what the emulator says of it. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { generateKeyPair, SignJWT } from 'jose'
import { type CloudRun, startEmulator } from '../emulator/testing/testing.ts'
import { page, rows, section } from '../walkthrough/pages.fixture.ts'

const BILLING = 'https://billing-123456789012.us-central1.run.app'
const CALLER = 'orders-sa'
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const to = (audience: string) => cloud.token({ as: CALLER, audience })

const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('an invoice') })
let cloud: CloudRun
beforeAll(async () => {
  cloud = await startEmulator({
    services: { billing: { upstream: server.url }, gone: { upstream: 'http://127.0.0.1:9', public: true } },
    serviceAccounts: [CALLER, 'other-sa'],
  })
})
afterAll(async () => {
  await cloud.close()
  await server.stop()
})

/** What a person did, by the words of the table's first column. */
const MISTAKES: Readonly<Record<string, () => Promise<Response>>> = {
  'no token at all': () => cloud.call('billing'),
  'the token in a header of another name': async () =>
    cloud.call('billing', { headers: { 'x-token': await to('billing') } }),
  'another scheme than Bearer': async () =>
    cloud.call('billing', { headers: { authorization: `Token ${await to('billing')}` } }),
  'two tokens in one header': async () =>
    cloud.call('billing', { headers: bearer(`${await to('billing')}, ${await to('billing')}`) }),
  'an access token': async () => cloud.call('billing', { headers: bearer(await accessToken()) }),
  "a token for another service's URL": async () =>
    cloud.call('billing', { headers: bearer(await to('gone')) }),
  'the URL of a tag as audience': async () =>
    cloud.call('billing', { headers: bearer(await to(BILLING.replace('//', '//next---'))) }),
  'a query in the audience': async () =>
    cloud.call('billing', { headers: bearer(await to(`${BILLING}/?month=5`)) }),
  'a custom domain as audience': async () =>
    cloud.call('billing', { headers: bearer(await to('https://billing.example.com')) }),
  'a token kept for more than an hour': async () => {
    const token = await to('billing')
    await cloud.clock.advance(61 * 60_000)
    return cloud.call('billing', { headers: bearer(token) })
  },
  "somebody else's token: Firebase's, or one signed at home": async () =>
    cloud.call('billing', { headers: bearer(await ownToken()) }),
  "passing the caller's token on to the next service": async () =>
    cloud.call('billing', {
      headers: bearer((await to('billing')).replace(/[^.]+$/, 'SIGNATURE_REMOVED_BY_GOOGLE')),
    }),
  'a bad X-Serverless-Authorization beside a good Authorization': async () =>
    cloud.call('billing', {
      headers: { ...bearer(await to('billing')), 'x-serverless-authorization': 'Bearer none' },
    }),
  'the caller was granted nothing': () => cloud.call('billing', { as: CALLER }),
  'a role that does not invoke': async () => {
    await cloud.grant('billing', CALLER, 'roles/run.viewer')
    return cloud.call('billing', { as: CALLER })
  },
  'the grant is for another account': async () => {
    await cloud.grant('billing', 'other-sa')
    return cloud.call('billing', { as: CALLER })
  },
  '`/healthz` as the path of a health check': () => cloud.call('billing', { path: '/healthz' }),
  'the service is not deployed': () =>
    fetch(cloud.url, { headers: { host: 'biling-123456789012.us-central1.run.app' } }),
  'nothing listens, or not on `0.0.0.0` and `PORT`': () => cloud.call('gone'),
}

async function accessToken(): Promise<string> {
  const { GCE_METADATA_HOST = '' } = cloud.env()
  const url = `http://${GCE_METADATA_HOST}/computeMetadata/v1/instance/service-accounts/default/token`
  const answer: unknown = await (await fetch(url, { headers: { 'metadata-flavor': 'Google' } })).json()
  if (typeof answer !== 'object' || answer === null || !('access_token' in answer)) throw new Error(url)
  return String(answer.access_token)
}

async function ownToken(): Promise<string> {
  const { privateKey } = await generateKeyPair('RS256')
  return new SignJWT({ aud: BILLING, email: 'a@example.com' })
    .setProtectedHeader({ alg: 'RS256', kid: 'f'.repeat(40), typ: 'JWT' })
    .setIssuer('https://securetoken.google.com/demo')
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(privateKey)
}

const TABLE = rows(
  section(page('docs/troubleshooting.md'), 'Refused: 401, 403, 404'),
  '| what was done | | what the emulator says | the mend |',
)

test('the table has every mistake, and no other', () => {
  expect(TABLE.map(([what]) => what)).toEqual(Object.keys(MISTAKES))
})

test.each(TABLE)('%s: %s', async (what = '', status = '', says = '') => {
  await cloud.reset()
  const answer = await MISTAKES[what]?.()
  const [decision] = (await cloud.decisions()).slice(-1)
  const words = says
    .replace(/^`|`$/g, '')
    .split('…')
    .map((part) => RegExp.escape(part))
  expect(String(answer?.status)).toBe(status)
  expect(decision?.why).toMatch(new RegExp(`^${words.join('.*')}`))
})
