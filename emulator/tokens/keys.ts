/**
 * Signing keys and their rotation.
 *
 * Two keys are published at a time, as Google does (facts 6.8): the one that signs, and either the one that signed before
 * it, while its tokens live, or the one that will sign next, so that a verifier with a cached key set knows it already.
 */
import 'reflect-metadata' // @peculiar/x509 needs it before it loads
import { createHash, randomBytes } from 'node:crypto'
import { X509CertificateGenerator } from '@peculiar/x509'
import { type CryptoKey, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose'

/** A public key as the JWKS endpoint publishes it: these members and no others. */
export interface PublicJwk {
  readonly alg: 'RS256'
  readonly e: string
  readonly kid: string
  readonly kty: 'RSA'
  readonly n: string
  readonly use: 'sig'
}

/** A signing key as it is kept. Times are milliseconds since the epoch. */
export interface SigningKey {
  readonly kid: string
  readonly createTime: number
  readonly privateJwk: JWK
  readonly publicJwk: PublicJwk
  /** Self-signed, PEM, as the v1 certificate endpoint publishes it. */
  readonly certificate: string
  /** Published in the key set from this time on. */
  readonly publishTime: number
  /** When it stopped signing. Its tokens live one hour longer. */
  readonly retireTime?: number
}

const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  publicExponent: new Uint8Array([1, 0, 1]),
  modulusLength: 2048,
}
const YEAR = 365 * 24 * 3_600_000
/** An ID token's life, and so how long a retired key still verifies. Milliseconds. */
export const TOKEN_LIFE = 3_600_000
/** Rotation cadence; Google's own is reported as anything from daily to two weeks (facts 6.8), so: weekly. */
export const ROTATION_PERIOD = 7 * 24 * 3_600_000

export async function createSigningKey(now: number, publishTime = now): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { modulusLength: 2048, extractable: true })
  const publicPart = await exportJWK(publicKey)
  const { e, n } = publicPart
  if (!e || !n) throw new Error('an RSA key was exported without its modulus')
  // facts 3: kid is 40 lower-case hex digits; how Google derives it is not known.
  const kid = createHash('sha1').update(n).digest('hex')
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: randomBytes(8).toString('hex'),
    name: 'CN=federated-signon.system.gserviceaccount.com',
    notBefore: new Date(now - 60_000),
    // A data folder may be years old: the certificate must not be what fails.
    notAfter: new Date(now + 10 * YEAR),
    keys: { privateKey, publicKey },
    signingAlgorithm: RSA,
  })
  return {
    kid,
    createTime: now,
    privateJwk: await exportJWK(privateKey),
    publicJwk: { alg: 'RS256', e, kid, kty: 'RSA', n, use: 'sig' },
    certificate: `${certificate.toString('pem')}\n`,
    publishTime,
  }
}

function alive(key: SigningKey, now: number): boolean {
  return !key.retireTime || now < key.retireTime + TOKEN_LIFE
}

/** Where a ring keeps its keys. Called with every key it still holds, whenever that changes; must not return before they are safe. */
export type SaveKeys = (keys: readonly SigningKey[]) => void

/** The keys that sign and verify. Make one with {@link KeyRing.open}; every method takes the time from the caller. */
export class KeyRing {
  readonly #save: SaveKeys
  #keys: readonly SigningKey[]
  #rotating = false
  readonly #private = new Map<string, Promise<CryptoKey>>()
  readonly #public = new Map<string, Promise<CryptoKey>>()

  private constructor(keys: readonly SigningKey[], save: SaveKeys) {
    this.#keys = keys
    this.#save = save
  }

  /** Opens a ring over the keys kept earlier, oldest first, making what is missing so that two are published. */
  static async open(kept: readonly SigningKey[], now: number, save: SaveKeys): Promise<KeyRing> {
    const missing = Math.max(0, 2 - kept.length)
    const made = await Promise.all(Array.from({ length: missing }, () => createSigningKey(now)))
    const ring = new KeyRing([...kept, ...made], save)
    if (made.length) save(ring.#keys)
    await ring.#privateKey(ring.signing(now))
    return ring
  }

  /** The key that signs now: the oldest that is published and has not retired. */
  signing(now: number): SigningKey {
    const unretired = this.#keys.filter((candidate) => !candidate.retireTime)
    // A clock that was set back must not leave the ring without a key.
    const key = unretired.find((candidate) => candidate.publishTime <= now) ?? unretired[0]
    if (!key) throw new Error('the key ring has no key to sign with')
    return key
  }

  /** The two keys that are published now, oldest first. */
  published(now: number): readonly SigningKey[] {
    const signing = this.signing(now)
    return this.#keys
      .filter((key) => key === signing || (key.publishTime <= now && alive(key, now)))
      .slice(-2)
  }

  /** The key of this id, while a token signed with it may still be alive. */
  find(kid: string, now: number): SigningKey | undefined {
    return this.#keys.find((key) => key.kid === kid && alive(key, now))
  }

  /** True when the signing key has signed for longer than {@link ROTATION_PERIOD}. */
  due(now: number): boolean {
    return now >= this.dueTime(now)
  }

  /** When the signing key will have signed for {@link ROTATION_PERIOD}. Milliseconds since the epoch. */
  dueTime(now: number): number {
    const since = this.#keys.reduce(
      (latest, key) => Math.max(latest, key.retireTime ?? 0),
      this.signing(now).createTime,
    )
    return since + ROTATION_PERIOD
  }

  /** Rotates when it is time to. Call it at start and every few minutes; calls that overlap rotate once. True when it rotated. */
  async rotateWhenDue(now: number): Promise<boolean> {
    if (this.#rotating || !this.due(now)) return false
    this.#rotating = true
    try {
      await this.rotate(now)
      return true
    } finally {
      this.#rotating = false
    }
  }

  /** Retires the signing key: the next one signs at once, and a new one is published when the retired key's last token has expired. */
  async rotate(now: number): Promise<void> {
    const made = await createSigningKey(now, now + TOKEN_LIFE)
    const retiring = this.signing(now)
    const kept = this.#keys
      .filter((key) => alive(key, now))
      .map((key) => (key.kid === retiring.kid ? { ...key, retireTime: now } : key))
    const next = kept.find((key) => !key.retireTime)
    this.#keys = [
      ...kept.map((key) =>
        key.kid === next?.kid ? { ...key, publishTime: Math.min(key.publishTime, now) } : key,
      ),
      made,
    ]
    this.#save(this.#keys)
  }

  privateKeyOf(key: SigningKey): Promise<CryptoKey> {
    return this.#privateKey(key)
  }

  publicKeyOf(key: SigningKey): Promise<CryptoKey> {
    return imported(this.#public, key.kid, key.publicJwk)
  }

  #privateKey(key: SigningKey): Promise<CryptoKey> {
    return imported(this.#private, key.kid, key.privateJwk)
  }
}

function imported(
  cache: Map<string, Promise<CryptoKey>>,
  kid: string,
  jwk: JWK | PublicJwk,
): Promise<CryptoKey> {
  const known = cache.get(kid)
  if (known) return known
  const key = importJWK({ ...jwk }, 'RS256').then((result) => {
    if (result instanceof Uint8Array) throw new Error(`key ${kid} is not an RSA key`)
    return result
  })
  cache.set(kid, key)
  return key
}
