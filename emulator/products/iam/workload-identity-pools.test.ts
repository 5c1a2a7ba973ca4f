import { beforeEach, describe, expect, test } from 'bun:test'
import { principal, principalSet } from '../../iam/members.ts'
import { NUMBER, OWNER, openWorld, PROJECT, type World } from '../products.fixture.ts'

const POOLS = `/v1/projects/${PROJECT}/locations/global/workloadIdentityPools`
const POOL = `projects/${NUMBER}/locations/global/workloadIdentityPools/ci-pool`
const PROVIDERS = `${POOLS}/ci-pool/providers`
const PROVIDER = `${POOL}/providers/oidc`
const OIDC = {
  attributeMapping: { 'google.subject': 'assertion.sub' },
  oidc: { issuerUri: 'https://issuer.example.com' },
}

let world: World
beforeEach(async () => {
  world = await openWorld()
})

const createPool = (body: object = {}) => world.post(`${POOLS}?workloadIdentityPoolId=ci-pool`, body)
const createProvider = (body: object = OIDC, id = 'oidc') =>
  world.post(`${PROVIDERS}?workloadIdentityPoolProviderId=${id}`, body)

describe('pools', () => {
  test('are made by an operation that has ended and can be read', async () => {
    const { status, body } = await createPool({ displayName: 'CI' })
    expect(status).toBe(200)
    const resource = { name: POOL, displayName: 'CI', state: 'ACTIVE' }
    expect(body).toMatchObject({ done: true, response: resource })
    expect(body.name).toStartWith(`${POOL}/operations/`)
    expect((await world.get(`/v1/${body.name}`)).body).toEqual(body)
    expect((await world.get(`${POOLS}/ci-pool`)).body).toEqual(resource)
    expect((await world.get(POOLS)).body).toEqual({ workloadIdentityPools: [resource] })
  })

  test('are changed by mask, deleted, kept for thirty days, and taken back', async () => {
    await createPool({ displayName: 'CI', description: 'x' })
    await world.call('PATCH', `${POOLS}/ci-pool?updateMask=displayName,disabled`, {
      displayName: 'new',
      disabled: true,
    })
    expect((await world.get(`${POOLS}/ci-pool`)).body).toEqual({
      name: POOL,
      displayName: 'new',
      description: 'x',
      state: 'ACTIVE',
      disabled: true,
    })
    expect((await world.call('DELETE', `${POOLS}/ci-pool`)).status).toBe(200)
    expect((await world.get(`${POOLS}/ci-pool`)).body).toMatchObject({
      state: 'DELETED',
      expireTime: '2026-01-31T00:00:00.000Z',
    })
    expect((await world.get(POOLS)).body).toEqual({})
    expect((await world.get(`${POOLS}?showDeleted=true`)).body.workloadIdentityPools).toHaveLength(1)
    expect((await createPool()).body.error).toMatchObject({ status: 'ALREADY_EXISTS' })
    expect((await createProvider()).status).toBe(404)
    await world.post(`${POOLS}/ci-pool:undelete`)
    expect((await world.get(`${POOLS}/ci-pool`)).body.state).toBe('ACTIVE')
  })

  test.each(['', 'abc', 'gcp-pool', 'Upper', 'x'.repeat(33)])('id %j is refused', async (id) => {
    expect((await world.post(`${POOLS}?workloadIdentityPoolId=${id}`)).status).toBe(400)
  })

  test('one that does not exist is 404', async () => {
    const { status, body } = await world.get(`${POOLS}/none`)
    expect([status, body.error.message]).toEqual([404, 'Requested entity was not found.'])
  })

  test('take the pool admin or the owner', async () => {
    const stranger = world.token('user:stranger@example.com')
    const { status, body } = await world.post(`${POOLS}?workloadIdentityPoolId=ci-pool`, {}, stranger)
    expect([status, body.error.message]).toEqual([
      403,
      `Permission 'iam.workloadIdentityPools.create' denied on resource '//iam.googleapis.com/projects/${PROJECT}/locations/global' (or it may not exist).`,
    ])
    await world.post(`/v1/projects/${PROJECT}:setIamPolicy`, {
      policy: {
        bindings: [
          { role: 'roles/owner', members: [`user:${OWNER}`] },
          { role: 'roles/iam.workloadIdentityPoolAdmin', members: ['user:stranger@example.com'] },
        ],
      },
    })
    expect((await world.post(`${POOLS}?workloadIdentityPoolId=ci-pool`, {}, stranger)).status).toBe(200)
  })
})

describe('OIDC providers', () => {
  beforeEach(async () => {
    await createPool()
  })

  test('are made, shown as gcloud describes them, listed, changed and deleted', async () => {
    const { body } = await createProvider({ ...OIDC, attributeCondition: "assertion.sub != ''" })
    const resource = {
      name: PROVIDER,
      state: 'ACTIVE',
      ...OIDC,
      attributeCondition: "assertion.sub != ''",
    }
    expect(body).toMatchObject({ done: true, response: resource })
    expect((await world.get(`/v1/${body.name}`)).body).toEqual(body)
    expect((await world.get(`${PROVIDERS}/oidc`)).body).toEqual(resource)
    expect((await world.get(PROVIDERS)).body).toEqual({ workloadIdentityPoolProviders: [resource] })

    const mask = 'oidc.allowedAudiences,attributeCondition,attribute_mapping'
    await world.call('PATCH', `${PROVIDERS}/oidc?updateMask=${mask}`, {
      attributeMapping: { 'google.subject': "'gh:' + assertion.sub" },
      oidc: { allowedAudiences: ['a'] },
    })
    expect((await world.get(`${PROVIDERS}/oidc`)).body).toEqual({
      name: PROVIDER,
      state: 'ACTIVE',
      attributeMapping: { 'google.subject': "'gh:' + assertion.sub" },
      oidc: { issuerUri: 'https://issuer.example.com', allowedAudiences: ['a'] },
    })
    await world.call('DELETE', `${PROVIDERS}/oidc`)
    expect((await world.get(PROVIDERS)).body).toEqual({})
  })

  test.each([
    [
      { oidc: { issuerUri: 'http://issuer.example.com' } },
      'Invalid OIDC issuer URI. The scheme must be https.',
    ],
    [{ oidc: { issuerUri: 'issuer' } }, 'Invalid OIDC issuer URI.'],
    [{ oidc: { ...OIDC.oidc, jwksJson: '{' } }, 'Input JWK is not in a valid json format'],
    [
      { oidc: { ...OIDC.oidc, jwksJson: '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"x"}]}' } },
      'Invalid JWKs. Only RSA, EC key types are supported.',
    ],
    [{ attributeMapping: {} }, 'The attribute mapping must include google.subject.'],
  ])('%j: %s', async (changes, sentence) => {
    const { status, body } = await createProvider({ ...OIDC, ...changes })
    expect([status, body.error.message]).toEqual([400, sentence])
  })

  test('of an issuer that serves everyone must say whose tokens they take', async () => {
    const github = { ...OIDC, oidc: { issuerUri: 'https://token.actions.githubusercontent.com' } }
    const { status, body } = await createProvider(github)
    expect(status).toBe(400)
    expect(body.error.message).toStartWith(
      "The attribute condition must reference one of the provider's claims.",
    )
    expect(
      (await createProvider({ ...github, attributeCondition: "assertion.repository == 'a/b'" })).status,
    ).toBe(200)
  })

  test('of another kind are refused', async () => {
    expect((await createProvider({ ...OIDC, aws: { accountId: '1' } })).status).toBe(400)
  })
})

describe('facts 4: a federated caller', () => {
  const TARGET = `target-sa@${PROJECT}.iam.gserviceaccount.com`
  const ACCOUNT = `/v1/projects/-/serviceAccounts/${TARGET}`
  const federated = () =>
    world.state.issueAccessToken({
      member: principal(POOL, 'someone'),
      scopes: ['https://www.googleapis.com/auth/cloud-platform'],
      federation: { groups: ['staff'], attributes: { repository: 'acme/shop' } },
    }).token
  const grant = (member: string, role = 'roles/iam.workloadIdentityUser') =>
    world.post(`${ACCOUNT}:setIamPolicy`, { policy: { bindings: [{ role, members: [member] }] } })
  const mint = (token: string) => world.post(`${ACCOUNT}:generateIdToken`, { audience: 'https://x' }, token)

  beforeEach(async () => {
    await createPool()
    await world.post(`/v1/projects/${PROJECT}/serviceAccounts`, { accountId: 'target-sa' })
  })

  test.each([
    principal(POOL, 'someone'),
    principalSet(POOL, { by: 'group', group: 'staff' }),
    principalSet(POOL, { by: 'attribute', name: 'repository', value: 'acme/shop' }),
    principalSet(POOL, { by: 'pool' }),
  ])('mints as an account that lets in %s', async (member) => {
    const token = federated()
    expect((await mint(token)).status).toBe(403)
    expect((await grant(member)).status).toBe(200)
    expect((await mint(token)).status).toBe(200)
    expect((await world.post(`${ACCOUNT}:generateAccessToken`, { scope: [''] }, token)).status).toBe(200)
    // facts 1.7: workloadIdentityUser does not sign.
    expect((await world.post(`${ACCOUNT}:signBlob`, { payload: 'eA==' }, token)).status).toBe(403)
  })

  test.each([
    principal(POOL, 'someone-else'),
    principalSet(POOL, { by: 'group', group: 'other' }),
    principalSet(POOL, { by: 'attribute', name: 'repository', value: 'acme/other' }),
    principalSet(`${POOL}2`, { by: 'pool' }),
    'allAuthenticatedUsers',
  ])('is not meant by %s', async (member) => {
    await grant(member)
    expect((await mint(federated())).status).toBe(403)
  })

  test('is nobody while the pool is disabled, and somebody again afterwards', async () => {
    const token = federated()
    await grant(principalSet(POOL, { by: 'pool' }))
    await world.call('PATCH', `${POOLS}/ci-pool?updateMask=disabled`, { disabled: true })
    expect((await mint(token)).status).toBe(401)
    await world.call('PATCH', `${POOLS}/ci-pool?updateMask=disabled`, { disabled: false })
    expect((await mint(token)).status).toBe(200)
  })
})
