import { afterAll, beforeAll, expect, test } from 'bun:test'
import { type Issuer, OWNER, openIssuer } from './issuer.fixture.ts'

const START = Date.UTC(2026, 0, 1)
const PRINCIPAL =
  'principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ci/subject/someone'
const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'

let issuer: Issuer
beforeAll(async () => {
  issuer = await openIssuer(START)
})
afterAll(() => issuer.state.close())

function introspect(form: Record<string, string>, host = 'sts.googleapis.com'): Promise<Response> {
  const request = new Request(`https://${host}/v1/introspect`, {
    method: 'POST',
    body: new URLSearchParams(form),
  })
  return Promise.resolve(issuer.app.fetch(request, { host, scheme: 'https', peer: { address: '127.0.0.1' } }))
}

test('a federated access token is introspected: its principal is the username, until it expires', async () => {
  const federation = { groups: [], attributes: {} }
  const { token } = issuer.state.issueAccessToken({ member: PRINCIPAL, scopes: [SCOPE], federation })
  const answer = await introspect({ token })
  expect(answer.status).toBe(200)
  expect(await answer.json()).toEqual({
    active: true,
    username: PRINCIPAL,
    sub: PRINCIPAL,
    iss: 'https://sts.googleapis.com/',
    scope: SCOPE,
    exp: START / 1000 + 3600,
  })
  issuer.now += 3_600_000
  expect(await (await introspect({ token })).json()).toEqual({ active: false })
})

test('nothing is said of any other token, and a request without one is refused', async () => {
  const { token } = issuer.state.issueAccessToken({ member: `user:${OWNER}`, scopes: [SCOPE] })
  expect(await (await introspect({ token })).json()).toEqual({ active: false })
  const without = await introspect({})
  expect(without.status).toBe(400)
  expect(await without.json()).toEqual({
    error: 'invalid_request',
    error_description: 'Missing required parameter: token',
  })
})

test('under a name of Google’s only the Security Token Service has it', async () => {
  expect((await introspect({ token: 'x' }, 'oauth2.googleapis.com')).status).toBe(404)
})
