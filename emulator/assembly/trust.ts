/** Whom programs are to trust: the local certificate authority, and its certificate in files. Each made when it is first needed. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Config } from '../config/schema.ts'
import { InvokerError, reasonOf } from '../errors/errors.ts'
import { Authority, type KeptAuthority } from '../front/authority.ts'
import type { TlsOptions } from '../front/tls.ts'
import type { CollectionDeclaration } from '../state/collection.ts'
import type { Stored, Timed } from '../state/parts.ts'
import { type TrustFiles, writeTrust } from '../trust.ts'
import { lazily } from './lazily.ts'

/** Whoever trusts its certificate goes on to after a reset. */
const authorities: CollectionDeclaration<KeptAuthority> = {
  name: 'authority',
  survivesReset: true,
  survivesRestart: true,
}

export interface Trust {
  /** What a listener needs to speak TLS for any name. */
  readonly tls: TlsOptions
  /** PEM of the certificate that programs have to trust. */
  certificate(): Promise<string>
  /** Files that name it, written where they are not there. @throws {InvokerError} ERR_CONFIG where the folder cannot be written */
  files(): Promise<TrustFiles>
  close(): Promise<void>
}

export function createTrust({ caDir }: Pick<Config, 'caDir'>, state: Stored & Timed): Trust {
  const authority = lazily(() => {
    const kept = state.store.collection(authorities)
    return Authority.open(kept.get('ca'), state.clock(), (made) => kept.put('ca', made))
  })
  const certificate = async () => (await authority()).certificate
  let temporary: string | undefined
  const folder = async () => {
    if (caDir !== undefined) return resolve(caDir)
    temporary = await mkdtemp(join(tmpdir(), 'invoker-ca-'))
    await chmod(temporary, 0o755) // services may run as another user
    return temporary
  }
  return {
    tls: { authority, now: state.clock },
    certificate,
    files: lazily(async () => {
      const at = await folder()
      return writeTrust(at, await certificate()).catch((error: unknown) => {
        const sentence = `caDir: expected a folder that can be written, got ${JSON.stringify(at)} (${reasonOf(error)}).`
        throw new InvokerError('ERR_CONFIG', sentence, { cause: error })
      })
    }),
    close: async () => {
      if (temporary) await rm(temporary, { recursive: true, force: true })
    },
  }
}
