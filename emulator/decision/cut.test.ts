import { expect, test } from 'bun:test'
import { copyOf, cut } from './cut.ts'

test('a text that is not too long stays as it is, a longer one is cut with a mark', () => {
  expect(cut('four', 4)).toBe('four')
  expect(cut('x'.repeat(240_000), 10)).toBe('xxxxxxxxxx… (240000 characters)')
})

test('a copy is the same text', () => {
  for (const text of ['', 'a', 'é€😀', 'x'.repeat(5000)]) expect(copyOf(text)).toBe(text)
})
