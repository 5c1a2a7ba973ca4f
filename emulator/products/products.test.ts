import { beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CollectionDeclaration } from '../state/collection.ts'
import { State } from '../state/state.ts'
import {
  COMPUTE,
  IMAGE,
  knative,
  LOCATED,
  NUMBER,
  OWNER,
  openWorld,
  PROJECT,
  RecordingRuntime,
  SERVICES,
  type World,
} from './products.fixture.ts'
import { createProducts } from './products.ts'

let world: World
beforeEach(async () => {
  world = await openWorld()
})

describe('who calls', () => {
  const EXPECTED =
    'Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.'

  test('no credential is answered 401 in Google’s words', async () => {
    const { status, body, headers } = await world.call('GET', SERVICES, undefined, null)
    expect(status).toBe(401)
    expect(body.error).toEqual({
      code: 401,
      message: `Request is missing required authentication credential. ${EXPECTED}`,
      status: 'UNAUTHENTICATED',
      details: [
        {
          '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
          reason: 'CREDENTIALS_MISSING',
          domain: 'googleapis.com',
          metadata: { service: 'run.googleapis.com' },
        },
      ],
    })
    expect(headers.get('www-authenticate')).toBe('Bearer realm="https://accounts.google.com/"')
  })

  test('an unknown, an expired and a foreign token are answered 401, and never repeated', async () => {
    const expired = world.token(`user:someone@example.com`)
    world.pass(3_600_000)
    for (const token of ['ya29.nothing', expired, 'eyJhbGciOiJSUzI1NiJ9.e30.x']) {
      const { status, body, headers } = await world.get(SERVICES, token)
      expect(status).toBe(401)
      expect(body.error.message).toBe(`Request had invalid authentication credentials. ${EXPECTED}`)
      expect(headers.get('www-authenticate')).toContain('error="invalid_token"')
      expect(JSON.stringify(body) + world.lines.join()).not.toContain(token)
    }
  })

  test('the token of a service account ends with the account, and with its being switched off', async () => {
    const owner = `serviceAccount:${COMPUTE}`
    const token = world.token(owner)
    expect((await world.get(SERVICES, token)).status).toBe(200)
    const path = `/v1/projects/${PROJECT}/serviceAccounts/${COMPUTE}`
    await world.post(`${path}:disable`)
    expect((await world.get(SERVICES, token)).status).toBe(401)
    await world.post(`${path}:enable`)
    expect((await world.get(SERVICES, token)).status).toBe(200)
    await world.call('DELETE', path)
    expect((await world.get(SERVICES, token)).status).toBe(401)
  })

  test('a token without the scope is answered 403', async () => {
    const scopes = ['https://www.googleapis.com/auth/userinfo.email']
    const { token } = world.state.issueAccessToken({ member: 'user:owner@example.com', scopes })
    const { status, body } = await world.get(SERVICES, token)
    expect(status).toBe(403)
    expect(body.error.message).toBe('Request had insufficient authentication scopes.')
  })
})

describe('answers', () => {
  test('facts 6.9: errors are pretty-printed with two spaces and carry Google’s response headers', async () => {
    const response = await world.apis.app.request(
      `/v1/projects/${PROJECT}/serviceAccounts/nobody@${PROJECT}.iam.gserviceaccount.com`,
      { headers: { authorization: `Bearer ${world.token('user:owner@example.com')}` } },
      { host: 'iam.googleapis.com', scheme: 'http', peer: { address: '127.0.0.1' } },
    )
    expect(await response.text()).toBe(
      '{\n  "error": {\n    "code": 404,\n    "message": "Unknown service account",\n    "status": "NOT_FOUND"\n  }\n}\n',
    )
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'cache-control': 'private',
      'content-type': 'application/json; charset=UTF-8',
      server: 'ESF',
      vary: 'Origin, X-Origin, Referer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'SAMEORIGIN',
      'x-xss-protection': '0',
    })
  })

  test('prettyPrint=false is one line', async () => {
    const response = await world.apis.app.request(
      `${SERVICES}?prettyPrint=false`,
      { headers: { authorization: `Bearer ${world.token('user:owner@example.com')}` } },
      { host: 'localhost', scheme: 'http', peer: { address: '127.0.0.1' } },
    )
    expect(await response.text()).not.toContain('\n')
  })

  test('facts gcloud 4.2: what is not served is a JSON 4xx that names it and what is, logged once', async () => {
    for (const _ of [1, 2]) {
      const { status, body } = await world.get('http://run.googleapis.com/v1/unknown/thing?a=b')
      // Not 404: gcloud and people read that as "your project, or your job, is not there".
      expect(status).toBe(400)
      expect(body.error).toMatchObject({ code: 400, status: 'UNIMPLEMENTED' })
      expect(body.error.message).toMatch(
        /^The emulator does not serve GET \/v1\/unknown\/thing of run\.googleapis\.com; of the Cloud Run Admin API it serves services/,
      )
    }
    expect(world.lines).toEqual(['GET /v1/unknown/thing on run.googleapis.com is not served'])
  })

  test('under a Google name only its own API answers', async () => {
    expect((await world.get(`http://compute.googleapis.com/v1/projects/${PROJECT}`)).status).toBe(400)
    expect(
      (await world.get(`http://cloudresourcemanager.googleapis.com/v1/projects/${PROJECT}`)).status,
    ).toBe(200)
    expect((await world.get(`/v1/projects/${PROJECT}`)).status).toBe(200)
  })

  test('a fault of ours is Google’s 500, and its cause is in the log', async () => {
    world.state.revisions.put = () => {
      throw new Error('disk full')
    }
    const { status, body } = await world.post(SERVICES, knative('receiver'))
    Reflect.deleteProperty(world.state.revisions, 'put')
    expect(status).toBe(500)
    expect(body.error).toEqual({ code: 500, message: 'Internal error encountered.', status: 'INTERNAL' })
    expect(world.lines.join()).toContain('disk full')
    expect(world.state.services.size).toBe(0)
  })

  test('facts 6.9: an API that is not enabled is answered 403 with how to enable it', async () => {
    const service = `/v1/projects/${PROJECT}/services/run.googleapis.com`
    expect((await world.post(`${service}:disable`)).status).toBe(200)
    const { status, body } = await world.get(SERVICES)
    expect(status).toBe(403)
    const url = `https://console.developers.google.com/apis/api/run.googleapis.com/overview?project=${PROJECT}`
    const message = `Cloud Run Admin API has not been used in project ${PROJECT} before or it is disabled. Enable it by visiting ${url} then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry.`
    expect(body.error).toMatchObject({ status: 'PERMISSION_DENIED', message })
    expect(
      body.error.details.map((detail: { '@type': string }) => detail['@type'].split('.').at(-1)),
    ).toEqual(['ErrorInfo', 'LocalizedMessage', 'Help'])
    expect(body.error.details[0]).toMatchObject({
      reason: 'SERVICE_DISABLED',
      domain: 'googleapis.com',
      metadata: { consumer: `projects/${PROJECT}`, service: 'run.googleapis.com', activationUrl: url },
    })
    await world.post(`${service}:enable`)
    expect((await world.get(SERVICES)).status).toBe(200)
  })
})

test('the five acts’ calls: deploy public, redeploy private, redeploy the sender, give it an account, grant it', async () => {
  const policy = `${LOCATED}/receiver:getIamPolicy`
  // 1: the receiver allows unauthenticated calls; both run as the default compute service account.
  expect((await world.get(`${SERVICES}/receiver`)).status).toBe(404)
  await world.post(SERVICES, knative('receiver'))
  const empty = await world.get(policy)
  expect(empty.body).toEqual({ etag: 'ACAB' })
  const open = await world.post(`${LOCATED}/receiver:setIamPolicy`, {
    policy: { etag: empty.body.etag, bindings: [{ role: 'roles/run.invoker', members: ['allUsers'] }] },
  })
  expect(open.status).toBe(200)
  const sender = (await world.post(SERVICES, knative('sender'))).body
  expect(sender.spec.template.spec.serviceAccountName).toBe(COMPUTE)

  // 2: no unauthenticated access any more.
  const receiver = (await world.get(`${SERVICES}/receiver`)).body
  await world.put(`${SERVICES}/receiver`, { ...receiver, spec: knative('receiver').spec })
  const before = (await world.get(policy)).body
  await world.post(`${LOCATED}/receiver:setIamPolicy`, { policy: { etag: before.etag, bindings: [] } })
  expect((await world.get(policy)).body).not.toHaveProperty('bindings')

  // 3: the sender sends an ID token.
  await world.put(`${SERVICES}/sender`, knative('sender', { image: `${IMAGE}:token` }))

  // 4: it gets an account of its own.
  const created = await world.post(`/v1/projects/${PROJECT}/serviceAccounts`, {
    accountId: 'calling-service-sa',
    serviceAccount: { displayName: 'Calling service' },
  })
  const email = `calling-service-sa@${PROJECT}.iam.gserviceaccount.com`
  expect(created.body.email).toBe(email)
  const redeployed = await world.put(
    `${SERVICES}/sender`,
    knative('sender', { spec: { serviceAccountName: email } }),
  )
  expect(redeployed.body.status.latestReadyRevisionName).toMatch(/^sender-00003-/)
  expect(redeployed.body.spec.template.spec.serviceAccountName).toBe(email)

  // 5: roles/run.invoker on the receiver.
  const current = (await world.get(`${policy}?options.requestedPolicyVersion=3`)).body
  const binding = { role: 'roles/run.invoker', members: [`serviceAccount:${email}`] }
  const granted = await world.post(`${LOCATED}/receiver:setIamPolicy`, {
    policy: { ...current, version: 3, bindings: [binding] },
  })
  expect(granted.body.bindings).toEqual([binding])
  expect(world.lines).toEqual([])
})

test('a reset empties what a product declares, though the product has not opened it since the restart', async () => {
  const data = mkdtempSync(join(tmpdir(), 'invoker-products-'))
  const things: CollectionDeclaration<{ readonly name: string }> = {
    name: 'things',
    survivesReset: false,
    survivesRestart: true,
  }
  const declared = { name: 'a', hosts: [], serves: [], leavesOut: [], collections: [things] }
  const api = { name: 'a.googleapis.com', title: 'A API', enabled: 'always' } as const
  const catalogue = [{ ...declared, api, serve: async () => ({}) }]
  const open = async () => {
    const place = {
      projectId: PROJECT,
      projectNumber: NUMBER,
      scheme: 'http',
      region: 'us-central1',
    } as const
    const directory = { groups: new Map(), domains: new Map() }
    const state = await State.open({ ...place, ...directory, owner: OWNER, clock: Date.now, data })
    await createProducts({ catalogue, state, runtime: new RecordingRuntime() })
    return state
  }
  try {
    const first = await open()
    first.store.collection(things).put('one', { name: 'one' })
    first.close()
    const second = await open()
    second.reset()
    expect(second.store.collection(things).size).toBe(0)
    second.close()
  } finally {
    rmSync(data, { recursive: true })
  }
})
