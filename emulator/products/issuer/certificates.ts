/** What Google publishes to verify its tokens with: a key set, and the same keys as certificates (facts 3, 6.8). */
import type { KeyRing, PublicJwk } from '../../tokens/keys.ts'

/** facts 6.8: five to seven hours. Seconds. */
export const USUAL_AGE = 6 * 3600

export function keySet(ring: KeyRing, now: number): { readonly keys: readonly PublicJwk[] } {
  // Member by member: whatever a key may come to hold, only these are ever published.
  const keys = ring.published(now).map(({ publicJwk: { alg, e, kid, kty, n, use } }) => {
    return { alg, e, kid, kty, n, use }
  })
  return { keys }
}

export function certificateSet(ring: KeyRing, now: number): Readonly<Record<string, string>> {
  return Object.fromEntries(ring.published(now).map(({ kid, certificate }) => [kid, certificate]))
}

/**
 * How long a published set may be kept. Seconds.
 *
 * A set that holds the next key to sign is good until the rotation after the next. During the hour after a rotation it
 * holds the retired key instead, and must be gone when the next rotation comes. A rotation out of turn is noticed by
 * the unknown `kid`, as with Google's own.
 */
export function setMaxAge(ring: KeyRing, now: number): number {
  const signing = ring.signing(now)
  const hasNext = ring.published(now).some((key) => !key.retireTime && key.kid !== signing.kid)
  const untilDue = Math.max(0, Math.floor((ring.dueTime(now) - now) / 1000))
  return hasNext ? USUAL_AGE : Math.min(USUAL_AGE, untilDue)
}
