import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
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

test('health says which project is emulated', async () => {
  const { status, body } = await get('/_emulator/health')
  expect(status).toBe(200)
  expect(body).toMatchObject({ status: 'ok', project: 'demo-project', region: 'us-central1' })
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
