import { beforeEach, describe, expect, test } from 'bun:test'
import { createVerify } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { IdTokenVerifier } from '../../tokens/verify.ts'
import { COMPUTE, OWNER, openWorld, PROJECT, type World } from '../products.fixture.ts'

const email = (name: string) => `${name}@${PROJECT}.iam.gserviceaccount.com`
const TARGET = email('target-sa')
const MIDDLE = email('middle-sa')
const PATH = `/v1/projects/-/serviceAccounts/${TARGET}`
const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'
const NOW = Date.parse('2026-01-01T00:00:00Z') / 1000
const CREATOR = 'roles/iam.serviceAccountTokenCreator'

let world: World
beforeEach(async () => {
  world = await openWorld()
  for (const accountId of ['target-sa', 'middle-sa']) {
    await world.post(`/v1/projects/${PROJECT}/serviceAccounts`, { accountId })
  }
})

const grant = (on: string, member: string, role = CREATOR) =>
  world.post(`/v1/projects/-/serviceAccounts/${on}:setIamPolicy`, {
    policy: { bindings: [{ role, members: [member] }] },
  })

describe('who may', () => {
  test('facts 6.9: the owner may not mint without a token-creator role', async () => {
    const { status, body } = await world.post(`${PATH}:generateAccessToken`, { scope: ['x'] })
    expect(status).toBe(403)
    expect(body.error).toEqual({
      code: 403,
      message: "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).",
      status: 'PERMISSION_DENIED',
      details: [
        {
          '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
          reason: 'IAM_PERMISSION_DENIED',
          domain: 'iam.googleapis.com',
          metadata: { permission: 'iam.serviceAccounts.getAccessToken' },
        },
      ],
    })
  })

  test('facts 1.7: roles/iam.serviceAccountOpenIdTokenCreator mints ID tokens and nothing else', async () => {
    await grant(TARGET, `user:${OWNER}`, 'roles/iam.serviceAccountOpenIdTokenCreator')
    expect((await world.post(`${PATH}:generateIdToken`, { audience: 'a' })).status).toBe(200)
    expect((await world.post(`${PATH}:generateAccessToken`, { scope: ['x'] })).status).toBe(403)
  })

  test('a chain of delegates holds only when every link does', async () => {
    const request = { audience: 'a', delegates: [`projects/-/serviceAccounts/${MIDDLE}`] }
    const mint = () => world.post(`${PATH}:generateIdToken`, request)
    await grant(MIDDLE, `user:${OWNER}`)
    expect((await mint()).status).toBe(403)
    await grant(TARGET, `serviceAccount:${MIDDLE}`)
    expect((await mint()).status).toBe(200)
    await grant(MIDDLE, 'user:someone-else@example.com')
    expect((await mint()).status).toBe(403)
  })

  test('a disabled account cannot be acted as', async () => {
    await grant(TARGET, `user:${OWNER}`)
    await world.post(`/v1/projects/-/serviceAccounts/${TARGET}:disable`)
    expect((await world.post(`${PATH}:generateIdToken`, { audience: 'a' })).status).toBe(403)
  })

  test('facts 4: the project segment must be `-`', async () => {
    await grant(TARGET, `user:${OWNER}`)
    const { status, body } = await world.post(
      `/v1/projects/${PROJECT}/serviceAccounts/${TARGET}:generateIdToken`,
      { audience: 'a' },
    )
    expect(status).toBe(400)
    expect(body.error.message).toBe('Request contains an invalid argument.')
  })
})

describe('what comes out', () => {
  beforeEach(async () => {
    await grant(TARGET, `user:${OWNER}`)
  })

  test('facts 4: an ID token of the account, email only when asked for, booleans as strings too', async () => {
    const mint = async (more: object) =>
      (await world.post(`${PATH}:generateIdToken`, { audience: 'https://x', delegates: null, ...more })).body
        .token
    const account = world.state.serviceAccount(TARGET)
    expect(decodeJwt(await mint({}))).not.toHaveProperty('email')
    for (const includeEmail of [true, 'true']) {
      expect(decodeJwt(await mint({ includeEmail }))).toMatchObject({
        aud: 'https://x',
        email: TARGET,
        email_verified: true,
        azp: account?.uniqueId ?? '',
        sub: account?.uniqueId ?? '',
        iss: 'https://accounts.google.com',
      })
    }
    expect(decodeJwt(await mint({ includeEmail: 'false', useEmailAzp: true })).azp).toBe(TARGET)
    const verifier = new IdTokenVerifier(world.state.keys)
    const rule = { accepts: (audience: string) => audience === 'https://x', expected: '', mend: () => '' }
    expect((await verifier.verify(await mint({}), world.state.clock(), rule)).verified).toBe(true)
  })

  test('facts 4: an access token that the APIs take, until its lifetime is over', async () => {
    const { body } = await world.post(`${PATH}:generateAccessToken`, { scope: [SCOPE], lifetime: '600s' })
    expect(body.expireTime).toBe('2026-01-01T00:10:00Z')
    const path = `/v1/projects/-/serviceAccounts/${COMPUTE}`
    expect((await world.get(path, body.accessToken)).status).toBe(403)
    world.pass(600_000)
    expect((await world.get(path, body.accessToken)).status).toBe(401)
  })

  const invalidArgument = 'Request contains an invalid argument.'
  test.each([
    [{}, invalidArgument],
    [{ scope: ['x'] }, invalidArgument],
    [{ scope: [SCOPE, 'https://receiver.run.app'] }, invalidArgument],
    [
      { scope: [SCOPE], lifetime: '3601s' },
      'Access tokens can not have lifetimes of more than 1 hour. Use the Org Policy Constraint constraints/iam.allowServiceAccountCredentialLifetimeExtension to allow up to 12 hours.',
    ],
    [{ scope: [SCOPE], lifetime: '0s' }, 'Lifetime of access token must be larger then zero.'],
    [
      { scope: [SCOPE], lifetime: 'soon' },
      "Invalid value at 'lifetime' (type.googleapis.com/google.protobuf.Duration), Field 'lifetime', Illegal duration format; duration must end with 's'",
    ],
  ])('facts 4: generateAccessToken %j: %s', async (request, sentence) => {
    const { status, body } = await world.post(`${PATH}:generateAccessToken`, request)
    expect([status, body.error.message]).toEqual([400, sentence])
  })

  test('an empty scope stands for cloud-platform', async () => {
    const { body } = await world.post(`${PATH}:generateAccessToken`, { scope: [''] })
    expect(world.state.accessToken(body.accessToken)?.scopes).toEqual([SCOPE])
  })

  test.each(['x', '[]', '{"exp":"soon"}', `{"exp":${NOW}}`, `{"exp":${NOW + 12 * 3600 + 1}}`])(
    'signJwt signs no claim set like %s',
    async (payload) => {
      const { status, body } = await world.post(`${PATH}:signJwt`, { payload })
      expect([status, body.error.message]).toEqual([400, invalidArgument])
    },
  )

  test('signJwt signs the claims as they came', async () => {
    const payload = `{"sub": "x", "big": 12345678901234567890, "exp": ${NOW + 12 * 3600}}`
    const { signedJwt } = (await world.post(`${PATH}:signJwt`, { payload })).body
    expect(Buffer.from(signedJwt.split('.')[1], 'base64url').toString()).toBe(payload)
  })

  test('signJwt and signBlob sign with a key of the account, never with the one of ID tokens', async () => {
    const claims = {
      iss: 'https://accounts.google.com',
      sub: 'somebody',
      aud: 'https://x',
      iat: 1,
      exp: NOW + 60,
    }
    const jwt = (await world.post(`${PATH}:signJwt`, { payload: JSON.stringify(claims) })).body
    expect(decodeJwt(jwt.signedJwt)).toEqual(claims)
    expect(decodeProtectedHeader(jwt.signedJwt)).toEqual({ alg: 'RS256', kid: jwt.keyId, typ: 'JWT' })
    expect(world.state.keys.find(jwt.keyId, world.state.clock())).toBeUndefined()

    const payload = Buffer.from('hello')
    const blob = (await world.post(`${PATH}:signBlob`, { payload: payload.toString('base64') })).body
    expect(blob.keyId).toBe(jwt.keyId)
    const certificate = world.state.serviceAccountKeys.get(blob.keyId)?.certificate ?? ''
    const verifies = createVerify('RSA-SHA256')
      .update(payload)
      .verify(certificate, Buffer.from(blob.signedBlob, 'base64'))
    expect(verifies).toBe(true)
  })
})

test('allowedLocations: no boundary, told to whoever may read the account', async () => {
  const { status, body } = await world.get(`${PATH}/allowedLocations`)
  expect([status, body]).toEqual([200, { encodedLocations: '0x0' }])
  const stranger = await world.get(`${PATH}/allowedLocations`, world.token('user:stranger@example.com'))
  expect(stranger.body.error.message).toBe(
    "Permission 'iam.serviceAccounts.get' denied on resource (or it may not exist).",
  )
})
