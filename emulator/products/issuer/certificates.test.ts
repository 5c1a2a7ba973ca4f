import { expect, test } from 'bun:test'
import { createSigningKey, KeyRing, ROTATION_PERIOD } from '../../tokens/keys.ts'
import { setMaxAge } from './certificates.ts'

const NOW = Date.UTC(2026, 0, 1)

test('a key set that lacks the next key to sign may not outlive the rotation to it', async () => {
  // As after a rotation out of turn, or with a clock that was moved: the next key is published only later.
  const signing = await createSigningKey(NOW)
  const next = await createSigningKey(NOW, NOW + 2 * ROTATION_PERIOD)
  const ring = await KeyRing.open([signing, next], NOW, () => {})
  expect(setMaxAge(ring, NOW)).toBe(6 * 3600)
  expect(setMaxAge(ring, NOW + ROTATION_PERIOD - 600_000)).toBe(600)
  expect(setMaxAge(ring, NOW + ROTATION_PERIOD + 1)).toBe(0)
})
