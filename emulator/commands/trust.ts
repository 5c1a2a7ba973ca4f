/** The files that the environment names: certificates, and a configuration folder of gcloud's. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { getCACertificates, rootCertificates } from 'node:tls'
import { writeCertificates, writeTrust } from '../trust.ts'
import { CERTIFICATE_FILES, type Places } from './environment.ts'

type Variables = Readonly<Record<string, string | undefined>>

/** A folder of an emulator that was not used for so long is given up. Milliseconds. */
const FORGOTTEN = 30 * 86_400_000

/**
 * Writes the files for the emulator with this certificate. Nobody else can read the folder, and no other emulator has it:
 * it is named after the certificate, which an emulator without a data folder makes anew at every start.
 */
export async function writePlaces(
  certificate: string,
  { dir: folder, java }: { readonly dir?: string; readonly java?: true },
  current: Variables,
  now: number,
): Promise<Places> {
  const shared = cacheFolder(current)
  const own =
    folder === undefined
      ? join(shared, createHash('sha256').update(certificate).digest('hex').slice(0, 16))
      : resolve(folder)
  const configuration = join(own, 'gcloud')
  mkdirSync(configuration, { recursive: true, mode: 0o700 })
  const trust = await (java ? writeTrust : writeCertificates)(own, certificate, machineCertificates(current))
  utimesSync(own, now / 1000, now / 1000)
  if (folder === undefined) forgetOld(shared, now)
  return { configuration, trust }
}

/** Everything that programs here trust already: the system's roots, Mozilla's, and those of files that a variable names. */
function machineCertificates(current: Variables): readonly string[] {
  const named = CERTIFICATE_FILES.map((name) => current[name]).filter((path) => path !== undefined)
  const fromFiles = [...new Set(named)].flatMap((path) =>
    existsSync(path) && statSync(path).isFile() ? certificatesOf(readFileSync(path, 'utf8')) : [],
  )
  const all = [...fromFiles, ...getCACertificates('system'), ...rootCertificates]
  return [...new Set(all.map((certificate) => certificate.trim()))]
}

function certificatesOf(pem: string): readonly string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
}

/** Where files of emulators are kept on this machine, for this user. */
export function cacheFolder(current: Variables): string {
  const home = current.HOME || homedir()
  if (process.platform === 'darwin') return join(home, 'Library', 'Caches', 'invoker')
  if (process.platform === 'win32')
    return join(current.LOCALAPPDATA ?? join(home, 'AppData', 'Local'), 'invoker')
  return join(current.XDG_CACHE_HOME || join(home, '.cache'), 'invoker')
}

function forgetOld(shared: string, now: number): void {
  for (const name of readdirSync(shared)) {
    const path = join(shared, name)
    if (/^[0-9a-f]{16}$/.test(name) && now - statSync(path).mtimeMs > FORGOTTEN)
      rmSync(path, { recursive: true, force: true })
  }
}
