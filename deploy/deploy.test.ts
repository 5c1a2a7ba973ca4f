/** The road to Cloud Run, rehearsed: the scripts as they are, run by bash with the real gcloud against an emulator. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Cloud, missing, openCloud, PATIENCE, type Ran } from './deploy.fixture.ts'

if (missing.length > 0) console.log(`SKIPPED: deploying with the real gcloud: no ${missing.join(', ')} here`)

const SERVICES = '/apis/serving.knative.dev/v1/namespaces/demo-project/services'
const REVISIONS = '/apis/serving.knative.dev/v1/namespaces/demo-project/revisions'
const LOCATED = '/v1/projects/demo-project/locations/us-central1/services'
const ACCOUNTS = '/v1/projects/demo-project/serviceAccounts'
const REPOSITORIES = '/v1/projects/demo-project/locations/us-central1/repositories'
const CALLER = 'serviceAccount:calling-service-sa@demo-project.iam.gserviceaccount.com'
const BUILDER = 'serviceAccount:image-builder-sa@demo-project.iam.gserviceaccount.com'

/** Nothing is built: each image's name stands for the service beside this folder. */
const IMAGES = ['receiver', 'sender'].map((folder) => {
  const main = fileURLToPath(new URL(`../${folder}/main.ts`, import.meta.url))
  const name = folder === 'receiver' ? 'receiving-service' : 'sending-service'
  return `--image=${name}=exec '${process.execPath}' '${main}'`
})

function succeeded(ran: Ran): Ran {
  if (ran.exitCode !== 0) throw new Error(`ended with ${ran.exitCode}: ${ran.stdout}${ran.stderr}`)
  return ran
}

/** The commands that a script has run, or would have: each without the project. */
function commands({ stderr }: Ran): readonly string[] {
  return [...stderr.matchAll(/^\+ (gcloud .*?) --project=demo-project(?: <<'END')?$/gm)].map(
    ([, line = '']) => line,
  )
}

const policyOf = (cloud: Cloud, service: string) => cloud.google('GET', `${LOCATED}/${service}:getIamPolicy`)
const projectPolicy = (cloud: Cloud) => cloud.google('POST', '/v1/projects/demo-project:getIamPolicy', {})

/** Everything that the scripts are about, as Google would show it. */
async function everything(cloud: Cloud) {
  const [services, revisions, accounts, repositories, project, builds] = await Promise.all([
    cloud.google('GET', SERVICES),
    cloud.google('GET', REVISIONS),
    cloud.google('GET', ACCOUNTS),
    cloud.google('GET', REPOSITORIES).catch(() => undefined),
    projectPolicy(cloud),
    cloud.google('GET', '/v1/projects/demo-project/builds'),
  ])
  const names: string[] = services.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name)
  return {
    templates: services.items.map(({ spec }: { spec: object }) => spec),
    revisions: revisions.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name),
    policies: await Promise.all(names.map((name) => policyOf(cloud, name))),
    accounts,
    repositories,
    project,
    builds: builds.builds?.length ?? 0,
  }
}

describe.skipIf(missing.length > 0)('an empty project', () => {
  let cloud: Cloud
  let before: Awaited<ReturnType<typeof everything>>
  beforeAll(async () => {
    cloud = await openCloud({ mode: 'intercept', flags: IMAGES })
    before = await everything(cloud)
  }, PATIENCE)
  afterAll(() => cloud?.close(), PATIENCE)

  test(
    'a dry run prints every command and changes nothing',
    async () => {
      const ran = succeeded(await cloud.script('deploy.sh', ['--dry-run']))
      expect(commands(ran).map((line) => line.split(' ').slice(1, 4).join(' '))).toEqual([
        'services enable artifactregistry.googleapis.com',
        'iam service-accounts create',
        'iam service-accounts create',
        'iam service-accounts create',
        'artifacts repositories create',
        'projects add-iam-policy-binding demo-project',
        'builds submit /'.concat(ROOT.slice(1)),
        'run services replace',
        'builds submit /'.concat(ROOT.slice(1)),
        'run services replace',
        'run services add-iam-policy-binding',
      ])
      expect(ran.stderr).toContain('Cost: the project needs a billing account.')
      expect(await everything(cloud)).toEqual(before)
    },
    PATIENCE,
  )

  test(
    'is taken to the last act: a private receiver, and a sender whose account alone may call it',
    async () => {
      const ran = succeeded(await cloud.script('deploy.sh', ['--yes']))
      expect(ran.stdout).toBe(
        'receiver http://receiving-service-123456789012.us-central1.run.app\n' +
          'sender   http://sending-service-123456789012.us-central1.run.app\n',
      )
      expect((await policyOf(cloud, 'receiving-service')).bindings).toEqual([
        { role: 'roles/run.invoker', members: [CALLER] },
      ])
      expect((await policyOf(cloud, 'sending-service')).bindings).toBeUndefined()
      expect(await cloud.knock('receiving-service')).toBe(403)
      expect(await cloud.knock('sending-service')).toBe(403)

      const receiver = await cloud.google('GET', `${SERVICES}/receiving-service`)
      expect(receiver.spec.template.spec.serviceAccountName).toBe(
        'receiver-sa@demo-project.iam.gserviceaccount.com',
      )
      const { bindings } = await projectPolicy(cloud)
      const granted = bindings.flatMap(({ role, members }: { role: string; members: readonly string[] }) =>
        members
          .filter((member) => /receiver-sa|calling-service-sa|image-builder-sa/.test(member))
          .map((member) => [role, member]),
      )
      expect(granted).toEqual([['roles/cloudbuild.builds.builder', BUILDER]])
    },
    PATIENCE,
  )

  test('the receiver was seen to refuse everyone, and to take the sender once the role was granted', async () => {
    expect((await cloud.decisions('receiving-service')).slice(0, 3)).toEqual([
      '403 nobody',
      `403 ${CALLER}`,
      `200 ${CALLER}`,
    ])
  })

  test(
    'running it again changes nothing: no build, no revision, no policy',
    async () => {
      const deployed = await everything(cloud)
      const ran = succeeded(await cloud.script('deploy.sh', ['--yes']))
      expect(commands(ran).map((line) => line.split(' ').slice(1, 4).join(' '))).toEqual([
        'run services replace',
        'run services replace',
      ])
      expect(await everything(cloud)).toEqual(deployed)
    },
    PATIENCE,
  )

  test(
    'a receiver that somebody has opened is closed, and --sender-public opens the sender alone',
    async () => {
      const { bindings, etag } = await policyOf(cloud, 'receiving-service')
      const open = { role: 'roles/run.invoker', members: [CALLER, 'allUsers'] }
      await cloud.google('POST', `${LOCATED}/receiving-service:setIamPolicy`, {
        policy: { etag, bindings: [open] },
      })
      expect(await cloud.knock('receiving-service')).toBe(200)

      succeeded(await cloud.script('deploy.sh', ['--yes'], { DEPLOY_SENDER_PUBLIC: 'true' }))
      expect((await policyOf(cloud, 'receiving-service')).bindings).toEqual(bindings)
      expect(await cloud.knock('receiving-service')).toBe(403)
      expect(await cloud.knock('sending-service')).toBe(200)
    },
    PATIENCE,
  )

  test(
    'is empty again after destroy.sh, run twice; what others made stays',
    async () => {
      await cloud.google('POST', ACCOUNTS, { accountId: 'someone-elses' })
      const first = succeeded(await cloud.script('destroy.sh', ['--yes']))
      expect(commands(first)).toHaveLength(8)
      const left = await everything(cloud)
      expect(left.templates).toEqual([])
      expect(left.revisions).toEqual([])
      expect(left.repositories).toEqual({})
      expect(left.project.bindings).toEqual(before.project.bindings)
      const emails = left.accounts.accounts.map(({ email }: { email: string }) => email)
      expect(emails.filter((email: string) => !email.includes('-compute@'))).toEqual([
        'someone-elses@demo-project.iam.gserviceaccount.com',
      ])
      const objects = await cloud.google('GET', '/storage/v1/b/demo-project_cloudbuild/o')
      expect(objects.items).toBeUndefined()

      const second = succeeded(await cloud.script('destroy.sh', ['--yes']))
      expect(commands(second)).toEqual([])
      expect(second.stderr).toContain('There is nothing of it left.')
    },
    PATIENCE,
  )

  test(
    'a service that somebody else made is neither replaced nor removed',
    async () => {
      const image = 'gcr.io/demo-project/receiving-service'
      await cloud.google('POST', SERVICES, {
        apiVersion: 'serving.knative.dev/v1',
        kind: 'Service',
        metadata: { name: 'receiving-service', namespace: 'demo-project' },
        spec: { template: { spec: { containers: [{ image }] } } },
      })
      const refused = await cloud.script('deploy.sh', ['--yes'])
      expect(refused.exitCode).toBe(1)
      expect(refused.stderr.trimEnd().split('\n').at(-1)).toBe(
        'deploy.sh: service receiving-service was not made by deploy.sh: delete it, or let it be replaced with --adopt',
      )
      const removed = succeeded(await cloud.script('destroy.sh', ['--yes']))
      expect(removed.stderr).toContain('(service receiving-service stays: deploy.sh did not make it)')
      const found = await cloud.google('GET', `${SERVICES}/receiving-service`)
      expect(found.spec.template.spec.containers[0].image).toBe(image)
    },
    PATIENCE,
  )
})

describe.skipIf(missing.length > 0)('with endpoints of its own', () => {
  let cloud: Cloud
  beforeAll(async () => {
    cloud = await openCloud({ mode: 'override', flags: IMAGES })
  }, PATIENCE)
  afterAll(() => cloud?.close(), PATIENCE)

  test(
    'what Google says while a change spreads is waited out, and whoever is named with --verify-as calls the sender',
    async () => {
      await cloud.google('POST', ACCOUNTS, { accountId: 'verifier' })
      const verifier = 'verifier@demo-project.iam.gserviceaccount.com'
      await cloud.google('POST', `${ACCOUNTS}/${verifier}:setIamPolicy`, {
        policy: {
          bindings: [
            { role: 'roles/iam.serviceAccountTokenCreator', members: ['user:developer@example.com'] },
          ],
        },
      })
      const { bindings, etag } = await projectPolicy(cloud)
      const mayCall = { role: 'roles/run.invoker', members: [`serviceAccount:${verifier}`] }
      await cloud.google('POST', '/v1/projects/demo-project:setIamPolicy', {
        policy: { etag, bindings: [...bindings, mayCall] },
      })

      const slow = slowGoogle(cloud.folder)
      const ran = succeeded(await cloud.script('deploy.sh', ['--yes', `--verify-as=${verifier}`], slow))
      expect(ran.stderr).toContain(`  waiting until Google has spread what was just changed: ${DENIED}`)
      expect(await cloud.decisions('sending-service')).toContain(`200 serviceAccount:${verifier}`)
      succeeded(await cloud.script('destroy.sh', ['--yes']))
    },
    PATIENCE,
  )
})

const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')

/** facts 6.9. */
const DENIED =
  "ERROR: (gcloud.run.services.replace) PERMISSION_DENIED: Permission 'iam.serviceaccounts.actAs' denied on service account receiver-sa@demo-project.iam.gserviceaccount.com (or it may not exist)."

/** The real gcloud, but that the first manifest is refused as Google refuses one whose account is some seconds old. */
function slowGoogle(folder: string): Readonly<Record<string, string>> {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  const program = join(bin, 'gcloud')
  writeFileSync(
    program,
    `#!/bin/sh
case "$*" in 'run services replace'*)
  [ -e '${bin}/refused' ] || { touch '${bin}/refused'; echo "${DENIED}" >&2; exit 1; } ;;
esac
exec '${Bun.which('gcloud')}' "$@"
`,
  )
  chmodSync(program, 0o755)
  return { PATH: `${bin}:${process.env.PATH}` }
}

describe.skipIf(missing.length > 0)('a mistake is one line, and nothing is done', () => {
  const mistakes: readonly (readonly [string, readonly string[], string])[] = [
    ['deploy.sh', ['--projekt=p'], 'deploy.sh: unknown flag --projekt=p; --help lists them all'],
    ['deploy.sh', ['--region'], 'deploy.sh: --region needs a value; --help says which'],
    [
      'deploy.sh',
      ['--region', 'moon'],
      "deploy.sh: --region: expected a region such as us-central1, got 'moon'",
    ],
    ['deploy.sh', ['--yes=no'], 'deploy.sh: unknown flag --yes=no; --help lists them all'],
    ['deploy.sh', ['now'], 'deploy.sh: unknown flag now; --help lists them all'],
    [
      'deploy.sh',
      ['--ingress=internal'],
      'deploy.sh: --ingress internal: the sender then has to call through a VPC; say which with --network and --subnet',
    ],
    ['destroy.sh', ['--ingress=all'], 'destroy.sh: unknown flag --ingress=all; --help lists them all'],
  ]
  test.each(mistakes)('%s %p', (name, flags, line) => {
    const script = join(import.meta.dir, name)
    // No gcloud configuration to fall back on, and no network that could be reached.
    const env = {
      PATH: process.env.PATH ?? '',
      CLOUDSDK_CONFIG: '/nonexistent',
      https_proxy: 'http://127.0.0.1:1',
    }
    const { exitCode, stdout, stderr } = Bun.spawnSync([script, '--project=some-project', ...flags], { env })
    expect([exitCode, String(stdout), String(stderr)]).toEqual([1, '', `${line}\n`])
  })
})
