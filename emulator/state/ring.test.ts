import { expect, test } from 'bun:test'
import { Ring } from './ring.ts'

test('keeps the last of a size, newest last, however many are added', () => {
  const ring = new Ring<number>({ size: 3, bytes: 100, weigh: () => 1 })
  for (let value = 1; value <= 20; value += 1) {
    ring.add(value)
    const first = Math.max(1, value - 2)
    expect(ring.list()).toEqual(Array.from({ length: value - first + 1 }, (_, index) => first + index))
  }
  ring.clear()
  expect(ring.list()).toEqual([])
})

test('tells its listeners of each addition until they stop listening', () => {
  const ring = new Ring<string>({ size: 1, bytes: 100, weigh: () => 1 })
  const heard: string[] = []
  const stop = ring.onAdd((value) => heard.push(value))
  ring.add('a')
  ring.add('b')
  stop()
  ring.add('c')
  expect(heard).toEqual(['a', 'b'])
})

test('keeps no more bytes than it may, however few things they are', () => {
  const ring = new Ring<string>({ size: 1000, bytes: 10, weigh: (text) => text.length })
  for (const text of ['aaaa', 'bbbb', 'cc']) ring.add(text)
  expect(ring.list()).toEqual(['aaaa', 'bbbb', 'cc'])
  ring.add('ddd')
  expect(ring.list()).toEqual(['bbbb', 'cc', 'ddd'])
  ring.add('e'.repeat(10))
  expect(ring.list()).toEqual(['e'.repeat(10)])
  // What does not fit by itself is told, and not kept.
  const heard: number[] = []
  ring.onAdd((text) => heard.push(text.length))
  ring.add('f'.repeat(11))
  expect([ring.list(), heard]).toEqual([[], [11]])
  ring.add('g')
  expect(ring.list()).toEqual(['g'])
})
