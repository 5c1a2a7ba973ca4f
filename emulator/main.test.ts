import { afterAll, afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import {
  ACCOUNTS,
  callApi,
  computeToken,
  endEmulators,
  LOCATED,
  manifest,
  SERVICES,
  signIn,
  spawnEmulator,
  visit,
} from './emulator.fixture.ts'

setDefaultTimeout(20_000)

afterEach(endEmulators)

const made: string[] = []
const orphans = new Set<number>()
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true })
  for (const pid of orphans) end(pid)
})

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'invoker-main-'))
  made.push(folder)
  return folder
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** A container that answers with its process id. */
const WHO = `pid=exec '${process.execPath}' -e 'Bun.serve({ port: process.env.PORT, fetch: () => new Response(String(process.pid)) })'`

describe('starting', () => {
  test('says in a few lines what listens, where, and how enforcement stands', async () => {
    const emulator = spawnEmulator(['--upstream', 'receiver=http://127.0.0.1:9', '--publish', '0=receiver'])
    await emulator.match(/state .*\n/)
    const lines = emulator.output().trimEnd().split('\n')
    expect(lines.length).toBeLessThan(12)
    expect(emulator.output()).toMatch(/project +demo-project \(123456789012\), region us-central1/)
    expect(emulator.output()).toMatch(/listening +http:\/\/127\.0\.0\.1:\d+ /)
    expect(emulator.output()).toMatch(/http:\/\/127\.0\.0\.1:\d+ +receiver\n/)
    expect(emulator.output()).toMatch(/upstream +receiver at http:\/\/127\.0\.0\.1:9\n/)
    expect(emulator.output()).toMatch(/enforcement +on for every service: 403 .*401/)
    expect(emulator.output()).toMatch(/state +in memory/)
  })

  test.each([
    ['an unknown flag', ['--prot', '1'], {}, /^emulator: unknown option '--prot'.*--help\.$/],
    ['an unknown variable', [], { INVOKER_PROT: '1' }, /^emulator: INVOKER_PROT is not a setting\. /],
    ['a malformed flag', ['--project-number', 'x'], {}, /^emulator: --project-number: expected .*"x"\.$/],
    [
      'a malformed variable',
      [],
      { INVOKER_UPSTREAM: 'x' },
      /^emulator: INVOKER_UPSTREAM: expected SERVICE=URL/,
    ],
    ['an address that is not here', ['--host', '192.0.2.1'], {}, /^emulator: cannot listen: /],
    [
      'a data folder that is none',
      ['--data', '/dev/null'],
      {},
      /^emulator: The data folder \/dev\/null cannot/,
    ],
  ] as const)('%s stops it with one line and exit code 1', async (_what, flags, variables, line) => {
    const emulator = spawnEmulator(flags, variables)
    expect(await emulator.process.exited).toBe(1)
    const errors = await emulator.errors
    expect(errors.trimEnd()).toMatch(line)
    expect(errors).toMatch(/^[^\n]+\n$/)
    expect(emulator.output()).toBe('')
  })

  test.each([
    [
      'a damaged file',
      'invoker.sqlite',
      (path: string) => writeFileSync(path, 'a page of something else\n'.repeat(500)),
      /^emulator: The data folder cannot be used: .*\/invoker\.sqlite is damaged \(.*\)\. Put back a copy of it, or move it away/,
    ],
    [
      'a folder where the file should be',
      'invoker.sqlite',
      (path: string) => mkdirSync(path),
      /^emulator: The data folder .* cannot be used: .*\/invoker\.sqlite\)\. Name a folder that can be written\.$/,
    ],
    [
      'a file where the folder of objects should be',
      'objects',
      (path: string) => writeFileSync(path, ''),
      /^emulator: The objects folder .*\/objects cannot be used: .*Move away what is there, or name another data folder\.$/,
    ],
  ] as const)(
    '%s in the data folder is one line that names it and the way out',
    async (_what, name, spoil, line) => {
      const folder = newFolder()
      spoil(join(folder, name))
      const emulator = spawnEmulator(['--data', folder])
      expect(await emulator.process.exited).toBe(1)
      const errors = await emulator.errors
      expect(errors.trimEnd()).toMatch(line)
      expect(errors).toMatch(/^[^\n]+\n$/)
    },
  )

  test('a data folder that cannot be written is one line that names it and the way out', async () => {
    // Nobody makes a folder there, root neither.
    const emulator = spawnEmulator(['--data', '/proc/invoker'])
    expect(await emulator.process.exited).toBe(1)
    expect(await emulator.errors).toMatch(
      /^emulator: The data folder \/proc\/invoker cannot be used: [^\n]*Name a folder that can be written\.\n$/,
    )
  })

  test('a port that is taken stops it with one line and exit code 1', async () => {
    const other = createServer()
    const port = await new Promise<number>((resolve) =>
      other.listen(0, '127.0.0.1', () => {
        const address = other.address()
        resolve(typeof address === 'object' && address ? address.port : 0)
      }),
    )
    const emulator = spawnEmulator(['--port', String(port)])
    expect(await emulator.process.exited).toBe(1)
    expect(await emulator.errors).toMatch(
      /^emulator: port \d+ is taken: end what listens there, or name another with --port\.\n$/,
    )
    other.close()
  })

  test('names in settings by which nothing is deployed are one line, and what they may have meant', async () => {
    const manifests = join(newFolder(), 'billing.yaml')
    const document = manifest('billing')
    writeFileSync(manifests, JSON.stringify({ ...document, metadata: { name: 'billing' } }))
    const flags = ['--manifests', manifests, '--upstream', 'billing=http://127.0.0.1:9']
    const emulator = spawnEmulator([
      ...flags,
      '--upstream',
      'biling=http://127.0.0.1:9',
      '--instance',
      '0=orders',
    ])
    await emulator.match(/state .*\n/)
    emulator.process.kill('SIGTERM')
    expect(await emulator.errors).toBe(
      'Not deployed yet, so of no effect: --upstream biling (did you mean billing?), --instance orders\n',
    )
  })

  test('a second emulator on the same data folder is refused with one line', async () => {
    const folder = newFolder()
    const first = spawnEmulator(['--data', folder])
    const url = await first.url()
    const second = spawnEmulator(['--data', folder])
    expect(await second.process.exited).toBe(1)
    expect(await second.errors).toMatch(
      /^emulator: The data folder .*Another emulator is using it: [^\n]*\n$/,
    )
    expect((await fetch(`${url}/_emulator/health`)).status).toBe(200)
  })

  test('facts 6.8: the first request that is accepted finds two keys', async () => {
    const listener = createServer()
    const port = await new Promise<number>((resolve) =>
      listener.listen(0, '127.0.0.1', () => {
        const address = listener.address()
        resolve(typeof address === 'object' && address ? address.port : 0)
      }),
    )
    await new Promise((resolve) => listener.close(resolve))
    const emulator = spawnEmulator(['--port', String(port)])
    const ended = emulator.process.exited.then(() => true)
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${port}/oauth2/v3/certs`).catch(() => undefined)
      if (answer) {
        expect(await answer.json()).toMatchObject({ keys: [{ alg: 'RS256' }, { alg: 'RS256' }] })
        return
      }
      if (await Promise.race([ended, Bun.sleep(1).then(() => false)])) throw new Error(await emulator.errors)
    }
  })
})

describe('ending', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s ends it with exit code 0, and the processes that it started',
    async (signal) => {
      const emulator = spawnEmulator(['--image', WHO])
      const url = await emulator.url()
      const { accessToken } = await signIn(url)
      await callApi(url, accessToken, 'POST', SERVICES, manifest('who', { image: 'pid' }))
      const pid = Number((await visit(url, 'who', await computeToken(url, 'who'))).body)
      orphans.add(pid)
      expect(isAlive(pid)).toBe(true)
      emulator.process.kill(signal)
      expect(await emulator.process.exited).toBe(0)
      expect(isAlive(pid)).toBe(false)
      expect(await emulator.errors).toBe('')
    },
  )
})

test('every request is one line that says when, where and why, with the URL of its decision, and never tells a token', async () => {
  const emulator = spawnEmulator(['--image', WHO])
  const url = await emulator.url()
  const { accessToken } = await signIn(url)
  await callApi(url, accessToken, 'POST', SERVICES, manifest('who', { image: 'pid' }))
  await visit(url, 'who')
  const [, read = ''] = await emulator.match(
    /^\d{4}-\d\d-\d\dT[\d:.]+Z 403 GET us-central1 who\/ {2}credential: expected one bearer token, got no Authorization.* {2}(http:\S+)$/m,
  )
  expect(await (await fetch(read)).json()).toMatchObject({ service: 'who', status: 403 })
  const token = await computeToken(url, 'who')
  orphans.add(Number((await visit(url, 'who', token)).body))
  await emulator.match(
    / 200 GET us-central1 who\/ {2}serviceAccount:123456789012-compute@.* holds roles\/editor/m,
  )
  await visit(url, 'who', `${token.slice(0, token.lastIndexOf('.'))}.${'A'.repeat(342)}`)
  await emulator.match(/ 401 GET us-central1 who\/ {2}token-signature: /m)
  expect(emulator.output()).not.toContain(token.slice(0, 40))
  expect(emulator.output()).not.toContain(accessToken)
})

describe('killed with SIGKILL and started again on its data folder', () => {
  test('everything acknowledged is there: services run, policies and accounts stand, tokens of before are good', async () => {
    const folder = newFolder()
    const first = spawnEmulator(['--data', folder, '--image', WHO])
    const before = await first.url()
    const { accessToken, idToken } = await signIn(before)
    const call = (...rest: [method: string, path: string, body?: object]) =>
      callApi(before, accessToken, ...rest)
    const deployed = await call('POST', SERVICES, manifest('who', { image: 'pid' }))
    const account = await call('POST', ACCOUNTS, { accountId: 'calling-service-sa' })
    const policy = await call('POST', `${LOCATED}/who:setIamPolicy`, {
      policy: {
        bindings: [{ role: 'roles/run.invoker', members: [`serviceAccount:${account.body.email}`] }],
      },
    })
    const service = await call('GET', `${SERVICES}/who`)
    const token = await computeToken(before, 'who')
    const pid = Number((await visit(before, 'who', token)).body)
    orphans.add(pid)
    expect([deployed, account, policy, service].map(({ status }) => status)).toEqual([200, 200, 200, 200])
    await first.crash()

    const second = spawnEmulator(['--data', folder, '--image', WHO])
    await second.match(/services +who\n/)
    const after = await second.url()
    const again = (path: string) => callApi(after, accessToken, 'GET', path)
    expect((await again(`${SERVICES}/who`)).body).toEqual(service.body)
    expect((await again(`${LOCATED}/who:getIamPolicy`)).body).toEqual(policy.body)
    expect((await again(`${ACCOUNTS}/${account.body.email}`)).body).toEqual(account.body)
    // Tokens minted before: a service account's, and a person's.
    const answer = await visit(after, 'who', token)
    expect(answer.status).toBe(200)
    orphans.add(Number(answer.body))
    // It runs again, as a process of the new emulator; the one that the killed emulator could not end is gone.
    expect(Number(answer.body)).not.toBe(pid)
    while (isAlive(pid)) await Bun.sleep(10)
    expect((await visit(after, 'who', idToken)).status).toBe(200)
    expect((await visit(after, 'who')).status).toBe(403)
  })

  test('at any moment of a stream of writes: nothing that was acknowledged is lost, nothing is half there', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 4 }), crashAmidWrites),
      { numRuns: 4, endOnFailure: true },
    )
  }, 60_000)
})

/** Lets so many writers write until so many writes have been acknowledged, and then cuts the power on the rest. */
async function crashAmidWrites(acknowledgements: number, writers: number): Promise<void> {
  const folder = newFolder()
  const flags = ['--data', folder, '--upstream', 'busy=http://127.0.0.1:9']
  const first = spawnEmulator(flags)
  const url = await first.url()
  const { accessToken } = await signIn(url)
  await callApi(url, accessToken, 'POST', SERVICES, manifest('busy'))

  const kept = { accounts: new Set<string>(), members: new Set<string>(), revision: 0 }
  let done = 0
  const write = async (writer: number) => {
    for (let turn = 1; done < acknowledgements; turn += 1) {
      const accountId = `account-${writer}-${turn}`
      const made = await callApi(url, accessToken, 'POST', ACCOUNTS, { accountId })
      if (made.status === 200) kept.accounts.add(made.body.email)
      done += 1
      const member = `user:writer-${writer}-${turn}@example.com`
      const { body: policy } = await callApi(url, accessToken, 'GET', `${LOCATED}/busy:getIamPolicy`)
      const bindings = [
        { role: 'roles/run.invoker', members: [...(policy.bindings?.[0]?.members ?? []), member] },
      ]
      const set = await callApi(url, accessToken, 'POST', `${LOCATED}/busy:setIamPolicy`, {
        policy: { ...policy, bindings },
      })
      // facts 6.9: a lost race is 409, and its member is then not to be there.
      if (set.status === 200) kept.members.add(member)
      done += 1
      if (writer > 0) continue
      const env = { TURN: String(turn) }
      const replaced = await callApi(url, accessToken, 'PUT', `${SERVICES}/busy`, manifest('busy', { env }))
      if (replaced.status === 200) kept.revision = turn
      done += 1
    }
  }
  const broken = Array.from({ length: writers }, (_, writer) => write(writer).catch(() => undefined))
  while (done < acknowledgements) await Promise.race([...broken, Bun.sleep(0)])
  await first.crash()
  await Promise.all(broken)

  const second = spawnEmulator(flags)
  const again = await second.url()
  const accounts = await callApi(again, accessToken, 'GET', `${ACCOUNTS}?pageSize=100`)
  const emails = new Set(accounts.body.accounts.map(({ email }: { email: string }) => email))
  for (const email of kept.accounts) expect(emails).toContain(email)
  const policy = await callApi(again, accessToken, 'GET', `${LOCATED}/busy:getIamPolicy`)
  const members = new Set(policy.body.bindings?.[0]?.members ?? [])
  for (const member of kept.members) expect(members).toContain(member)
  const { body: service } = await callApi(again, accessToken, 'GET', `${SERVICES}/busy`)
  const [container] = service.spec.template.spec.containers
  expect(Number(container.env?.[0]?.value ?? 0)).toBeGreaterThanOrEqual(kept.revision)
  // A deployment that was broken off has been finished.
  expect(service.status.conditions).toContainEqual(expect.objectContaining({ type: 'Ready', status: 'True' }))
  expect(service.status.latestReadyRevisionName).toBe(service.status.latestCreatedRevisionName)
  await second.crash()
}
