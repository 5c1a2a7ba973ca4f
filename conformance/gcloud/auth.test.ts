/** `gcloud auth`: who one is, and the tokens that follow from it. Both ways to reach the emulator. */
import { afterAll, describe, expect } from 'bun:test'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { decodeJwt } from 'jose'
import { cleanUp, emulator, gcloudTest, MODES, PATIENCE, Shell, temporaryFolder } from './gcloud.fixture.ts'

afterAll(cleanUp, PATIENCE)

const OWNER = 'developer@example.com'
const ACCOUNT = 'calling-service-sa@demo-project.iam.gserviceaccount.com'
const SECOND = 'second@example.com'
/** What signs the owner in: facts gcloud 2. */
const BROWSER = 'curl -sL -o /dev/null %s &'
const MAIN = fileURLToPath(new URL('../../emulator/main.ts', import.meta.url))
const DEPLOY =
  'gcloud run deploy receiving-service --image gcr.io/demo-project/receiving-service --no-allow-unauthenticated'

describe.each(MODES)('%s', (mode) => {
  gcloudTest('auth login signs the owner in, whose token then calls a private service', async () => {
    const google = await emulator()
    const shell = await Shell.open(google.url, mode)
    expect(await shell.fails('gcloud auth print-access-token')).toContain('gcloud auth login')
    await shell.begin()
    expect(await shell.ok("gcloud auth list --filter=status:ACTIVE --format='value(account)'")).toBe(OWNER)
    expect(await shell.ok('gcloud auth print-access-token')).toStartWith('ya29.')

    const token = await shell.ok('gcloud auth print-identity-token')
    expect(decodeJwt(token)).toMatchObject({
      aud: '32555940559.apps.googleusercontent.com',
      email: OWNER,
      iss: 'https://accounts.google.com',
    })
    await shell.ok(DEPLOY)
    const url = await shell.ok("gcloud run services describe receiving-service --format='value(status.url)'")
    expect(await shell.ok(`curl -s -o refused -w '%{http_code}' ${url}`)).toBe('403')
    expect(await shell.ok(`curl -s -H 'Authorization: Bearer ${token}' ${url}`)).toBe(
      'Hello from the receiving service!',
    )

    // facts 6.9: gcloud's own refusal.
    expect(await shell.fails('gcloud auth print-identity-token --audiences=https://x.example')).toContain(
      'Invalid account type for `--audiences`. Requires valid service account.',
    )
  })

  gcloudTest(
    '--impersonate-service-account takes a token-creator role, which an owner does not hold',
    async () => {
      const google = await emulator()
      const shell = await (await Shell.open(google.url, mode)).begin()
      await shell.ok('gcloud iam service-accounts create calling-service-sa')
      const asAccount = `--impersonate-service-account=${ACCOUNT}`
      const identity = `gcloud auth print-identity-token --audiences=https://x.example ${asAccount}`
      // facts 6.9: an access token is asked for first.
      expect(await shell.fails(identity)).toContain(
        "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).",
      )
      await shell.ok(
        `gcloud iam service-accounts add-iam-policy-binding ${ACCOUNT} --member=user:${OWNER} --role=roles/iam.serviceAccountTokenCreator`,
      )
      const [plain, full, access] = await Promise.all([
        shell.ok(identity),
        shell.ok(`${identity} --include-email`),
        shell.ok(`gcloud auth print-access-token ${asAccount}`),
      ])
      expect(decodeJwt(plain)).toMatchObject({ aud: 'https://x.example' })
      expect(decodeJwt(plain)).not.toHaveProperty('email')
      expect(decodeJwt(full)).toMatchObject({ aud: 'https://x.example', email: ACCOUNT })
      expect(access).toStartWith('ya29.')
    },
  )

  gcloudTest('a key that was created signs its service account in, until it is deleted', async () => {
    const google = await emulator()
    const shell = await (await Shell.open(google.url, mode)).begin()
    await shell.ok('gcloud iam service-accounts create calling-service-sa')
    await shell.ok(`gcloud iam service-accounts keys create key.json --iam-account ${ACCOUNT}`)
    await shell.ok('gcloud auth activate-service-account --key-file key.json')
    expect(await shell.ok('gcloud config get-value account')).toBe(ACCOUNT)
    expect(await shell.ok('gcloud auth print-access-token')).toStartWith('ya29.')
    const token = await shell.ok('gcloud auth print-identity-token --audiences=https://x.example')
    expect(decodeJwt(token)).toMatchObject({ aud: 'https://x.example', email: ACCOUNT })

    const [{ name }] = await shell.json(
      `gcloud iam service-accounts keys list --managed-by=user --iam-account ${ACCOUNT} --account ${OWNER}`,
    )
    await shell.ok(
      `gcloud iam service-accounts keys delete ${name.split('/').at(-1)} --iam-account ${ACCOUNT} --account ${OWNER} --quiet`,
    )
    expect(await shell.fails('gcloud auth activate-service-account --key-file key.json')).toContain(
      'Invalid JWT Signature',
    )
  })

  gcloudTest('a second person signs in where the shell names one, beside the first', async () => {
    const google = await emulator()
    const shell = await Shell.open(google.url, mode, '--account', SECOND)
    await shell.ok('gcloud auth login')
    await shell.ok(`BROWSER='${BROWSER}' gcloud auth login`)
    expect((await shell.ok("gcloud auth list --format='value(account)'")).split('\n').sort()).toEqual([
      OWNER,
      SECOND,
    ])
    const token = await shell.ok(`gcloud auth print-identity-token --account ${SECOND}`)
    expect(decodeJwt(token)).toMatchObject({ email: SECOND })
  })
})

gcloudTest(
  'application-default login writes the file that libraries of every language are told of',
  async () => {
    const google = await emulator()
    const shell = await (await Shell.open(google.url, 'intercept')).begin()
    // gcloud asks first: the variable is set, though to the very file that it writes.
    await shell.ok('gcloud auth application-default login --quiet')
    const file = shell.variables.GOOGLE_APPLICATION_CREDENTIALS ?? ''
    expect(await Bun.file(file).json()).toMatchObject({ type: 'authorized_user' })
    // Python's library, of which gcloud makes use, and Node's.
    expect(await shell.ok('gcloud auth application-default print-access-token')).toStartWith('ya29.')
    const library = fileURLToPath(import.meta.resolve('google-auth-library'))
    const program = `const { GoogleAuth } = require('${library}')
    new GoogleAuth().getClient().then(async (client) => {
      const { token } = await client.getAccessToken()
      console.log((await client.getTokenInfo(token)).email)
    })`
    await Bun.write(join(shell.folder, 'who.cjs'), program)
    expect(await shell.ok('node who.cjs')).toBe(OWNER)
  },
)

gcloudTest(
  'where there is no emulator gcloud reaches nothing, whoever is signed in on this machine',
  async () => {
    const google = await emulator()
    const { variables } = await Shell.open(google.url, 'intercept')
    const env = [process.execPath, MAIN, 'env', '--url', 'http://127.0.0.1:1'].map((word) => `'${word}'`)
    const child = Bun.spawn(['bash', '-c', `eval "$(${env.join(' ')})"; gcloud projects list`], {
      env: { ...variables, HOME: temporaryFolder() },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const [stderr, exitCode] = await Promise.all([new Response(child.stderr).text(), child.exited])
    expect(exitCode).toBe(1)
    expect(stderr).toContain('You do not currently have an active account selected')
  },
)
