/** A {@link CloudRun} over HTTP: Google's REST calls for what Google offers, `/_emulator/` for the rest. */
import { defaultComputeServiceAccount, type Place, serviceAccountEmail, serviceUrl } from '../state/names.ts'
import type { CallOptions, CloudRun, ExplainedDecision, PushResult, ServiceOptions } from './cloud-run.ts'
import { type Binding, Google } from './google.ts'
import { send } from './http.ts'

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

/** What an emulator says of itself. */
interface Facts extends Place {
  readonly project: string
  readonly region: string
}

const INVOKER = 'roles/run.invoker'

/** Connects to a running emulator and deploys the services. */
export async function connect(options: ClientOptions): Promise<CloudRun> {
  const { url, services, serviceAccounts } = options
  const facts = await factsAt(url)
  const { project, region } = facts
  const google = new Google({ url, project, region })
  const certificate = await (await own(url, '/_emulator/ca.pem')).text()

  const revisions = new Map<string, string>()

  const emailOf = (account: string) =>
    account.includes('@') ? account : serviceAccountEmail(account, project)
  const accountOf = (as: string) => (as === 'default' ? defaultComputeServiceAccount(facts) : emailOf(as))
  const memberOf = (member: string) =>
    /^(?:allUsers|allAuthenticatedUsers)$|:/.test(member) ? member : `serviceAccount:${emailOf(member)}`
  const urlOf = (service: string) => serviceUrl({ project, region, name: service }, facts)
  const makeAccount = async (account: string) => {
    const email = emailOf(account)
    const [accountId = '', domain] = email.split('@')
    if (domain === `${project}.iam.gserviceaccount.com`) await google.createServiceAccount(accountId)
    return email
  }
  const deployAll = async () => {
    for (const account of serviceAccounts) await makeAccount(account)
    for (const [name, { serviceAccount, public: open }] of Object.entries(services)) {
      const account = serviceAccount === undefined ? undefined : await makeAccount(serviceAccount)
      revisions.set(name, await google.deploy(name, account))
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
    grant: (service, member, role = INVOKER) =>
      google.changePolicy(service, (bindings) => withMember(bindings, role, memberOf(member))),
    revoke: (service, member, role = INVOKER) =>
      google.changePolicy(service, (bindings) => withoutMember(bindings, role, memberOf(member))),
    async token({ as, audience }) {
      const answer = await command(url, '/_emulator/tokens', {
        serviceAccount: accountOf(as),
        audience: audience in services ? urlOf(audience) : audience,
      })
      return (answer as { readonly token: string }).token
    },
    async call(service, { as, path = '/', method, headers = {}, body }: CallOptions = {}) {
      const token = as === undefined ? undefined : await cloud.token({ as, audience: urlOf(service) })
      return send(url, `${urlOf(service)}${path}`, {
        headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), ...headers },
        ...(method === undefined ? {} : { method }),
        ...(body === undefined ? {} : { body }),
      })
    },
    async push(service, { as, ...rest }) {
      const account = as === undefined ? {} : { serviceAccount: accountOf(as) }
      return (await command(url, '/_emulator/push', { ...rest, ...account, service })) as PushResult
    },
    async decisions(service) {
      const query = new URLSearchParams({ limit: '1000', ...(service === undefined ? {} : { service }) })
      const answer = await (await own(url, `/_emulator/decisions?${query}`)).json()
      return (answer as { readonly decisions: readonly ExplainedDecision[] }).decisions
    },
    clock: {
      advance: async (milliseconds) => {
        await command(url, '/_emulator/clock', { advance: milliseconds })
      },
    },
    async reset() {
      await command(url, '/_emulator/reset', {})
      await deployAll()
    },
    close: options.close,
  }

  if (options.begin === 'anew') await cloud.reset()
  else await deployAll()
  return cloud
}

async function factsAt(url: string): Promise<Facts> {
  const answer = (await (await own(url, '/_emulator/environment')).json()) as Omit<Facts, 'projectId'>
  return { ...answer, projectId: answer.project }
}

/** A request for the emulator's own API. */
async function own(url: string, path: string, body?: object): Promise<Response> {
  const response = await send(url, new URL(path, url).href, {
    ...(body ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {}),
  })
  if (response.ok) return response
  const { error } = (await response.json()) as { readonly error?: string }
  throw new Error(error ?? `${path} answered ${response.status}`)
}

async function command(url: string, path: string, body: object): Promise<unknown> {
  return (await own(url, path, body)).json()
}

function withMember(bindings: readonly Binding[], role: string, member: string): readonly Binding[] {
  return [...withoutMember(bindings, role, member), { role, members: [member] }]
}

function withoutMember(bindings: readonly Binding[], role: string, member: string): readonly Binding[] {
  return bindings
    .map((binding) =>
      binding.role === role && !binding.condition
        ? { ...binding, members: (binding.members ?? []).filter((other) => other !== member) }
        : binding,
    )
    .filter(({ members = [] }) => members.length > 0)
}
