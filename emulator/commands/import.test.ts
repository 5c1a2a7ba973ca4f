import { afterAll, afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, parseAllDocuments } from 'yaml'
import { ACCOUNTS, callApi, LOCATED, manifest, SERVICES, signIn } from '../emulator.fixture.ts'
import { type Emulator, startEmulator } from '../emulator.ts'

setDefaultTimeout(20_000)

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url))
const PROJECT = '/v1/projects/demo-project'
const ORDERS = 'serviceAccount:orders-sa@demo-project.iam.gserviceaccount.com'

const folders: string[] = []
const started: Emulator[] = []
const upstream = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('hello') })
afterEach(async () => {
  await Promise.all(started.splice(0).map((emulator) => emulator.close()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})
afterAll(() => upstream.stop(true))

async function emulator(): Promise<Emulator> {
  const { href } = upstream.url
  const one = await startEmulator({ port: 0, upstream: { billing: href, orders: href, far: href } })
  started.push(one)
  return one
}

function folderOf(files: Record<string, string | object>): string {
  const folder = mkdtempSync(join(tmpdir(), 'invoker-import-test-'))
  folders.push(folder)
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content))
  return folder
}

const command = (...args: string[]) => commandWith({ PATH: process.env.PATH ?? '' }, ...args)

async function commandWith(env: Readonly<Record<string, string>>, ...args: string[]) {
  const child = Bun.spawn([process.execPath, MAIN, ...args], {
    env: { ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { stdout, stderr, exitCode }
}

const importInto = ({ url }: Emulator, ...args: string[]) =>
  command('import', '--project', 'demo-project', '--url', url, ...args)

/** Calls Google's APIs of it as the owner. */
async function owner({ url }: Emulator) {
  const { accessToken } = await signIn(url)
  return async (method: string, path: string, body?: object) => {
    const answer = await callApi(url, accessToken, method, path, body)
    expect([path, answer.status]).toEqual([path, 200])
    return answer.body
  }
}

/** A project with whatever a document may hold. */
async function furnished(): Promise<Emulator> {
  const one = await emulator()
  const call = await owner(one)
  for (const accountId of ['orders-sa', 'billing-sa']) await call('POST', ACCOUNTS, { accountId })
  const billing = manifest('billing', { env: { COLOUR: 'blue', TEXT: 'two\nlines', NUMBER: '007' } })
  await call('POST', SERVICES, {
    ...billing,
    metadata: {
      ...billing.metadata,
      annotations: {
        'run.googleapis.com/ingress': 'internal',
        'run.googleapis.com/custom-audiences': '["https://billing.example"]',
      },
    },
    spec: {
      template: {
        spec: {
          ...billing.spec.template.spec,
          serviceAccountName: 'billing-sa@demo-project.iam.gserviceaccount.com',
        },
      },
    },
  })
  await call('POST', SERVICES, manifest('orders'))
  await call('POST', '/v2/projects/demo-project/locations/europe-west1/services?serviceId=far', {
    template: { containers: [{ image: 'gcr.io/demo-project/far' }] },
  })
  const condition = { title: 'for now', expression: 'request.time < timestamp("2099-01-01T00:00:00Z")' }
  await call('POST', `${LOCATED}/billing:setIamPolicy`, {
    policy: {
      version: 3,
      bindings: [
        { role: 'roles/run.invoker', members: [ORDERS] },
        { role: 'roles/run.viewer', members: ['group:everybody@example.com'], condition },
      ],
    },
  })
  const far = '/v1/projects/demo-project/locations/europe-west1/services/far'
  await call('POST', `${far}:setIamPolicy`, {
    policy: { bindings: [{ role: 'roles/run.invoker', members: ['allUsers'] }] },
  })
  const policy = await call('POST', `${PROJECT}:getIamPolicy`, {})
  const viewer = { role: 'roles/viewer', members: [ORDERS] }
  await call('POST', `${PROJECT}:setIamPolicy`, {
    policy: { ...policy, bindings: [...policy.bindings, viewer] },
  })
  return one
}

/** Etags are a policy's own, and new with every change. */
const withoutEtags = (text: string) => text.replace(/^etag: .*\n/gm, '')

describe('export, then import into an emulator that is empty', () => {
  test('prints the same documents again: services of every region, their policies and the project’s', async () => {
    const folder = join(folderOf({}), 'documents')
    const first = await furnished()
    const exported = await command('export', '--url', first.url, '--dir', folder)
    expect(exported.exitCode).toBe(0)
    expect(readdirSync(folder).sort()).toEqual([
      'billing.policy.yaml',
      'billing.yaml',
      'far.europe-west1.policy.yaml',
      'far.europe-west1.yaml',
      'orders.policy.yaml',
      'orders.yaml',
      'policy.yaml',
    ])

    const second = await emulator()
    const imported = await importInto(second, folder)
    expect([imported.exitCode, imported.stdout]).toEqual([0, ''])
    expect(imported.stderr).toEndWith('7 of 7 documents applied\n')

    const [before, after] = [
      await command('export', '--url', first.url),
      await command('export', '--url', second.url),
    ]
    expect(withoutEtags(after.stdout)).toBe(withoutEtags(before.stdout))
    expect(parseAllDocuments(before.stdout)).toHaveLength(7)
    expect(before.stdout).toContain('---\n# billing.policy.yaml\n')
  })

  test('leaves out what gcloud’s own export does, and keeps the rest', async () => {
    const folder = join(folderOf({}), 'documents')
    await command('export', '--url', (await furnished()).url, '--dir', folder)
    const service = parse(readFileSync(join(folder, 'billing.yaml'), 'utf8'))
    expect(Object.keys(service)).toEqual(['apiVersion', 'kind', 'metadata', 'spec'])
    expect(Object.keys(service.metadata)).toEqual(['annotations', 'labels', 'name', 'namespace'])
    expect(service.metadata.annotations['run.googleapis.com/ingress']).toBe('internal')
    expect(service.metadata.annotations).not.toContainKey('serving.knative.dev/creator')
    expect(service.spec.template.spec.containers[0].env).toEqual([
      { name: 'COLOUR', value: 'blue' },
      { name: 'TEXT', value: 'two\nlines' },
      { name: 'NUMBER', value: '007' },
    ])
  })
})

describe('documents of a real project', () => {
  test('what describe prints is taken whole, as JSON or YAML; traffic to revisions that are not here goes to the latest', async () => {
    const call = await owner(await furnished())
    const service = await call('GET', `${SERVICES}/billing`)
    service.spec.traffic = [
      { revisionName: 'billing-00041-abc', percent: 90 },
      { revisionName: 'billing-00042-abd', percent: 10, tag: 'next' },
    ]
    const target = await emulator()
    const { stderr, exitCode } = await importInto(target, folderOf({ 'list.json': [service] }))
    expect(exitCode).toBe(0)
    expect(stderr).toContain(
      'list.json: billing sends its traffic to the latest revision: billing-00041-abc, billing-00042-abd is not here\n',
    )
    const [made] = target.state.services.list()
    expect(made).toMatchObject({ name: 'billing', traffic: [{ percent: 100 }] })
    expect(made?.latestReadyRevision).toStartWith('billing-00001-')
  })

  test('members and roles that do not exist here are left out, and said; Google’s own agents stay', async () => {
    const agent = 'serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com'
    const files = {
      'policy.json': {
        etag: 'BwYzExample=',
        version: 1,
        bindings: [
          { role: 'roles/run.serviceAgent', members: [agent] },
          {
            role: 'roles/editor',
            members: ['serviceAccount:ci@other-project.iam.gserviceaccount.com', ORDERS],
          },
          { role: 'projects/demo-project/roles/ours', members: ['user:somebody@example.com'] },
        ],
      },
    }
    const target = await emulator()
    const { stderr, exitCode } = await importInto(target, folderOf(files))
    expect(exitCode).toBe(0)
    expect(stderr.replaceAll(/^.*\//gm, '')).toBe(
      [
        'policy.json: user:developer@example.com, who owns the emulator (--account), stays an owner',
        'policy.json: created service account orders-sa@demo-project.iam.gserviceaccount.com',
        'policy.json: left out serviceAccount:ci@other-project.iam.gserviceaccount.com, which does not exist here',
        'ours, which does not exist here', // up to the last slash, of the role
        '1 of 1 documents applied\n',
      ].join('\n'),
    )
    const policy = await (await owner(target))('POST', `${PROJECT}:getIamPolicy`, {})
    expect(policy.bindings).toEqual([
      { role: 'roles/run.serviceAgent', members: [agent] },
      { role: 'roles/editor', members: [ORDERS] },
      { role: 'roles/owner', members: ['user:developer@example.com'] },
    ])
  })

  test('a policy that nobody has set is an etag alone, and is taken', async () => {
    const target = await emulator()
    const call = await owner(target)
    await call('POST', SERVICES, manifest('billing'))
    const { exitCode } = await importInto(target, folderOf({ 'billing.policy.yaml': 'etag: ACAB\n' }))
    expect(exitCode).toBe(0)
    expect((await call('GET', `${LOCATED}/billing:getIamPolicy`)).bindings).toBeUndefined()
  })
})

describe('--live', () => {
  /** A program of the name in a folder of its own. What the real one prints is for conformance/gcloud/import.test.ts. */
  function gcloud(script: string): string {
    const folder = folderOf({ gcloud: `#!/bin/sh\n${script}\n` })
    chmodSync(join(folder, 'gcloud'), 0o755)
    return folder
  }
  const live = async (path: string, more: Readonly<Record<string, string>> = {}) => {
    const { url } = await emulator()
    const env = { PATH: `${path}:/bin:/usr/bin`, ...more }
    return commandWith(env, 'import', '--project', 'demo-project', '--url', url, '--live')
  }

  test('asks the gcloud of the shell as it was before `emulator env` pointed it here', async () => {
    const path = gcloud('echo "$CLOUDSDK_CONFIG, proxy: $https_proxy." >&2; exit 1')
    const { stderr, exitCode } = await live(path, {
      CLOUDSDK_CONFIG: '/of/the/emulator',
      https_proxy: 'http://127.0.0.1:8080',
      _INVOKER_ENV_BEFORE: JSON.stringify({ CLOUDSDK_CONFIG: '/my/own', https_proxy: null }),
    })
    expect(stderr).toBe(
      'emulator import: gcloud run services list --project demo-project ended with 1: /my/own, proxy: .\n',
    )
    expect(exitCode).toBe(1)
  })

  test('where there is no gcloud, says so', async () => {
    const { url } = await emulator()
    const args = ['import', '--project', 'demo-project', '--url', url, '--live']
    const { stderr, exitCode } = await commandWith({ PATH: folderOf({}) }, ...args)
    expect(stderr).toMatch(/^emulator import: gcloud does not start: [^\n]*\n$/)
    expect(exitCode).toBe(1)
  })
})

describe('what is wrong is said', () => {
  test.each([
    ['neither files nor --live', [], /^emulator import: expected files or folders, or --live\.\n$/],
    ['a file that is not there', ['/nowhere'], /^emulator import: manifests: expected a file or folder/],
  ])('%s: one line, exit 1', async (_what, args, line) => {
    const { stderr, exitCode } = await importInto(await emulator(), ...args)
    expect(stderr).toMatch(line)
    expect(stderr).toMatch(/^[^\n]+\n$/)
    expect(exitCode).toBe(1)
  })

  test('another project: how to start its emulator', async () => {
    const { url } = await emulator()
    const { stderr, exitCode } = await command('import', '--project', 'other-project', '--url', url, '.')
    expect(stderr).toContain('is project demo-project. Start it with --project other-project')
    expect(exitCode).toBe(1)
  })

  test('a policy in a file that does not say whose it is', async () => {
    const file = join(folderOf({ 'iam.yaml': 'etag: ACAB\n' }), 'iam.yaml')
    const { stderr, exitCode } = await importInto(await emulator(), file)
    expect(stderr).toEndWith("Name its file SERVICE.policy.yaml, or policy.yaml for the project's.\n")
    expect(exitCode).toBe(1)
  })

  test('a document that is refused, in Google’s words; the others are applied', async () => {
    const target = await emulator()
    const files = { 'a.json': manifest('Billing'), 'b.json': manifest('orders') }
    const { stderr, exitCode } = await importInto(target, folderOf(files))
    expect(stderr).toMatch(/a\.json cannot be applied: .*only lowercase.*\n1 of 2 documents applied\n$/s)
    expect(exitCode).toBe(2)
    expect(target.state.services.list().map(({ name }) => name)).toEqual(['orders'])
  })
})
