import { afterEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
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

  describe('against a state that was kept', () => {
    const GRANTED = {
      role: 'roles/run.invoker',
      members: ['serviceAccount:123456789012-compute@developer.gserviceaccount.com'],
    }
    /** Starts on the same folder again and again: `change` is made by calls, between the first start and the next. */
    async function restarts(manifests: string, change: (call: Call) => Promise<unknown>) {
      const data = join(folderOf({}), 'data')
      const first = await start(manifests, [], data)
      const { accessToken } = await signIn(first.url)
      await change((method, path, body) => callApi(first.url, accessToken, method, path, body))
      await first.close()
      started.pop()
      return async () => {
        const lines: string[] = []
        const emulator = await start(manifests, lines, data)
        const close = async () => {
          await emulator.close()
          started.pop()
        }
        return { lines, state: emulator.state, close }
      }
    }
    type Call = (method: string, path: string, body?: object) => Promise<unknown>
    const grant = (call: Call) =>
      call('POST', `${LOCATED}/billing:setIamPolicy`, { policy: { bindings: [GRANTED] } })

    test('what was acknowledged after a document was applied stays, restart after restart, and a line says so', async () => {
      const manifests = folderOf({ 'billing.yaml': SHORT, 'billing.policy.yaml': POLICY })
      const again = await restarts(manifests, grant)
      for (let restart = 0; restart < 3; restart += 1) {
        const { lines, state, close } = await again()
        expect(state.services.list()[0]?.policy.bindings).toEqual([GRANTED])
        expect(lines).toEqual([
          expect.stringMatching(
            /billing\.yaml: applied before and not changed since: the service us-central1\/billing stays as it was left$/,
          ),
          expect.stringMatching(
            /billing\.policy\.yaml: .*: the policy of service us-central1\/billing stays as it was left$/,
          ),
        ])
        await close()
      }
    })

    test('a document that has changed since replaces what was kept, alone, and a line says so', async () => {
      const manifests = folderOf({ 'billing.yaml': SHORT, 'billing.policy.yaml': POLICY })
      const again = await restarts(manifests, grant)
      writeFileSync(join(manifests, 'billing.policy.yaml'), POLICY.replace('run.invoker', 'run.viewer'))
      const { lines, state } = await again()
      expect(state.services.list()[0]?.policy.bindings).toMatchObject([{ role: 'roles/run.viewer' }])
      expect(state.revisions.size).toBe(1)
      expect(lines).toEqual([
        expect.stringMatching(/billing\.yaml: applied before and not changed since/),
        expect.stringMatching(
          /billing\.policy\.yaml: changed since it was applied: it replaces the policy of service us-central1\/billing that was kept$/,
        ),
      ])
    })

    test('what was deleted stays so; indentation, comments and the order of keys are no change', async () => {
      const manifests = folderOf({ 'billing.yaml': SHORT })
      const again = await restarts(manifests, (call) => call('DELETE', `${SERVICES}/billing`))
      const [, kind = '', ...rest] = SHORT.trim().split('\n')
      writeFileSync(
        join(manifests, 'billing.yaml'),
        `# as before\n${rest.join('\n')}\n${kind}\napiVersion: serving.knative.dev/v1\n`,
      )
      const { state } = await again()
      expect(state.services.size).toBe(0)
    })

    test('what a file no longer says is forgotten: said again, it is applied again', async () => {
      const manifests = folderOf({ 'billing.yaml': SHORT, 'billing.policy.yaml': POLICY })
      const again = await restarts(manifests, grant)
      rmSync(join(manifests, 'billing.policy.yaml'))
      await (await again()).close()
      writeFileSync(join(manifests, 'billing.policy.yaml'), POLICY)
      const { state } = await again()
      expect(state.services.list()[0]?.policy.bindings).toMatchObject([
        { members: ['serviceAccount:orders-sa@demo-project.iam.gserviceaccount.com'] },
      ])
    })

    test('so it is with every kind of document, whatever was changed and however often it is started', async () => {
      const member = fc.constantFrom('user:a@example.com', 'user:b@example.com', 'allUsers')
      const step = fc.oneof(
        fc.record({ by: fc.constant('call' as const), member }),
        fc.record({ by: fc.constant('file' as const), member }),
        fc.constant({ by: 'restart' as const }),
      )
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 5 }), async (steps) => {
          const manifests = folderOf({ 'billing.yaml': SHORT })
          const data = join(folderOf({}), 'data')
          const write = (members: readonly string[]) =>
            writeFileSync(
              join(manifests, 'billing.policy.yaml'),
              JSON.stringify({ bindings: [{ role: 'roles/run.invoker', members }] }),
            )
          write(['user:first@example.com'])
          let expected = ['user:first@example.com']
          let written = expected
          let applied = expected
          let emulator = await start(manifests, [], data)
          for (const each of [...steps, { by: 'restart' as const }]) {
            if (each.by === 'file') {
              written = [each.member]
              write(written)
            } else if (each.by === 'call') {
              expected = [each.member]
              const { accessToken } = await signIn(emulator.url)
              const policy = { bindings: [{ role: 'roles/run.invoker', members: expected }] }
              await callApi(emulator.url, accessToken, 'POST', `${LOCATED}/billing:setIamPolicy`, { policy })
            } else {
              await emulator.close()
              started.pop()
              emulator = await start(manifests, [], data)
              // A file counts when it says something else than when it was applied last.
              if (written.join() !== applied.join()) expected = applied = written
              expect(emulator.state.services.list()[0]?.policy.bindings[0]?.members).toEqual(expected)
            }
          }
          await emulator.close()
          started.pop()
        }),
        { numRuns: 8 },
      )
    }, 60_000)
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
