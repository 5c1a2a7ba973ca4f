import { afterAll, beforeAll, expect, test } from 'bun:test'
import { serviceHosts, serviceKey } from './names.ts'
import { Routes } from './routes.ts'
import { deploy, openTestState } from './state.fixture.ts'
import type { State } from './state.ts'

let state: State
let routes: Routes

beforeAll(async () => {
  state = await openTestState(() => Date.parse('2026-06-01T12:00:00Z'))
  routes = new Routes(state)
})
afterAll(() => {
  routes.close()
  state.close()
})

test('facts 1.6: a service answers at both of its hosts, and at no other', () => {
  const { service, host } = deploy(state, 'plain')
  expect(serviceHosts(service, state.place).map((name) => routes.find(name)?.service)).toEqual([
    service,
    service,
  ])
  expect(routes.find(`x${host}`)).toBeUndefined()
  expect(routes.find('plain-999999999999.us-central1.run.app')).toBeUndefined()
})

test('facts 1.6: a service whose name is too long for the deterministic host has only the other', () => {
  const { service } = deploy(state, 'a'.repeat(55))
  const hosts = serviceHosts(service, state.place)
  expect(hosts).toHaveLength(1)
  expect(routes.find(hosts[0] ?? '')?.service).toBe(service)
})

test('traffic is split by percent', () => {
  const { host } = deploy(state, 'split', {
    revisions: ['old', 'new'],
    traffic: [
      { revisionName: 'old', percent: 75 },
      { percent: 25 },
      { revisionName: 'old', percent: 0, tag: 't' },
    ],
  })
  const picked = [0, 0.5, 0.7499, 0.75, 0.9999].map((random) => routes.find(host)?.pick(random)?.name)
  expect(picked).toEqual(['old', 'old', 'old', 'new', 'new'])
})

test('a tag has hosts of both forms, and leads to its revision alone', () => {
  const { service, host } = deploy(state, 'tagged', {
    revisions: ['one', 'two'],
    traffic: [{ percent: 100 }, { percent: 0, tag: 'blue', revisionName: 'one' }],
  })
  for (const name of serviceHosts(service, state.place, 'blue')) {
    expect(routes.find(name)).toMatchObject({ service, tag: 'blue' })
    expect(routes.find(name)?.pick(0.99)?.name).toBe('one')
  }
  expect(routes.find(host)?.pick(0)?.name).toBe('two')
})

test("a service whose name reads like another's tag keeps its host", () => {
  deploy(state, 'b', { traffic: [{ percent: 100, tag: 'a' }] })
  const { service, host } = deploy(state, 'a---b')
  expect(routes.find(host)?.service).toBe(service)
})

test('the table follows the store: another revision, a service gone, a transaction undone', () => {
  const { service, host } = deploy(state, 'moving', { revisions: ['first'] })
  expect(routes.find(host)?.pick(0)?.name).toBe('first')
  deploy(state, 'moving', { revisions: ['first', 'second'] })
  expect(routes.find(host)?.pick(0)?.name).toBe('second')
  state.services.delete(serviceKey(service))
  expect(routes.find(host)).toBeUndefined()
  expect(() =>
    state.store.transaction(() => {
      deploy(state, 'moving')
      expect(routes.find(host)).toBeDefined()
      throw new Error('undone')
    }),
  ).toThrow('undone')
  expect(routes.find(host)).toBeUndefined()
})

test('the table is not made anew when something else changes', () => {
  const { host } = deploy(state, 'steady')
  const before = routes.find(host)
  state.issueAccessToken({ member: 'user:a@example.com', scopes: [] })
  expect(routes.find(host)).toBe(before)
})

test('without a traffic block the latest ready revision serves; with nothing ready there is none', () => {
  expect(routes.find(deploy(state, 'silent', { traffic: [] }).host)?.pick(0)?.name).toBe('silent-00001-abc')
  expect(routes.find(deploy(state, 'unready', { revisions: [] }).host)?.pick(0)).toBeUndefined()
})
