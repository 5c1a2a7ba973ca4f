/**
 * Google's public keys, from a JWKS address: kept ten minutes, and asked for no more often than it must be, whatever tokens
 * come. jose fetches and keeps them; here is what it leaves open: a key that is too weak, and an address that fails.
 */
import { createRemoteJWKSet, customFetch, errors, type FetchImplementation, type JWTVerifyGetKey } from 'jose'
import { z } from 'zod'
import { decodeBase64url } from '../service/jwt.ts'

/** The keys cannot be had. The cause says why. */
export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable'
}

/** A key that nobody published sends us back to the address at most this often. Milliseconds. */
const COOL_DOWN = 30_000
/** Shorter where it failed, as nobody gets in meanwhile. Milliseconds. */
const FAILURE_COOL_DOWN = 5_000
/** RFC 7518, 3.3. */
const LEAST_BITS = 2048
/** NIST SP 800-56B, 6.2: above 2^16. With the smallest ones a signature can be made without the key. */
const LEAST_EXPONENT_BITS = 17

/** Rejects with {@link KeysUnavailable}, or with jose's JWKSNoMatchingKey. */
export function publicKeys(url: URL): JWTVerifyGetKey {
  const keys = createRemoteJWKSet(url, {
    cooldownDuration: COOL_DOWN,
    [customFetch]: patient(fetchStrongKeys),
  })
  return async function publicKey(header, token) {
    try {
      return await keys(header, token)
    } catch (cause) {
      if (cause instanceof errors.JWKSNoMatchingKey || cause instanceof errors.JWKSMultipleMatchingKeys)
        throw cause
      throw new KeysUnavailable(`No public keys from ${url.origin}${url.pathname}`, { cause })
    }
  }
}

/** While the cool-down lasts, what failed fails again for the same reason, and nobody is asked. */
function patient(ask: FetchImplementation): FetchImplementation {
  let failure: { readonly reason: unknown; readonly until: number } | undefined
  return async function askInAWhile(...request) {
    if (failure && Date.now() < failure.until) throw failure.reason
    try {
      const response = await ask(...request)
      failure = undefined
      return response
    } catch (reason) {
      failure = { reason, until: Date.now() + FAILURE_COOL_DOWN }
      throw reason
    }
  }
}

/** The members that count; what else a key says is not looked at. */
const rsaKey = z.object({
  kty: z.literal('RSA'),
  kid: z.string().min(1),
  n: z.string().refine((n) => bitsOf(n) >= LEAST_BITS),
  e: z.string().refine((e) => bitsOf(e) >= LEAST_EXPONENT_BITS),
  alg: z.literal('RS256').optional(),
  use: z.literal('sig').optional(),
})
const keySet = z.object({ keys: z.array(z.unknown()) })

/** The set with those keys alone that a signature of Google's may be checked with. */
const fetchStrongKeys: FetchImplementation = async (url, options) => {
  const response = await fetch(url, options)
  if (response.status !== 200) throw new Error(`it answered ${response.status}`)
  const set = keySet.safeParse(await response.json())
  if (!set.success) throw new Error('it is no JSON Web Key Set')
  const { keys } = set.data
  const usable = keys.flatMap((key) => rsaKey.safeParse(key).data ?? [])
  if (usable.length === 0)
    throw new Error(
      `none of the ${keys.length} keys there is an RSA signing key of at least ${LEAST_BITS} bits`,
    )
  return Response.json({ keys: usable })
}

function bitsOf(base64url: string): number {
  const bytes = decodeBase64url(base64url) ?? new Uint8Array()
  const first = bytes.findIndex((byte) => byte !== 0)
  return first < 0 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first] ?? 0) + 24
}
