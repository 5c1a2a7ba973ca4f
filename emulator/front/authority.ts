/**
 * The local certificate authority: ends TLS for Google's host names, with a leaf certificate for the host asked for.
 *
 * It is installed nowhere. Programs are told of it by their environment, and its key never leaves the state.
 */
import 'reflect-metadata' // @peculiar/x509 needs it before it loads
import { randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { createSecureContext, type SecureContext } from 'node:tls'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

/** The authority as it is kept: PEM. */
export interface KeptAuthority {
  readonly certificate: string
  readonly privateKey: string
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY = 86_400_000
const AUTHORITY_LIFE = 3650 * DAY
/** Browsers and Apple's libraries refuse leaf certificates that live longer than 398 days. */
const LEAF_LIFE = 90 * DAY
const REMEMBERED = 512

export class Authority {
  /** PEM of the authority's certificate: what clients are told to trust. */
  readonly certificate: string
  readonly #issuer: X509Certificate
  readonly #keys: CryptoKeyPair
  readonly #leafKey: Promise<{ readonly keys: CryptoKeyPair; readonly pem: string }>
  readonly #contexts = new Map<string, { readonly context: Promise<SecureContext>; readonly until: number }>()

  private constructor(issuer: X509Certificate, keys: CryptoKeyPair) {
    this.#issuer = issuer
    this.#keys = keys
    this.certificate = `${issuer.toString('pem')}\n`
    // One key for all leaves: they are ours alike, and a key for each would cost every first connection.
    this.#leafKey = newKeys().then(async (leaf) => ({ keys: leaf, pem: await exportKey(leaf.privateKey) }))
  }

  static async open(
    kept: KeptAuthority | undefined,
    now: number,
    save: (made: KeptAuthority) => void,
  ): Promise<Authority> {
    if (kept) {
      const issuer = new X509Certificate(kept.certificate)
      const privateKey = await crypto.subtle.importKey(
        'pkcs8',
        PemConverter.decodeFirst(kept.privateKey),
        ALGORITHM,
        true,
        ['sign'],
      )
      return new Authority(issuer, {
        privateKey,
        publicKey: await issuer.publicKey.export(ALGORITHM, ['verify']),
      })
    }
    const keys = await newKeys()
    const issuer = await X509CertificateGenerator.createSelfSigned({
      serialNumber: randomBytes(16).toString('hex').replace(/^./, '1'),
      name: `CN=invoker local CA ${randomBytes(3).toString('hex')}, O=invoker`,
      notBefore: new Date(now - DAY),
      notAfter: new Date(now + AUTHORITY_LIFE),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    })
    const authority = new Authority(issuer, keys)
    save({ certificate: authority.certificate, privateKey: await exportKey(keys.privateKey) })
    return authority
  }

  /** What a TLS server needs to stand for a host. */
  contextFor(host: string, now: number): Promise<SecureContext> {
    const known = this.#contexts.get(host)
    if (known && now < known.until) return known.context
    const context = this.#issue(host, now)
    if (this.#contexts.size >= REMEMBERED) this.#contexts.delete(this.#contexts.keys().next().value ?? '')
    this.#contexts.set(host, { context, until: now + LEAF_LIFE / 2 })
    return context
  }

  /** A leaf for several names, PEM: for a connection that names none. */
  async leafFor(
    names: readonly string[],
    now: number,
  ): Promise<{ readonly cert: string; readonly key: string }> {
    const { keys, pem } = await this.#leafKey
    const [first = 'localhost'] = names
    const leaf = await X509CertificateGenerator.create({
      serialNumber: randomBytes(16).toString('hex').replace(/^./, '1'),
      // A common name holds 64 characters at most; the alternative names are what counts.
      subject: `CN=${first.length <= 64 ? first : 'run.app'}`,
      issuer: this.#issuer.subject,
      notBefore: new Date(now - DAY),
      notAfter: new Date(now + LEAF_LIFE),
      signingAlgorithm: ALGORITHM,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension(
          names.map((name) => ({ type: isIP(name) ? 'ip' : 'dns', value: name })),
        ),
        await SubjectKeyIdentifierExtension.create(keys.publicKey),
        await AuthorityKeyIdentifierExtension.create(this.#issuer),
      ],
    })
    return { cert: `${leaf.toString('pem')}\n${this.certificate}`, key: pem }
  }

  async #issue(host: string, now: number): Promise<SecureContext> {
    return createSecureContext(await this.leafFor([host], now))
  }
}

function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
}

async function exportKey(key: CryptoKey): Promise<string> {
  return PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')
}
