import { afterEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { callApi, LOCATED, SERVICES, signIn, visit } from './emulator.fixture.ts'
import { type Emulator, startEmulator } from './emulator.ts'

const folders: string[] = []
const started: Emulator[] = []
afterEach(async () => {
  await Promise.all(started.splice(0).map((emulator) => emulator.close()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

const upstream = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('hello') })

function folderOf(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'invoker-manifests-'))
  folders.push(folder)
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
  return folder
}

async function start(manifests: string, lines: string[] = [], data?: string) {
  const emulator = await startEmulator(
    {
      port: 0,
      manifests,
      upstream: { orders: upstream.url.href, billing: upstream.url.href },
      ...(data ? { data } : {}),
    },
    { log: (line) => lines.push(line) },
  )
  started.push(emulator)
  return emulator
}

/** What a person writes. */
const SHORT = `
apiVersion: serving.knative.dev/v1
kind: Service
metadata: { name: billing }
spec:
  template:
    spec:
      serviceAccountName: billing-sa@demo-project.iam.gserviceaccount.com
      containers: [{ image: gcr.io/demo-project/billing }]
`
const POLICY = `
bindings:
- members:
  - serviceAccount:orders-sa@demo-project.iam.gserviceaccount.com
  role: roles/run.invoker
etag: BwYzExample=
version: 1
`

describe('--manifests', () => {
  test('deploys a service as its account, which is made if need be', async () => {
    const lines: string[] = []
    const { state } = await start(folderOf({ 'billing.yaml': SHORT }), lines)
    const [service] = state.services.list()
    expect(service).toMatchObject({
      name: 'billing',
      region: 'us-central1',
      creator: 'developer@example.com',
      template: { serviceAccount: 'billing-sa@demo-project.iam.gserviceaccount.com' },
    })
    expect(lines).toEqual([
      expect.stringMatching(
        /billing\.yaml: created service account billing-sa@demo-project\.iam\.gserviceaccount\.com$/,
      ),
    ])
  })

  test('a policy file says who may call the service that it is named for, and nobody else may', async () => {
    const emulator = await start(folderOf({ 'billing.yaml': SHORT, 'billing.policy.yaml': POLICY }))
    const audience = 'http://billing-123456789012.us-central1.run.app'
    const token = async (account: string) => {
      const response = await fetch(`${emulator.url}/_emulator/tokens`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ serviceAccount: `${account}@demo-project.iam.gserviceaccount.com`, audience }),
      })
      return ((await response.json()) as { token: string }).token
    }
    expect((await visit(emulator.url, 'billing')).status).toBe(403)
    expect(await visit(emulator.url, 'billing', await token('orders-sa'))).toEqual({
      status: 200,
      body: 'hello',
    })
    expect((await visit(emulator.url, 'billing', await token('billing-sa'))).status).toBe(403)
  })

  test('takes back what the API itself prints, in its region, as YAML documents or as a JSON list', async () => {
    const first = await start(folderOf({ 'all.yaml': `${SHORT}---${SHORT.replaceAll('billing', 'orders')}` }))
    const { accessToken } = await signIn(first.url)
    const described = await callApi(first.url, accessToken, 'GET', `${SERVICES}/billing`)
    expect(described.status).toBe(200)
    expect(first.state.services.size).toBe(2)
    const { metadata } = described.body
    metadata.labels['cloud.googleapis.com/location'] = 'europe-west1'

    const second = await start(folderOf({ 'billing.json': JSON.stringify([described.body]) }))
    expect(second.state.services.list()).toMatchObject([{ name: 'billing', region: 'europe-west1' }])
  })

  test('applied to a state that was kept, makes no second revision', async () => {
    const manifests = folderOf({ 'billing.yaml': SHORT, 'billing.policy.yaml': POLICY })
    const data = join(folderOf({}), 'data')
    const first = await start(manifests, [], data)
    const [revision] = first.state.revisions.list()
    await first.close()
    started.pop()
    const second = await start(manifests, [], data)
    expect(second.state.revisions.list().map(({ name }) => name)).toEqual([revision?.name ?? ''])
  })

  test.each([
    [
      'a file that is not there',
      {},
      '/nowhere/at/all',
      /manifests: expected a file or folder that can be read/,
    ],
    ['a folder without a document', { 'README.txt': '' }, '', /manifests: expected a folder with \.yaml/],
    ['text that is not YAML', { 'a.yaml': 'a: [' }, '', /a\.yaml is not YAML/],
    [
      'a document of another kind',
      { 'a.yaml': 'kind: Job\nmetadata: {name: a}' },
      '',
      /a\.yaml: expected a Knative service.*kind/,
    ],
    [
      'a service that the API refuses',
      { 'a.yaml': SHORT.replace('name: billing', 'name: Billing') },
      '',
      /a\.yaml cannot be applied: .*only lowercase/s,
    ],
    [
      'a policy of no service',
      { 'nobody.policy.yaml': POLICY },
      '',
      /nobody\.policy\.yaml cannot be applied: .*nobody/,
    ],
    [
      'a policy with a member that is nobody',
      {
        'b.yaml': SHORT,
        'billing.policy.yaml': POLICY.replace(
          'serviceAccount:orders-sa@demo-project',
          'serviceAccount:x@other-project',
        ),
      },
      '',
      /billing\.policy\.yaml cannot be applied: .*does not exist/,
    ],
  ])('%s is one line, and no emulator', async (_, files, path, message) => {
    const error = await start(path || folderOf(files)).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ code: 'ERR_CONFIG', message: expect.stringMatching(message) })
  })

  test('a service that does not come up is said, and the rest is served', async () => {
    const lines: string[] = []
    const lost = SHORT.replaceAll('billing', 'lost')
    const { state } = await start(
      folderOf({ 'lost.yaml': lost, 'orders.yaml': SHORT.replaceAll('billing', 'orders') }),
      lines,
    )
    expect(lines.filter((line) => line.includes('does not serve'))).toEqual([
      expect.stringMatching(
        /lost\.yaml: lost does not serve: .*Image 'gcr\.io\/demo-project\/lost' not found\.$/,
      ),
    ])
    expect(state.services.list().map(({ name }) => name)).toEqual(['lost', 'orders'])
  })

  test("the address of the policy is Google's own", async () => {
    const { url } = await start(folderOf({ 'billing.yaml': SHORT, 'billing.policy.yaml': POLICY }))
    const { accessToken } = await signIn(url)
    const { body } = await callApi(url, accessToken, 'GET', `${LOCATED}/billing:getIamPolicy`)
    expect(body.bindings).toEqual([
      {
        role: 'roles/run.invoker',
        members: ['serviceAccount:orders-sa@demo-project.iam.gserviceaccount.com'],
      },
    ])
  })
})

describe('--instance', () => {
  test('is a port whose metadata server answers as the service, and as no other', async () => {
    const emulator = await startEmulator({
      port: 0,
      manifests: folderOf({ 'billing.yaml': SHORT }),
      upstream: { billing: upstream.url.href },
      instance: { 0: 'billing' },
    })
    started.push(emulator)
    const emailAt = async (url = '', host?: string) => {
      const response = await fetch(`${url}/computeMetadata/v1/instance/service-accounts/default/email`, {
        headers: { 'Metadata-Flavor': 'Google', ...(host ? { host } : {}) },
      })
      return `${response.status} ${await response.text()}`
    }
    expect(await emailAt(emulator.instances.billing)).toBe(
      '200 billing-sa@demo-project.iam.gserviceaccount.com',
    )
    expect(await emailAt(emulator.instances.billing, 'orders.metadata.google.internal')).toStartWith('403 ')
    expect(await emailAt(emulator.url)).toBe('200 123456789012-compute@developer.gserviceaccount.com')
  })

  test('says that there is no such service until it is deployed, and does not fall back on another account', async () => {
    const emulator = await startEmulator({ port: 0, instance: { 0: 'later' } })
    started.push(emulator)
    const response = await fetch(
      `${emulator.instances.later}/computeMetadata/v1/instance/service-accounts/default/email`,
      { headers: { 'Metadata-Flavor': 'Google' } },
    )
    expect(response.status).toBe(404)
  })
})
