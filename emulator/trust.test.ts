import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { Authority } from './front/authority.ts'
import { TRUST_STORE_PASSWORD, type TrustFiles, trustEnvironment, writeTrust } from './trust.ts'

const folder = join(mkdtempSync(join(tmpdir(), 'invoker-trust-')), 'made')
let authority: string
let files: TrustFiles
beforeAll(async () => {
  authority = (await Authority.open(undefined, Date.now(), () => {})).certificate
  files = await writeTrust(folder, authority)
})
afterAll(() => rmSync(join(folder, '..'), { recursive: true, force: true }))

const keytool = Bun.which('keytool')
if (!keytool) console.log('SKIPPED: the Java trust store, read by Java: there is no keytool')

const certificates = (path: string) =>
  readFileSync(path, 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
const fingerprint = (pem: string) => new X509Certificate(pem).fingerprint256

describe('the folder that tells programs whom to trust', () => {
  test('ca.pem is the authority alone', () => {
    expect(readFileSync(files.certificate, 'utf8')).toBe(authority)
  })

  test('bundle.pem is the public roots, all of them, and the authority last', () => {
    const all = certificates(files.bundle)
    expect(all.length).toBeGreaterThan(rootCertificates.length)
    for (const root of rootCertificates) expect(all).toContain(root.trim())
    expect(all.at(-1)).toBe(authority.trim())
  })

  test('every file may be read by anyone, and written by nobody else', () => {
    for (const path of Object.values(files)) expect(statSync(path).mode & 0o777).toBe(0o644)
  })

  test('written again, it holds the new authority', async () => {
    const again = join(folder, 'again')
    await writeTrust(again, 'old\n', [])
      .then(() => Promise.reject(new Error('a text that is no certificate was taken')))
      .catch((error: Error) => expect(error.message).not.toContain('was taken'))
    await writeTrust(again, authority, [])
    expect(readFileSync(join(again, 'ca.pem'), 'utf8')).toBe(authority)
  })

  test.skipIf(!keytool)('the Java trust store holds the same certificates, each of them trusted', () => {
    const store = ['-keystore', files.javaStore, '-storepass', TRUST_STORE_PASSWORD]
    const { stdout } = Bun.spawnSync([keytool ?? '', '-list', ...store], {
      env: { ...process.env, LC_ALL: 'C' },
    })
    const listing = stdout.toString()
    const all = certificates(files.bundle)
    expect(listing).toContain(`Your keystore contains ${all.length} entries`)
    expect(listing.match(/, trustedCertEntry,/g)?.length).toBe(all.length)
    const listed = new Set(listing.match(/(?:[0-9A-F]{2}:){31}[0-9A-F]{2}/g))
    expect(listed).toEqual(new Set(all.map(fingerprint)))
    expect(listing).toMatch(/^invoker, /m)
  })

  test.skipIf(!keytool)('another password does not open it: its checksum is made with ours', () => {
    const { exitCode, stdout } = Bun.spawnSync([
      keytool ?? '',
      '-list',
      '-keystore',
      files.javaStore,
      '-storepass',
      'another-one',
    ])
    expect(exitCode).not.toBe(0)
    expect(stdout.toString()).toContain('Integrity check failed')
  })

  test('each variable names a file of the kind that its programs take', () => {
    const { JAVA_TOOL_OPTIONS, ...variables } = trustEnvironment(files)
    expect(variables).toEqual({
      NODE_EXTRA_CA_CERTS: files.certificate,
      SSL_CERT_FILE: files.bundle,
      REQUESTS_CA_BUNDLE: files.bundle,
      CURL_CA_BUNDLE: files.bundle,
    })
    expect(JAVA_TOOL_OPTIONS).toContain(`-Djavax.net.ssl.trustStore=${files.javaStore}`)
  })
})
