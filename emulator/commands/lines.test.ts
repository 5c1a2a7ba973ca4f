import { expect, test } from 'bun:test'
import { linesTo } from './lines.ts'

test('lines that come together are written together, in their order, within a moment', async () => {
  const written: string[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  const lines = linesTo((text) => {
    written.push(text)
    resolve()
  })
  for (const line of ['a', 'b', 'c']) lines.add(line)
  expect(written).toEqual([])
  await promise
  expect(written).toEqual(['a\nb\nc\n'])
})

test('what is waiting is written at once where it is asked for, and where it is much', () => {
  const written: string[] = []
  const lines = linesTo((text) => written.push(text))
  lines.add('a')
  lines.flush()
  lines.flush()
  expect(written).toEqual(['a\n'])
  lines.add('b'.repeat(70_000))
  expect(written).toHaveLength(2)
})
