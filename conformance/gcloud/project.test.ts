/** `gcloud config`, `services`, `projects` and `iam service-accounts`. */
import { afterAll, beforeAll, describe, expect } from 'bun:test'
import { cleanUp, emulator, gcloudAvailable, gcloudTest, PATIENCE, Shell } from './gcloud.fixture.ts'

afterAll(cleanUp, PATIENCE)

let shell: Shell
beforeAll(async () => {
  if (!gcloudAvailable) return
  const google = await emulator()
  shell = await (await Shell.open(google.url, 'intercept')).begin()
}, PATIENCE)

gcloudTest('config set and get-value; a project that does not exist is warned of', async () => {
  await shell.ok('gcloud config set compute/region us-central1')
  expect(await shell.ok('gcloud config get-value project')).toBe('demo-project')
  expect(await shell.ok('gcloud config get-value compute/region')).toBe('us-central1')
  const { exitCode, stderr } = await shell.run(
    'CLOUDSDK_ACTIVE_CONFIG_NAME=default gcloud config set project no-such-project',
  )
  await shell.ok('gcloud config set project demo-project')
  // facts gcloud 3: a warning, and exit 0.
  expect(exitCode).toBe(0)
  expect(stderr).toContain('WARNING')
})

gcloudTest('services enable, one and several, list, and disable', async () => {
  const enabled = async () =>
    (await shell.ok("gcloud services list --enabled --format='value(config.name)'")).split('\n')
  await shell.ok('gcloud services disable cloudbuild.googleapis.com')
  expect(await enabled()).not.toContain('cloudbuild.googleapis.com')
  await shell.ok('gcloud services enable cloudbuild.googleapis.com')
  await shell.ok('gcloud services enable run.googleapis.com iamcredentials.googleapis.com')
  expect(await enabled()).toEqual(
    expect.arrayContaining([
      'cloudbuild.googleapis.com',
      'iamcredentials.googleapis.com',
      'run.googleapis.com',
    ]),
  )
})

describe('service accounts', () => {
  const EMAIL = 'some-account@demo-project.iam.gserviceaccount.com'

  gcloudTest('create, list, describe, its policy, keys, delete', async () => {
    await shell.ok('gcloud iam service-accounts create some-account --display-name "Some Account"')
    expect(await shell.fails('gcloud iam service-accounts create some-account')).toContain(
      'Service account some-account already exists within project projects/demo-project.',
    )
    const [all, one] = await Promise.all([
      shell.json('gcloud iam service-accounts list'),
      shell.json(`gcloud iam service-accounts describe ${EMAIL}`),
    ])
    expect(all.map(({ email }: { email: string }) => email).sort()).toEqual([
      '123456789012-compute@developer.gserviceaccount.com',
      EMAIL,
    ])
    expect(one).toMatchObject({ email: EMAIL, displayName: 'Some Account', projectId: 'demo-project' })

    const binding = '--member=user:developer@example.com --role=roles/iam.serviceAccountUser'
    await shell.ok(`gcloud iam service-accounts add-iam-policy-binding ${EMAIL} ${binding}`)
    const policy = await shell.json(`gcloud iam service-accounts get-iam-policy ${EMAIL}`)
    expect(policy.bindings).toEqual([
      { role: 'roles/iam.serviceAccountUser', members: ['user:developer@example.com'] },
    ])

    await shell.ok(`gcloud iam service-accounts keys create key.json --iam-account ${EMAIL}`)
    const key = JSON.parse(await shell.ok('cat key.json'))
    expect(key).toMatchObject({
      type: 'service_account',
      client_email: EMAIL,
      token_uri: 'https://oauth2.googleapis.com/token',
    })
    const keys = await shell.json(`gcloud iam service-accounts keys list --iam-account ${EMAIL}`)
    expect(keys.map(({ name }: { name: string }) => name.split('/').at(-1))).toContain(key.private_key_id)

    await shell.ok(`gcloud iam service-accounts delete ${EMAIL} --quiet`)
    // facts 6.9
    expect(await shell.fails(`gcloud iam service-accounts describe ${EMAIL}`)).toContain('NOT_FOUND')
  })
})

gcloudTest('projects describe, get-iam-policy, add-iam-policy-binding', async () => {
  expect(await shell.json('gcloud projects describe demo-project')).toMatchObject({
    projectId: 'demo-project',
    projectNumber: '123456789012',
    lifecycleState: 'ACTIVE',
  })
  await shell.ok(
    'gcloud projects add-iam-policy-binding demo-project --member=user:reader@example.com --role=roles/run.viewer',
  )
  const { bindings } = await shell.json('gcloud projects get-iam-policy demo-project')
  expect(bindings).toContainEqual({ role: 'roles/run.viewer', members: ['user:reader@example.com'] })
  expect(bindings).toContainEqual({ role: 'roles/owner', members: ['user:developer@example.com'] })
})
