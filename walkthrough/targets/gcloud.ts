/**
 * The acts by gcloud itself, against whatever its environment points at: an emulator (`emulator env`), or Google.
 *
 * It changes what it has made and nothing else: its services carry a label and its service account a description, and
 * something of the same name without them is left alone.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Control } from '../../emulator/client/control.ts'
import { InvokerError } from '../../emulator/errors/errors.ts'
import { CALLING_ACCOUNT, type Change, type Deploy, SERVICES, type ServiceRole } from '../acts.ts'
import type { Answer, Target } from '../target.ts'

const LABEL = { key: 'made-by', value: 'invoker-walkthrough' }
const DESCRIPTION = "Made by invoker's walkthrough"
const DEFAULT_REGION = 'us-central1'

/** Google's changes of policies and accounts are felt everywhere after a minute or so (facts 1.1). Milliseconds. */
const PROPAGATION = 180_000
const BETWEEN_TRIES = 3000

interface Cloud {
  readonly project: string
  readonly region: string
  /** Where the emulator's own API is; undefined where gcloud reaches Google. */
  readonly control: string | undefined
}

export async function gcloudTarget(): Promise<Target> {
  const cloud = await findCloud()
  const { project, control } = cloud
  const urls = new Map<ServiceRole, string>()
  const patience = patienceWith(cloud)
  const email = (accountId: string) => emailIn(cloud, accountId)
  const inRegion = flagsOf(cloud)

  const apply = async (change: Change): Promise<string> => {
    switch (change.kind) {
      case 'deploy':
        return deploy(cloud, change, urls)
      case 'create-service-account': {
        const { accountId, displayName } = change
        const create = ['iam', 'service-accounts', 'create', accountId, `--display-name=${displayName}`]
        await gcloud(...create, `--description=${DESCRIPTION}`, `--project=${project}`)
        return `gcloud ${line(create)}`
      }
      case 'grant': {
        const { service, role, serviceAccount } = change
        const grant = [
          ...['run', 'services', 'add-iam-policy-binding', SERVICES[service]],
          ...[`--member=serviceAccount:${email(serviceAccount)}`, `--role=${role}`],
        ]
        await patiently(patience, ...grant, ...inRegion)
        return `gcloud ${line(grant)}`
      }
    }
  }

  return {
    name: `gcloud: project ${project}, ${control === undefined ? 'on Google Cloud' : `emulator at ${control}`}`,
    prepare: () => removeOwn(cloud, email(CALLING_ACCOUNT)),
    apply,
    async call(service, expected) {
      const url = `${urls.get(service)}/`
      const until = performance.now() + patience
      for (;;) {
        const answer = await get(url)
        const settled = !expected || (answer.status === expected.status && answer.body === expected.body)
        if (settled || performance.now() >= until) return answer
        await sleep(BETWEEN_TRIES)
      }
    },
    async why() {
      if (control === undefined) return 'Cloud Run does not say.'
      const [decision] = await new Control(control).decisions({ service: SERVICES.receiver, limit: 1 })
      return decision?.why ?? 'The receiver was not called.'
    },
    async close() {
      if (control !== undefined || urls.size === 0) return
      const names = Object.values(SERVICES)
      say(
        `Left in project ${project}: services ${names.join(' and ')} (${SERVICES.sender} is open to everyone) and ${email(CALLING_ACCOUNT)}. ` +
          `Remove them with: ${names.map((name) => `gcloud run services delete ${name} ${inRegion.join(' ')}`).join('; ')}; ` +
          `gcloud iam service-accounts delete ${email(CALLING_ACCOUNT)} --project=${project}`,
      )
    },
  }
}

function emailIn({ project }: Cloud, accountId: string): string {
  return `${accountId}@${project}.iam.gserviceaccount.com`
}

function flagsOf({ project, region }: Cloud): readonly string[] {
  return [`--project=${project}`, `--region=${region}`]
}

function patienceWith({ control }: Cloud): number {
  return control === undefined ? PROPAGATION : 0
}

/** Gives the line of what was done. The URL of the service is among `urls` afterwards. */
async function deploy(cloud: Cloud, change: Deploy, urls: Map<ServiceRole, string>): Promise<string> {
  const { service, allowUnauthenticated, env = {}, serviceAccount, revisionSuffix } = change
  const name = SERVICES[service]
  const inRegion = flagsOf(cloud)
  const variables = {
    ...(service === 'sender' ? { RECEIVING_SERVICE_URL: urls.get('receiver') ?? '' } : {}),
    ...env,
  }
  const given = Object.entries(variables).map(([key, value]) => `${key}=${value}`)
  const flags = [
    allowUnauthenticated ? '--allow-unauthenticated' : '--no-allow-unauthenticated',
    ...(serviceAccount ? [`--service-account=${emailIn(cloud, serviceAccount)}`] : []),
    ...(given.length > 0 ? [`--set-env-vars=${given.join(',')}`] : []),
    ...(revisionSuffix ? [`--revision-suffix=${revisionSuffix}`] : []),
  ]
  const image = `--image=${imageOf(service, cloud.project)}`
  const labels = `--update-labels=${LABEL.key}=${LABEL.value}`
  const common = [image, '--platform=managed', ...inRegion, labels]
  await patiently(patienceWith(cloud), 'run', 'deploy', name, ...common, ...flags)
  const url = await gcloud('run', 'services', 'describe', name, ...inRegion, '--format=value(status.url)')
  urls.set(service, url)
  return `gcloud run deploy ${name} ${line(flags)}`
}

/** Where gcloud leads. */
async function findCloud(): Promise<Cloud> {
  if (Bun.which('gcloud') === null) {
    throw failed('The target gcloud needs the Google Cloud CLI: https://cloud.google.com/sdk/docs/install')
  }
  const [account, project, runRegion, computeRegion] = await Promise.all(
    ['account', 'project', 'run/region', 'compute/region'].map((property) =>
      gcloud('config', 'get-value', property),
    ),
  )
  if (!account) throw failed('gcloud has no account. Sign in with: gcloud auth login')
  if (!project) throw failed('gcloud has no project. Choose one with: gcloud config set project ID')
  const region = runRegion || computeRegion || DEFAULT_REGION
  return { project, region, control: await emulatorBehind(process.env.http_proxy) }
}

/** The emulator that this environment's proxy is, or undefined. */
async function emulatorBehind(proxy: string | undefined): Promise<string | undefined> {
  if (!proxy || !URL.canParse(proxy)) return undefined
  const { origin } = new URL(proxy)
  const answer = await fetch(`${origin}/_emulator/health`).catch(() => undefined)
  return answer?.ok ? origin : undefined
}

/** Takes back what an earlier run left. Refuses where a name is somebody else's. */
async function removeOwn(cloud: Cloud, account: string): Promise<void> {
  const { project } = cloud
  const inRegion = flagsOf(cloud)
  const found: (() => Promise<string>)[] = []
  for (const name of Object.values(SERVICES)) {
    const label = `value(metadata.name,metadata.labels.${LABEL.key})`
    const [row] = await list(
      'run',
      'services',
      'list',
      ...inRegion,
      `--filter=metadata.name=${name}`,
      `--format=${label}`,
    )
    if (row === undefined) continue
    requireOwn(row.split('\t')[1] === LABEL.value, `service ${name}`, project)
    found.push(() => gcloud('run', 'services', 'delete', name, ...inRegion))
    say(`Removing service ${name} of an earlier run from project ${project}`)
  }
  const accounts = ['iam', 'service-accounts', 'list', `--project=${project}`, `--filter=email=${account}`]
  const [row] = await list(...accounts, '--format=value(email,description)')
  if (row !== undefined) {
    requireOwn(row.split('\t')[1] === DESCRIPTION, `service account ${account}`, project)
    found.push(() => gcloud('iam', 'service-accounts', 'delete', account, `--project=${project}`))
    say(`Removing service account ${account} of an earlier run`)
  }
  for (const remove of found) await remove()
}

function requireOwn(own: boolean, what: string, project: string): void {
  if (own) return
  throw failed(
    `Project ${project} has a ${what} that the walkthrough did not make, and it is left alone. Delete it yourself, or choose another project.`,
  )
}

/** The image that is deployed; one's own where the variable names it. */
function imageOf(service: ServiceRole, project: string): string {
  return process.env[`${service.toUpperCase()}_IMAGE`] ?? `gcr.io/${project}/${SERVICES[service]}`
}

async function get(url: string): Promise<Answer> {
  const response = await fetch(url, { redirect: 'manual' })
  return { status: response.status, body: await response.text() }
}

async function list(...args: string[]): Promise<readonly string[]> {
  return (await gcloud(...args)).split('\n').filter(Boolean)
}

/** Runs gcloud again for a while where what was just made is not known everywhere yet. Google's sentences, facts 6.9. */
async function patiently(patience: number, ...args: readonly string[]): Promise<void> {
  const until = performance.now() + patience
  for (;;) {
    const { exitCode, stderr } = await run(args)
    if (exitCode === 0) return
    const passing = /does not exist|may not exist/.test(stderr)
    if (!passing || performance.now() >= until) throw failedBy(args, stderr)
    await sleep(BETWEEN_TRIES)
  }
}

/** What gcloud prints. */
async function gcloud(...args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(args)
  if (exitCode === 0) return stdout.trimEnd()
  throw failedBy(args, stderr)
}

/** Runs gcloud without questions. */
async function run(args: readonly string[]) {
  const child = Bun.spawn(['gcloud', ...args, '--quiet'], { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { stdout, stderr, exitCode }
}

function failedBy(args: readonly string[], stderr: string): InvokerError {
  return failed(`gcloud ${args.join(' ')}\n${stderr.trim()}`)
}

function failed(sentence: string): InvokerError {
  return new InvokerError('ERR_PROGRAM', sentence)
}

/** As a person would type it. */
function line(args: readonly string[]): string {
  return args.map((arg) => (/[\s'"$]/.test(arg) ? `'${arg.replaceAll("'", "'\\''")}'` : arg)).join(' ')
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}
