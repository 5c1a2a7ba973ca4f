/** What an emulator begins with: the documents of its configuration, applied as the project's owner would. */
import { Google } from '../client/google.ts'
import type { Config } from '../config/schema.ts'
import { InvokerError, isError } from '../errors/errors.ts'
import { applyOnce, type Manifests } from '../manifests.ts'
import type { Products } from '../products/products.ts'
import { AppliedDocuments } from '../state/applied.ts'
import { putProviders } from '../state/federation.ts'
import type { State } from '../state/state.ts'

export interface DocumentsOptions {
  readonly state: State
  readonly config: Config
  /** Those of the setting `manifests`. */
  readonly manifests: Manifests | undefined
  readonly products: Pick<Products, 'app'>
  readonly log: (line: string) => void
}

export interface Documents {
  /** Google's APIs of this process, called by the project's owner. */
  readonly google: Google
  /** Applies what is new or has changed. @throws {InvokerError} ERR_CONFIG for a document that is refused */
  apply(): Promise<void>
}

export function createDocuments({ state, config, manifests, products, log }: DocumentsOptions): Documents {
  const google = ownersGoogle(state, products.app)
  const applied = new AppliedDocuments(state)
  return {
    google,
    async apply() {
      applyProviders(state, config, applied, log)
      if (manifests) await applyOnce(manifests, applied, { google, log }).catch(asSetting)
    },
  }
}

/** As with manifests: a provider in the configuration counts once, and again when it has changed. */
function applyProviders(
  state: State,
  { workloadIdentityPoolProviders: providers }: Config,
  applied: AppliedDocuments,
  log: (line: string) => void,
): void {
  const resource = (name: string) => `provider ${name}`
  applied.keepOnly(/^provider /, new Set(providers.map(({ name }) => resource(name))))
  for (const provider of providers) {
    const of = resource(provider.name)
    const told = `workloadIdentityPoolProviders: ${provider.name}`
    const standing = applied.standing(of, [provider])
    if (standing === 'unchanged') {
      log(`${told} was applied before and not changed since: it stays as it was left`)
      continue
    }
    if (standing === 'changed')
      log(`${told} has changed since it was applied: it replaces the one that was kept`)
    putProviders(state, [provider])
    applied.applied(of, [provider])
  }
}

/** A document of the setting `manifests` that is refused is a setting that cannot be used. */
function asSetting(error: unknown): never {
  throw isError(error, 'ERR_GOOGLE') ? new InvokerError('ERR_CONFIG', error.message, { cause: error }) : error
}

/** Without a connection. */
function ownersGoogle(state: State, app: Products['app']): Google {
  return new Google({
    project: state.place.projectId,
    region: state.region,
    fetch: async (url, init) =>
      app.fetch(new Request(url, init), {
        host: new URL(url).host,
        scheme: 'https',
        peer: { address: '127.0.0.1' },
      }),
    async accessToken() {
      const { email, uniqueId } = state.user(state.owner)
      const scopes = ['https://www.googleapis.com/auth/cloud-platform']
      return state.issueAccessToken({ member: `user:${email}`, email, uniqueId, scopes }).token
    },
  })
}
