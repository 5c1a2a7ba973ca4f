/** `gcloud auth`: who one is, and the tokens that follow from it. Both ways to reach the emulator. */
import { afterAll, describe, expect } from 'bun:test'
import { decodeJwt } from 'jose'
import { cleanUp, emulator, gcloudTest, MODES, PATIENCE, Shell } from './gcloud.fixture.ts'

afterAll(cleanUp, PATIENCE)

const OWNER = 'developer@example.com'
const ACCOUNT = 'calling-service-sa@demo-project.iam.gserviceaccount.com'
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
})
