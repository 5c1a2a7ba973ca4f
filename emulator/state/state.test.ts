import { afterAll, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mintIdToken } from '../tokens/mint.ts'
import { IdTokenVerifier } from '../tokens/verify.ts'
import { newPolicy } from './new-policy.ts'
import { State } from './state.ts'

const START = Date.parse('2026-06-01T12:00:00Z')
const HOUR = 3_600_000
const COMPUTE = '123456789012-compute@developer.gserviceaccount.com'
let now = START
beforeEach(() => {
  now = START
})

const made: string[] = []
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true })
})

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'invoker-state-'))
  made.push(folder)
  return folder
}

function open(data?: string): Promise<State> {
  return State.open({
    projectId: 'demo-project',
    projectNumber: '123456789012',
    scheme: 'http',
    region: 'us-central1',
    owner: 'Owner@Example.com',
    clock: () => now,
    groups: new Map(),
    domains: new Map(),
    ...(data === undefined ? {} : { data }),
  })
}

describe('a new project', () => {
  test('facts 1.7: its default compute service account is an Editor, its owner an Owner', async () => {
    const state = await open()
    expect(state.project('demo-project')?.policy.bindings).toEqual([
      { role: 'roles/editor', members: [`serviceAccount:${COMPUTE}`] },
      { role: 'roles/owner', members: ['user:owner@example.com'] },
    ])
    expect(state.project('123456789012')).toBe(state.project('demo-project'))
    const account = state.serviceAccount(COMPUTE)
    expect(account?.uniqueId).toMatch(/^\d{21}$/)
    expect(state.serviceAccount(account?.uniqueId ?? '')).toBe(account)
    state.close()
  })

  test('facts 6.8: it has two signing keys before anybody asks', async () => {
    const state = await open()
    expect(state.keys.published(now)).toHaveLength(2)
    state.close()
  })
})

describe('opened again', () => {
  test('it is the same project: nothing is begun anew, and tokens minted before verify', async () => {
    const folder = newFolder()
    const first = await open(folder)
    const account = first.serviceAccount(COMPUTE)
    if (!account) throw new Error('the account is missing')
    const project = first.project('demo-project')
    if (!project) throw new Error('the project is missing')
    first.projects.put('demo-project', { ...project, policy: newPolicy([]) })
    const idToken = await mintIdToken(first.keys, now, { subject: account, audience: 'https://a' })
    const { token } = first.issueAccessToken({ member: `serviceAccount:${COMPUTE}`, scopes: ['s'] })
    const kids = first.keys.published(now).map(({ kid }) => kid)
    first.close()

    now += HOUR - 60_000
    const second = await open(folder)
    expect(second.keys.published(now).map(({ kid }) => kid)).toEqual(kids)
    expect(second.project('demo-project')?.policy.bindings).toEqual([])
    expect(second.serviceAccount(COMPUTE)).toEqual(account)
    expect(second.accessToken(token)).toMatchObject({ scopes: ['s'] })
    const verified = await new IdTokenVerifier(second.keys).verify(idToken.token, now, {
      expected: 'https://a',
      accepts: (audience) => audience === 'https://a',
      mend: () => '',
    })
    expect(verified.checks.filter(({ passed }) => !passed)).toEqual([])
    second.close()
  })
})

describe('access tokens', () => {
  test('one lives an hour by the clock, and what has died is not kept', async () => {
    const state = await open()
    const { token, expireTime } = state.issueAccessToken({ member: 'user:a@example.com', scopes: [] })
    expect(token).toStartWith('ya29.')
    expect(expireTime).toBe(START + HOUR)
    now = expireTime - 1
    expect(state.accessToken(token)).toMatchObject({ member: 'user:a@example.com' })
    now = expireTime
    expect(state.accessToken(token)).toBeUndefined()
    state.issueAccessToken({ member: 'user:b@example.com', scopes: [] })
    expect(state.accessTokens.size).toBe(1)
    expect(state.accessToken('ya29.never-issued')).toBeUndefined()
    state.close()
  })

  test('none is in the data folder in the clear', async () => {
    const folder = newFolder()
    const state = await open(folder)
    const { token } = state.issueAccessToken({ member: 'user:a@example.com', scopes: [] })
    const files = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'))
    expect(files.some((text) => text.includes('user:a@example.com'))).toBe(true)
    expect(files.some((text) => text.includes(token))).toBe(false)
    state.close()
  })
})

test('a person is known from the first sight on, in any case, by one id', async () => {
  const state = await open()
  const user = state.user('Ann@Example.com')
  expect(user).toEqual({ email: 'ann@example.com', uniqueId: expect.stringMatching(/^\d{21}$/) })
  expect(state.user('ann@example.com')).toBe(user)
  state.close()
})

test('facts 6.9: etags change with every policy, and are eight bytes in base64', () => {
  const etags = Array.from({ length: 50 }, () => newPolicy([]).etag)
  expect(new Set(etags).size).toBe(50)
  for (const etag of etags) expect(etag).toMatch(/^B[w-z0-9+/][A-Za-z0-9+/]{9}=$/)
})
