import { expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { newEtag, sameEtag } from './etag.ts'

test('an etag sent back in the URL-safe alphabet, or without padding, is the same', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 12 }), (bytes) => {
      const buffer = Buffer.from(bytes)
      expect(sameEtag(buffer.toString('base64'), buffer.toString('base64url'))).toBe(true)
      const other = Buffer.from(bytes.map((byte, at) => (at === 0 ? byte ^ 1 : byte)))
      expect(sameEtag(buffer.toString('base64'), other.toString('base64'))).toBe(false)
    }),
  )
})

test('what is not base64 is the same as nothing', () => {
  expect(sameEtag('ACAB', 'AC!AB')).toBe(false)
  expect(sameEtag('AC!AB', 'AC!AB')).toBe(false)
})

test('a fresh etag is 8 bytes in base64, each time another', () => {
  const etags = Array.from({ length: 50 }, () => newEtag(randomBytes))
  for (const etag of etags) {
    expect(etag).toMatch(/^B[w-z0-9+/][A-Za-z0-9+/]{9}=$/)
    expect(Buffer.from(etag, 'base64')).toHaveLength(8)
  }
  expect(new Set(etags).size).toBe(50)
})
