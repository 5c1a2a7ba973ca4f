import { beforeEach, describe, expect, test } from 'bun:test'
import { knative, LOCATED, openWorld, PROJECT, SERVICES, type World } from '../products.fixture.ts'

const ACCOUNTS = `/v1/projects/${PROJECT}/serviceAccounts`
const ANY = '/v1/projects/-/serviceAccounts'
const EMAIL = `calling-service-sa@${PROJECT}.iam.gserviceaccount.com`
const ROBOT = `serviceAccount:${EMAIL}`

let world: World
beforeEach(async () => {
  world = await openWorld()
})

const create = (accountId = 'calling-service-sa', serviceAccount: object = { displayName: 'Caller' }) =>
  world.post(ACCOUNTS, { accountId, serviceAccount })

describe('service accounts', () => {
  test('are created with an email and 21 digits, and found by both', async () => {
    const { status, body } = await create()
    expect(status).toBe(200)
    expect(body).toMatchObject({
      name: `projects/${PROJECT}/serviceAccounts/${EMAIL}`,
      projectId: PROJECT,
      email: EMAIL,
      displayName: 'Caller',
    })
    expect(body.uniqueId).toMatch(/^\d{21}$/)
    expect(body.oauth2ClientId).toBe(body.uniqueId)
    for (const path of [
      `${ACCOUNTS}/${EMAIL}`,
      `${ANY}/${EMAIL}`,
      `${ANY}/${body.uniqueId}`,
      `${ANY}/${encodeURIComponent(EMAIL)}`,
    ]) {
      expect((await world.get(path)).body).toEqual(body)
    }
  })

  test('facts 6.9: one that exists is answered 409 with ResourceInfo', async () => {
    await create()
    const { status, body } = await create()
    const message = `Service account calling-service-sa already exists within project projects/${PROJECT}.`
    expect(status).toBe(409)
    expect(body.error).toEqual({
      code: 409,
      message,
      errors: [{ message, domain: 'global', reason: 'alreadyExists' }],
      status: 'ALREADY_EXISTS',
      details: [
        {
          '@type': 'type.googleapis.com/google.rpc.ResourceInfo',
          resourceName: `projects/${PROJECT}/serviceAccounts/${EMAIL}`,
        },
      ],
    })
  })

  for (const accountId of ['short', 'a'.repeat(31), '']) {
    test(`the account id '${accountId}' has the wrong length`, async () => {
      const { status, body } = await create(accountId)
      expect(status).toBe(400)
      expect(body.error.message).toBe(
        `The account ID "${accountId}" does not have a length between 6 and 30.`,
      )
    })
  }
  for (const accountId of ['Calling-sa', '9calling', 'calling-', 'calling_sa', 'calling sa']) {
    test(`the account id '${accountId}' has the wrong form`, async () => {
      expect((await create(accountId)).status).toBe(400)
    })
  }

  test('facts 6.9: an unknown one is answered 404', async () => {
    for (const answer of [
      await world.get(`${ANY}/${EMAIL}`),
      await world.post(`${ACCOUNTS}/${EMAIL}:getIamPolicy`),
      await world.post(`${ACCOUNTS}/${EMAIL}:testIamPermissions`, { permissions: [] }),
      await world.get(`${ANY}/${EMAIL}/keys`),
    ]) {
      expect(answer.status).toBe(404)
      expect(answer.body).toEqual({
        error: { code: 404, message: 'Unknown service account', status: 'NOT_FOUND' },
      })
    }
  })

  test('facts 6.9: a malformed name is answered 400', async () => {
    const { status, body } = await world.get(`${ANY}/calling-service-sa`)
    expect(status).toBe(400)
    expect(body.error.message).toBe(
      'The name should be in the form "projects/{project_id}/serviceAccounts/{account}".',
    )
  })

  test('facts 4: a caller without the right is answered 403, the same whether or not it exists', async () => {
    const stranger = world.token('user:stranger@example.com')
    expect((await world.get(`${ANY}/${EMAIL}`, stranger)).status).toBe(403)
    await create()
    const { status, body } = await world.get(`${ANY}/${EMAIL}`, stranger)
    expect(status).toBe(403)
    expect(body.error).toEqual({
      code: 403,
      message: "Permission 'iam.serviceAccounts.get' denied on resource (or it may not exist).",
      status: 'PERMISSION_DENIED',
      details: [
        {
          '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
          reason: 'IAM_PERMISSION_DENIED',
          domain: 'iam.googleapis.com',
          metadata: { permission: 'iam.serviceAccounts.get' },
        },
      ],
    })
  })

  test('are listed in pages', async () => {
    for (const letter of 'abcde') await create(`caller-${letter}`)
    const emails: string[] = []
    let token = ''
    do {
      const { body } = await world.get(`${ACCOUNTS}?pageSize=2${token ? `&pageToken=${token}` : ''}`)
      emails.push(...body.accounts.map(({ email }: { email: string }) => email))
      token = body.nextPageToken ?? ''
    } while (token)
    expect(emails).toHaveLength(6)
    expect(new Set(emails).size).toBe(6)
  })

  test('are changed by mask', async () => {
    await create()
    const serviceAccount = { displayName: 'New', description: 'Not asked for' }
    const { body } = await world.call('PATCH', `${ANY}/${EMAIL}`, {
      serviceAccount,
      updateMask: 'displayName',
    })
    expect(body.displayName).toBe('New')
    expect(body).not.toHaveProperty('description')
    const stale = { displayName: 'x', etag: 'AAAA' }
    expect((await world.call('PUT', `${ANY}/${EMAIL}`, stale)).status).toBe(409)
  })

  test('facts 1.7: deletion leaves deleted members behind; undeletion takes them back', async () => {
    const { uniqueId } = (await create()).body
    await world.post(SERVICES, knative('receiver'))
    const policy = { bindings: [{ role: 'roles/run.invoker', members: [ROBOT] }] }
    await world.post(`${LOCATED}/receiver:setIamPolicy`, { policy })
    const members = async () => (await world.get(`${LOCATED}/receiver:getIamPolicy`)).body.bindings[0].members

    expect((await world.call('DELETE', `${ANY}/${EMAIL}`)).status).toBe(200)
    expect(await members()).toEqual([`deleted:${ROBOT}?uid=${uniqueId}`])
    expect((await world.get(`${ANY}/${EMAIL}`)).status).toBe(404)

    const restored = await world.post(`${ANY}/${uniqueId}:undelete`)
    expect(restored.body.restoredAccount).toMatchObject({ email: EMAIL, uniqueId })
    expect(await members()).toEqual([ROBOT])

    await world.call('DELETE', `${ANY}/${EMAIL}`)
    const again = (await create()).body
    expect(again.uniqueId).not.toBe(uniqueId)
    expect(await members()).toEqual([`deleted:${ROBOT}?uid=${uniqueId}`])
    expect((await world.post(`${ANY}/${uniqueId}:undelete`)).status).toBe(409)
  })

  test('facts gcloud 3: the policy is one resource under the project and under `-`', async () => {
    await create()
    const bindings = [{ role: 'roles/iam.serviceAccountUser', members: ['user:a@b.c'] }]
    const set = await world.post(`${ACCOUNTS}/${EMAIL}:setIamPolicy`, { policy: { bindings } })
    expect(set.status).toBe(200)
    expect((await world.post(`${ANY}/${EMAIL}:getIamPolicy`)).body.bindings).toEqual(bindings)
  })
})

describe('acting as an account', () => {
  test('facts 6.9: deploying needs actAs on the account', async () => {
    await create()
    const developer = world.token('user:dev@example.com')
    const path = `/v1/projects/${PROJECT}`
    const { body } = await world.post(`${path}:getIamPolicy`)
    const bindings = [...body.bindings, { role: 'roles/run.developer', members: ['user:dev@example.com'] }]
    await world.post(`${path}:setIamPolicy`, { policy: { ...body, bindings } })
    const deploy = () =>
      world.post(SERVICES, knative('receiver', { spec: { serviceAccountName: EMAIL } }), developer)
    const refused = await deploy()
    expect(refused.status).toBe(403)
    expect(refused.body.error.message).toBe(
      `Permission 'iam.serviceaccounts.actAs' denied on service account ${EMAIL} (or it may not exist).`,
    )
    const binding = { role: 'roles/iam.serviceAccountUser', members: ['user:dev@example.com'] }
    await world.post(`${ACCOUNTS}/${EMAIL}:setIamPolicy`, { policy: { bindings: [binding] } })
    expect((await deploy()).status).toBe(200)
  })
})
