/**
 * The authority's certificate in the forms that programs take it in, in a folder that containers may share.
 *
 * Variables that add a certificate name `ca.pem`; those that replace all others name `bundle.pem`; Java takes a store.
 */
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as tls from 'node:tls'
import { BmpString, ObjectIdentifier } from 'asn1js'
import { Attribute, AuthenticatedSafe, CertBag, Certificate, PFX, SafeBag, SafeContents } from 'pkijs'

/** Paths of the files, once they are written. */
export interface TrustFiles {
  /** The authority alone, PEM. */
  readonly certificate: string
  /** The public roots, and the authority after them, PEM. */
  readonly bundle: string
  /** The same as a PKCS#12 trust store for Java; its password is {@link TRUST_STORE_PASSWORD}. */
  readonly javaStore: string
}

/** The password that Java's own store has had from the beginning. It guards nothing: certificates are public. */
export const TRUST_STORE_PASSWORD = 'changeit'

/** Where the files of a folder are. */
export function trustFiles(folder: string): TrustFiles {
  return {
    certificate: join(folder, 'ca.pem'),
    bundle: join(folder, 'bundle.pem'),
    javaStore: join(folder, 'truststore.p12'),
  }
}

/**
 * Writes the files, readable by everyone. The authority alone comes last: where it is, the others are.
 *
 * @param roots PEM of what is trusted beside the authority; default what this program trusts itself
 */
export async function writeTrust(
  folder: string,
  authority: string,
  roots: readonly string[] = publicRoots(),
): Promise<TrustFiles> {
  await mkdir(folder, { recursive: true })
  await writeWhole(trustFiles(folder).javaStore, await javaTrustStore(together(authority, roots)))
  return writeCertificates(folder, authority, roots)
}

/** As {@link writeTrust}, without the store for Java: that takes a second, the rest no time. */
export async function writeCertificates(
  folder: string,
  authority: string,
  roots: readonly string[] = publicRoots(),
): Promise<TrustFiles> {
  const files = trustFiles(folder)
  await mkdir(folder, { recursive: true })
  await writeWhole(files.bundle, `${together(authority, roots).join('\n')}\n`)
  await writeWhole(files.certificate, authority)
  return files
}

/** The authority comes last. */
function together(authority: string, roots: readonly string[]): readonly string[] {
  return [...roots, authority].map((pem) => pem.trim())
}

/** The variables by which programs of each language are told: every one names a file of its kind. */
export function trustEnvironment({
  certificate,
  bundle,
  javaStore,
}: TrustFiles): Readonly<Record<string, string>> {
  return {
    NODE_EXTRA_CA_CERTS: certificate,
    SSL_CERT_FILE: bundle,
    REQUESTS_CA_BUNDLE: bundle,
    CURL_CA_BUNDLE: bundle,
    JAVA_TOOL_OPTIONS: `-Djavax.net.ssl.trustStore=${javaStore} -Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword=${TRUST_STORE_PASSWORD}`,
  }
}

/** Mozilla's roots, which come with the runtime, and what this program was told to trust as well: a slim image has no others. */
function publicRoots(): readonly string[] {
  // Node.js 20 cannot tell what it was told to trust.
  const extra = 'getCACertificates' in tls ? tls.getCACertificates('extra') : []
  return [...new Set([...tls.rootCertificates, ...extra].map((pem) => pem.trim()))]
}

/** In one step: who reads meanwhile must not see half a file. */
async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const part = `${path}.${process.pid}`
  await writeFile(part, content, { mode: 0o644 })
  await rename(part, path)
}

const CERTIFICATE_BAG = '1.2.840.113549.1.12.10.1.3'
const FRIENDLY_NAME = '1.2.840.113549.1.9.20'
/** Java takes a certificate without a key for trusted only if it carries this attribute of Oracle's. */
const TRUSTED_KEY_USAGE = '2.16.840.1.113894.746875.1.1'
const ANY_EXTENDED_KEY_USAGE = '2.5.29.37.0'
const PASSWORD_MODE = 0
const UNENCRYPTED = 0
/** What keytool itself writes. */
const MAC = { iterations: 10_000, pbkdf2HashAlgorithm: 'SHA-256', hmacHashAlgorithm: 'SHA-256' }

/** A PKCS#12 file (RFC 7292) of trusted certificates: in the clear, as they are public, with a checksum by the password. */
async function javaTrustStore(certificates: readonly string[]): Promise<Uint8Array> {
  const safeBags = certificates.map(
    (pem, index) =>
      new SafeBag({
        bagId: CERTIFICATE_BAG,
        bagValue: new CertBag({ parsedValue: Certificate.fromBER(derOf(pem)) }),
        bagAttributes: [
          new Attribute({
            type: FRIENDLY_NAME,
            values: [
              new BmpString({ value: index === certificates.length - 1 ? 'invoker' : `root-${index}` }),
            ],
          }),
          new Attribute({
            type: TRUSTED_KEY_USAGE,
            values: [new ObjectIdentifier({ value: ANY_EXTENDED_KEY_USAGE })],
          }),
        ],
      }),
  )
  const authenticatedSafe = new AuthenticatedSafe({
    parsedValue: { safeContents: [{ privacyMode: UNENCRYPTED, value: new SafeContents({ safeBags }) }] },
  })
  await authenticatedSafe.makeInternalValues({ safeContents: [{}] })
  const store = new PFX({ parsedValue: { integrityMode: PASSWORD_MODE, authenticatedSafe } })
  const password = new TextEncoder().encode(TRUST_STORE_PASSWORD).buffer
  await store.makeInternalValues({ ...MAC, password })
  return new Uint8Array(store.toSchema().toBER(false))
}

function derOf(pem: string): ArrayBuffer {
  return new Uint8Array(Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')).buffer
}
