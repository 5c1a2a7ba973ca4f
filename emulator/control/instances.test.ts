import { afterAll, beforeAll, expect, test } from 'bun:test'
import { deploy, openTestState } from '../state/state.fixture.ts'
import type { State } from '../state/state.ts'
import { createControl } from './control.ts'

let state: State
beforeAll(async () => {
  state = await openTestState(() => Date.parse('2026-06-01T12:00:00Z'))
})
afterAll(() => state.close())

/** What has been opened and closed. */
const told: string[] = []

async function ask(service: string, address = '127.0.0.1'): Promise<Response> {
  const control = createControl({
    state,
    certificate: async () => 'PEM\n',
    tunnels: () => true,
    googlePort: () => Promise.reject(new Error('nothing is pushed here')),
    instances: {
      permits: (peer) => peer.address === '127.0.0.1',
      async connect(name) {
        told.push(`opened for ${name}`)
        return { env: { GCE_METADATA_HOST: '127.0.0.1:1' }, close: async () => void told.push('closed') }
      },
    },
  })
  const init = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ service }),
  }
  const bindings = { host: 'localhost', scheme: 'http' as const, peer: { address } }
  return control.request('/_emulator/instances', init, bindings)
}

test('a program gets the variables of the service, and its listener for as long as the answer stays open', async () => {
  const { service } = deploy(state, 'orders')
  const response = await ask('orders')
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  const { variables } = JSON.parse((await reader?.read())?.value ?? '')
  expect(variables).toEqual({
    GCE_METADATA_HOST: '127.0.0.1:1',
    K_SERVICE: 'orders',
    K_REVISION: service.latestReadyRevision,
    K_CONFIGURATION: 'orders',
  })
  expect(told).toEqual(['opened for orders'])
  await reader?.cancel()
  while (told.length < 2) await Bun.sleep(1)
  expect(told).toEqual(['opened for orders', 'closed'])
})

test('a service that is not deployed has none', async () => {
  const response = await ask('nobody')
  expect([response.status, await response.json()]).toEqual([404, { error: 'nobody is not deployed.' }])
})

test('a program of another machine, which could not reach it, is told what else to do', async () => {
  const response = await ask('orders', '192.0.2.1')
  expect(response.status).toBe(403)
  expect(await response.text()).toContain('--instance PORT=SERVICE')
})
