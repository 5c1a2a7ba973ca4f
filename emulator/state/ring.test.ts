import { expect, test } from 'bun:test'
import { Ring } from './ring.ts'

test('keeps the last of a size, newest last, however many are added', () => {
  const ring = new Ring<number>(3)
  for (let value = 1; value <= 20; value += 1) {
    ring.add(value)
    const first = Math.max(1, value - 2)
    expect(ring.list()).toEqual(Array.from({ length: value - first + 1 }, (_, index) => first + index))
  }
  ring.clear()
  expect(ring.list()).toEqual([])
})

test('tells its listeners of each addition until they stop listening', () => {
  const ring = new Ring<string>(1)
  const heard: string[] = []
  const stop = ring.onAdd((value) => heard.push(value))
  ring.add('a')
  ring.add('b')
  stop()
  ring.add('c')
  expect(heard).toEqual(['a', 'b'])
})
