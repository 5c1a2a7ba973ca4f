import { expect, test } from 'bun:test'
import { DecisionLog, type NewDecision } from './decision-log.ts'

const START = Date.UTC(2026, 5, 1)

function decision(path: string): NewDecision {
  const door = 'service'
  const time = '2026-06-01T12:00:00.000Z'
  return { trace: '', time, door, method: 'GET', host: 'a', path, allowed: true, status: 200, checks: [] }
}

function filled(count: number, started = START) {
  const log = new DecisionLog(started)
  const ids = Array.from({ length: count }, (_, index) => log.add(decision(`/${index}`)).id)
  return { log, ids }
}

test('each decision has an id of its own, and is found by it', () => {
  const { log, ids } = filled(3)
  expect(new Set(ids).size).toBe(3)
  expect(log.find(ids[1] ?? '')?.path).toBe('/1')
  expect(log.find('nothing-1')).toBeUndefined()
})

test('what came after one is told, with how many are not kept any more', () => {
  const { log, ids } = filled(1500)
  expect(log.after(ids[1497] ?? '')).toMatchObject({
    missed: 0,
    decisions: [{ path: '/1498' }, { path: '/1499' }],
  })
  expect(log.after(ids[1499] ?? '')).toEqual({ missed: 0, decisions: [] })
  const far = log.after(ids[9] ?? '')
  expect(far?.missed).toBe(490)
  expect(far?.decisions).toHaveLength(1000)
})

test('a reset is a gap like any other: ids go on', () => {
  const { log, ids } = filled(3)
  log.clear()
  log.add(decision('/new'))
  expect(log.after(ids[0] ?? '')).toMatchObject({ missed: 2, decisions: [{ path: '/new' }] })
})

test('of an id of an earlier emulator nobody can say how many were missed', () => {
  const { ids } = filled(5, START - 60_000)
  const { log } = filled(2)
  expect(log.after(ids[4] ?? '')).toMatchObject({
    missed: undefined,
    decisions: [{ path: '/0' }, { path: '/1' }],
  })
  expect(log.after('what')).toBeUndefined()
})
