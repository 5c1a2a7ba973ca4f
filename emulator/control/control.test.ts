import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Decision } from '../decision/decision.ts'
import { deploy, openTestState } from '../state/state.fixture.ts'
import type { State } from '../state/state.ts'
import { createControl } from './control.ts'

let state: State
beforeAll(async () => {
  state = await openTestState(() => Date.parse('2026-06-01T12:00:00Z'))
})
afterAll(() => state.close())

async function get(path: string) {
  const bindings = { host: 'localhost', scheme: 'http' as const, peer: { address: '127.0.0.1' } }
  const control = createControl({
    state,
    certificate: async () => 'PEM\n',
    tunnels: ({ address }) => address === '127.0.0.1',
    endpoints: { direct: ['IAM'], byName: { RUN: 'run.googleapis.com' } },
    googlePort: () => Promise.reject(new Error('nothing is pushed here')),
  })
  const response = await control.request(path, {}, bindings)
  const text = await response.text()
  // biome-ignore lint/suspicious/noExplicitAny: a test reads any part of an answer, and fails where it is not there
  return { status: response.status, text, body: (text.startsWith('{') ? JSON.parse(text) : undefined) as any }
}

function decision(service: string, path: string, passed: boolean): Decision {
  const check = {
    name: 'credential',
    expected: 'one bearer token',
    actual: 'none',
    mend: 'Send one.',
  } as const
  return {
    trace: '0'.repeat(32),
    time: '2026-06-01T12:00:00.000Z',
    service,
    method: 'GET',
    host: `${service}.example`,
    path,
    allowed: passed,
    status: passed ? 200 : 403,
    checks: [{ ...check, passed }],
  }
}

test('health says which project is emulated', async () => {
  const { status, body } = await get('/_emulator/health')
  expect(status).toBe(200)
  expect(body).toMatchObject({ status: 'ok', project: 'demo-project', region: 'us-central1' })
})

describe('decisions', () => {
  beforeAll(() => {
    for (let index = 0; index < 150; index += 1) {
      state.decisions.add(decision(index % 3 === 0 ? 'a' : 'b', `/${index}`, index !== 149))
    }
  })
  const paths = async (query: string) =>
    (await get(`/_emulator/decisions${query}`)).body.decisions.map(({ path }: Decision) => path)

  test('are told newest last, a hundred of them unless another number is asked for', async () => {
    const all = await paths('')
    expect(all).toHaveLength(100)
    expect(all.at(-1)).toBe('/149')
    expect(await paths('?limit=2')).toEqual(['/148', '/149'])
    expect(await paths('?limit=1000')).toHaveLength(150)
  })

  test('can be those of one service', async () => {
    expect(await paths('?service=a&limit=2')).toEqual(['/144', '/147'])
    expect(await paths('?service=nobody')).toEqual([])
  })

  test('say why in one line, beside every check that was made', async () => {
    const { body } = await get('/_emulator/decisions?limit=1')
    expect(body.decisions[0]).toMatchObject({
      status: 403,
      why: 'credential: expected one bearer token, got none. Send one.',
      checks: [{ name: 'credential', passed: false }],
    })
  })

  test.each(['0', '-1', '1.5', 'x', ''])('limit=%p is refused with what was expected', async (limit) => {
    const { status, body } = await get(`/_emulator/decisions?limit=${limit}`)
    expect(status).toBe(400)
    expect(body.error).toBe(`limit: expected a whole number of 1 or more, got ${JSON.stringify(limit)}.`)
  })
})

test('services are told with their URLs', async () => {
  const { url } = deploy(state, 'receiving-service')
  expect((await get('/_emulator/services')).body.services).toContainEqual({
    name: 'receiving-service',
    region: 'us-central1',
    url,
  })
})

test('a path that is not served says which ones are', async () => {
  const { status, body } = await get('/_emulator/nothing')
  expect(status).toBe(404)
  expect(body.error).toMatch(/^GET \/_emulator\/nothing is not served\. There are .*\/_emulator\/decisions/)
})

test('no answer holds a private key', async () => {
  for (const path of ['/', '/_emulator/health', '/_emulator/decisions', '/_emulator/services']) {
    const { status, text } = await get(path)
    expect(status).toBe(200)
    expect(text).not.toMatch(/PRIVATE|"d":|"privateJwk"/)
  }
})

test('tells what a shell needs to be pointed here', async () => {
  expect((await get('/_emulator/environment')).body).toEqual({
    project: state.place.projectId,
    projectNumber: state.place.projectNumber,
    region: state.region,
    account: state.owner,
    computeAccount: '123456789012-compute@developer.gserviceaccount.com',
    scheme: state.place.scheme,
    tunnels: true,
    endpoints: { direct: ['IAM'], byName: { RUN: 'run.googleapis.com' } },
  })
  expect((await get('/_emulator/ca.pem')).text).toBe('PEM\n')
})

describe('the end, when it is asked for', () => {
  const begun: string[] = []
  const ask = async (address: string, contentType: string, shutdown = true) => {
    const control = createControl({
      state,
      certificate: async () => 'PEM\n',
      tunnels: () => true,
      googlePort: () => Promise.reject(new Error('nothing is pushed here')),
      ...(shutdown && {
        shutdown: {
          permits: (peer: { address: string }) => peer.address === '127.0.0.1',
          begin: () => void begun.push('end'),
        },
      }),
    })
    const { status } = await control.request(
      '/_emulator/shutdown',
      { method: 'POST', headers: { 'content-type': contentType }, body: '{}' },
      { host: 'localhost', scheme: 'http', peer: { address } },
    )
    await new Promise(setImmediate)
    return [status, ...begun.splice(0)]
  }

  test('is begun for this machine alone, and not by a page in a browser', async () => {
    expect(await ask('127.0.0.1', 'application/json')).toEqual([200, 'end'])
    expect(await ask('172.17.0.2', 'application/json')).toEqual([403])
    expect(await ask('127.0.0.1', 'text/plain')).toEqual([400])
  })

  test('is refused by an emulator that is part of another program', async () => {
    expect(await ask('127.0.0.1', 'application/json', false)).toEqual([403])
  })
})
