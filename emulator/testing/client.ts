/** A {@link CloudRun} over HTTP: Google's REST calls for what Google offers, `/_emulator/` for the rest. */
import { emailOf, memberOf } from '../client/accounts.ts'
import { Control } from '../client/control.ts'
import { Google } from '../client/google.ts'
import { send, throughEmulator } from '../client/http.ts'
import { signIn } from '../client/sign-in.ts'
import { type Place, serviceUrl } from '../state/names.ts'
import type { CallOptions, CloudRun, PushResult, ServiceOptions } from './cloud-run.ts'

export interface ClientOptions {
  /** Where the emulator is, seen from here. */
  readonly url: string
  /** The services to deploy, and to deploy again after a reset. Whoever started the emulator has told it where they listen. */
  readonly services: Readonly<Record<string, Omit<ServiceOptions, 'upstream'>>>
  /** Account ids, made beside those that services run as. */
  readonly serviceAccounts: readonly string[]
  /** The variables that point a child process at the emulator. */
  readonly env: (service: string | undefined, certificate: string) => Readonly<Record<string, string>>
  /** `anew` for an emulator that another test run may have left behind. Default `as it is`. */
  readonly begin?: 'anew' | 'as it is'
  readonly close: () => Promise<void>
}

const INVOKER = 'roles/run.invoker'

/** Connects to a running emulator and deploys the services. */
export async function connect(options: ClientOptions): Promise<CloudRun> {
  const { url, services, serviceAccounts } = options
  const control = new Control(url)
  const facts = await control.environment()
  const { project, projectNumber, region, scheme } = facts
  const place: Place = { projectId: project, projectNumber, scheme }
  const fetch = throughEmulator(url)
  const accessToken = async () => (await signIn(fetch)).accessToken
  const google = new Google({ project, region, fetch, accessToken })
  const certificate = await control.certificate()

  const revisions = new Map<string, string>()

  const urlOf = (service: string) => serviceUrl({ project, region, name: service }, place)
  const makeAccount = (account: string) => createAccount(google, emailOf(account, facts))
  const deployAll = async () => {
    for (const account of serviceAccounts) await makeAccount(account)
    for (const [name, { serviceAccount, public: open }] of Object.entries(services)) {
      const account = serviceAccount === undefined ? undefined : await makeAccount(serviceAccount)
      const image = `gcr.io/${project}/${name}`
      revisions.set(name, (await google.deploy({ name, image, serviceAccount: account })).revision)
      if (open) await cloud.grant(name, 'allUsers')
    }
  }

  const cloud: CloudRun = {
    url,
    project,
    certificate,
    urlOf,
    env({ as } = {}) {
      const variables = options.env(as, certificate)
      if (as === undefined) return variables
      const revision = revisions.get(as)
      if (revision === undefined)
        throw new TypeError(`env: expected a service that the test brought along, got ${JSON.stringify(as)}.`)
      return { ...variables, K_SERVICE: as, K_REVISION: revision, K_CONFIGURATION: as }
    },
    createServiceAccount: makeAccount,
    grant: (service, member, role = INVOKER) => google.grant(service, memberOf(member, facts), role),
    revoke: (service, member, role = INVOKER) => google.revoke(service, memberOf(member, facts), role),
    token: ({ as, audience }) =>
      control.token(emailOf(as, facts), audience in services ? urlOf(audience) : audience),
    async call(service, { as, path = '/', method, headers = {}, body }: CallOptions = {}) {
      const token = as === undefined ? undefined : await cloud.token({ as, audience: urlOf(service) })
      return send(url, `${urlOf(service)}${path}`, {
        headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), ...headers },
        ...(method === undefined ? {} : { method }),
        ...(body === undefined ? {} : { body }),
      })
    },
    async push(service, { as, ...rest }) {
      const account = as === undefined ? {} : { serviceAccount: emailOf(as, facts) }
      return (await control.push({ ...rest, ...account, service })) as PushResult
    },
    decisions: (service) => control.decisions({ service, limit: 1000 }),
    clock: { advance: (milliseconds) => control.advance(milliseconds) },
    async reset() {
      await control.reset()
      await deployAll()
    },
    close: options.close,
  }

  if (options.begin === 'anew') await cloud.reset()
  else await deployAll()
  return cloud
}

/** Makes an account of the project, where it is not there; others are Google's or another project's. Gives its email. */
async function createAccount(google: Google, email: string): Promise<string> {
  const [accountId = '', domain] = email.split('@')
  if (domain === `${google.project}.iam.gserviceaccount.com`) await google.createServiceAccount(accountId)
  return email
}
