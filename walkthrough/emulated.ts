/** The acts against an emulator, by Google's REST calls: what the embedded and the compose target share. */
import { Control } from '../emulator/client/control.ts'
import { Google } from '../emulator/client/google.ts'
import type { Fetch } from '../emulator/client/http.ts'
import { signIn } from '../emulator/client/sign-in.ts'
import { type Change, SERVICES, type ServiceRole } from './acts.ts'
import type { Answer, Target } from './target.ts'

export interface EmulatedOptions {
  readonly name: string
  readonly project: string
  readonly region: string
  /** Where Google's names and those of services lead. */
  readonly fetch: Fetch
  /** Where the emulator's own API is. */
  readonly control: string
  readonly close?: () => Promise<void>
}

const INVOKER = 'roles/run.invoker'

export function createEmulatedTarget(options: EmulatedOptions): Target {
  const { name, project, region, fetch } = options
  const accessToken = async () => (await signIn(fetch)).accessToken
  const google = new Google({ project, region, fetch, accessToken })
  const control = new Control(options.control)
  const urls = new Map<ServiceRole, string>()
  const emailOf = (accountId: string) => `${accountId}@${project}.iam.gserviceaccount.com`

  const apply = async (change: Change): Promise<string> => {
    switch (change.kind) {
      case 'deploy': {
        const { service, env = {}, serviceAccount, revisionSuffix, allowUnauthenticated } = change
        const receiver = service === 'sender' ? { RECEIVING_SERVICE_URL: urls.get('receiver') ?? '' } : {}
        const { url, revision } = await google.deploy({
          name: SERVICES[service],
          image: `gcr.io/${project}/${SERVICES[service]}`,
          env: { ...receiver, ...env },
          ...(serviceAccount ? { serviceAccount: emailOf(serviceAccount) } : {}),
          ...(revisionSuffix ? { revisionSuffix } : {}),
        })
        urls.set(service, url)
        await google[allowUnauthenticated ? 'grant' : 'revoke'](SERVICES[service], 'allUsers', INVOKER)
        const flags = [
          allowUnauthenticated ? '--allow-unauthenticated' : '--no-allow-unauthenticated',
          ...(serviceAccount ? [`--service-account ${emailOf(serviceAccount)}`] : []),
          ...Object.entries(env).map(([key, value]) => `--set-env-vars ${key}=${value}`),
        ]
        return `deployed ${SERVICES[service]} ${flags.join(' ')} (revision ${revision})`
      }
      case 'create-service-account': {
        const { email, made } = await google.createServiceAccount(change.accountId, change.displayName)
        return `${made ? 'created' : 'found'} service account ${email}`
      }
      case 'grant': {
        const member = `serviceAccount:${emailOf(change.serviceAccount)}`
        await google.grant(SERVICES[change.service], member, change.role)
        return `granted ${change.role} on ${SERVICES[change.service]} to ${member}`
      }
    }
  }

  return {
    name,
    async prepare() {
      // With them go their policies. The account stays: one made anew under its name would be another, and the containers
      // of an earlier run, which go on under the same revisions' names, hold tokens of this one.
      for (const service of Object.values(SERVICES)) await google.deleteService(service)
    },
    apply,
    async call(service): Promise<Answer> {
      const response = await fetch(`${urls.get(service)}/`, { redirect: 'manual' })
      return { status: response.status, body: await response.text() }
    },
    async why() {
      const [decision] = await control.decisions({ service: SERVICES.receiver, limit: 1 })
      return decision?.why ?? 'The receiver was not called.'
    },
    close: options.close ?? (() => Promise.resolve()),
  }
}
