import { beforeEach, expect, test } from 'bun:test'
import { createPrivateKey, createSign, createVerify, X509Certificate } from 'node:crypto'
import { createSigningKey } from '../../tokens/keys.ts'
import { openWorld, PROJECT, type World } from '../products.fixture.ts'

const EMAIL = `calling-service-sa@${PROJECT}.iam.gserviceaccount.com`
const KEYS = `/v1/projects/-/serviceAccounts/${EMAIL}/keys`

let world: World
beforeEach(async () => {
  world = await openWorld()
  await world.post(`/v1/projects/${PROJECT}/serviceAccounts`, { accountId: 'calling-service-sa' })
})

test('facts gcloud 3: privateKeyData is the key file, and its private half fits the published certificate', async () => {
  const { status, body } = await world.post(KEYS, { privateKeyType: 'TYPE_GOOGLE_CREDENTIALS_FILE' })
  expect(status).toBe(200)
  const file = JSON.parse(Buffer.from(body.privateKeyData, 'base64').toString())
  expect(file).toMatchObject({
    type: 'service_account',
    project_id: PROJECT,
    client_email: EMAIL,
    token_uri: 'https://oauth2.googleapis.com/token',
  })
  expect(body.name).toBe(`projects/${PROJECT}/serviceAccounts/${EMAIL}/keys/${file.private_key_id}`)

  const { body: shown } = await world.get(`${KEYS}/${file.private_key_id}?publicKeyType=TYPE_X509_PEM_FILE`)
  const certificate = new X509Certificate(Buffer.from(shown.publicKeyData, 'base64'))
  const signature = createSign('RSA-SHA256').update('x').sign(createPrivateKey(file.private_key))
  expect(createVerify('RSA-SHA256').update('x').verify(certificate.publicKey, signature)).toBe(true)

  // Google does not keep the private half of a key that it hands out.
  expect(JSON.stringify(world.state.serviceAccountKeys.list())).not.toContain('privateJwk')
})

test('facts 6.9: an unknown key is answered 404', async () => {
  const { status, body } = await world.get(`${KEYS}/${'0'.repeat(40)}`)
  expect(status).toBe(404)
  expect(body.error.message).toBe(`Service account key ${'0'.repeat(40)} does not exist.`)
})

test('keys are listed with the one that Google manages, switched off, and deleted', async () => {
  const { name } = (await world.post(KEYS)).body
  const list = async (query = '') => (await world.get(`${KEYS}${query}`)).body.keys ?? []
  expect((await list()).map(({ keyType }: { keyType: string }) => keyType).sort()).toEqual([
    'SYSTEM_MANAGED',
    'USER_MANAGED',
  ])
  expect(await list('?keyTypes=USER_MANAGED')).toHaveLength(1)
  await world.post(`/v1/${name}:disable`)
  expect((await world.get(`/v1/${name}`)).body.disabled).toBe(true)
  expect((await world.call('DELETE', `/v1/${name}`)).status).toBe(200)
  expect(await list('?keyTypes=USER_MANAGED')).toEqual([])
  const [system] = await list()
  expect((await world.call('DELETE', `/v1/${system.name}`)).status).toBe(400)
})

test('a public key is uploaded as a certificate, and is a key like the others', async () => {
  const made = await createSigningKey(Date.parse('2026-01-01T00:00:00Z'))
  const publicKeyData = Buffer.from(made.certificate).toString('base64')
  const { status, body } = await world.post(`${KEYS}:upload`, { publicKeyData })
  expect(status).toBe(200)
  expect(body).toMatchObject({
    validAfterTime: '2025-12-31T23:59:00Z',
    keyAlgorithm: 'KEY_ALG_RSA_2048',
    keyOrigin: 'USER_PROVIDED',
    keyType: 'USER_MANAGED',
  })
  expect(body).not.toHaveProperty('privateKeyData')
  expect((await world.get(`/v1/${body.name}`)).body).toEqual(body)
  expect((await world.post(`${KEYS}:upload`, { publicKeyData })).status).toBe(409)
  expect((await world.call('DELETE', `/v1/${body.name}`)).status).toBe(200)

  for (const text of ['x', 'LS0tLS1CRUdJTg==', ''])
    expect((await world.post(`${KEYS}:upload`, { publicKeyData: text })).status).toBe(400)
})

test('an account has ten keys of its own at most', async () => {
  const account = world.state.serviceAccount(EMAIL)
  const { body } = await world.post(KEYS)
  const first = world.state.serviceAccountKeys.get(body.name.split('/').at(-1))
  if (!account || !first) throw new Error('no key was made')
  for (let number = 1; number < 10; number += 1)
    world.state.serviceAccountKeys.put(String(number), { ...first, keyId: String(number) })
  expect((await world.post(KEYS)).body.error.status).toBe('FAILED_PRECONDITION')
})
