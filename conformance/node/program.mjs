/**
 * The official Node.js library, on Node.js and on Bun: every step with its documented calls only.
 *
 * Prints a JSON line a step. After `call-refused` it waits for a line on standard input: the grant.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import {
  GoogleAuth,
  gaxios,
  gcpMetadata,
  IdTokenClient,
  Impersonated,
  OAuth2Client,
} from 'google-auth-library'

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'
const require = createRequire(import.meta.url)

/** @type {import('../steps.ts').Task} */
const task = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'))
const granted = new Promise((resolve) => createInterface({ input: process.stdin }).once('line', resolve))

/** @param {string} step @param {boolean} ok @param {string} detail */
function print(step, ok, detail) {
  process.stdout.write(`${JSON.stringify({ step, ok, detail })}\n`)
}

/** @param {string} id @param {() => Promise<[boolean, string]>} attempt */
async function step(id, attempt) {
  try {
    print(id, ...(await attempt()))
  } catch (error) {
    print(id, false, error instanceof Error ? error.message : String(error))
  }
}

/** @param {unknown} actual @param {unknown} expected @returns {[boolean, string]} */
function equal(actual, expected) {
  return [actual === expected, String(actual)]
}

/** @param {{ request(options: object): Promise<{ status: number }> }} client @param {string} url */
async function statusOf(client, url) {
  return (await client.request({ url, validateStatus: () => true })).status
}

const packages = ['google-auth-library', 'gcp-metadata']
print(
  'version',
  true,
  packages.map((name) => `${name} ${require(`${name}/package.json`).version}`).join(', '),
)

const auth = new GoogleAuth({ scopes: SCOPE })
await step('metadata', async () => equal(await gcpMetadata.isAvailable(), true))
await step('project-id', async () => equal(await auth.getProjectId(), task.projectId))
await step('email', async () => equal((await auth.getCredentials()).client_email, task.email))
await step('access-token', async () => equal(await statusOf(auth, task.api), 200))

let idToken = ''
await step('id-token', async () => {
  const client = await auth.getIdTokenClient(task.service)
  idToken = await client.idTokenProvider.fetchIdToken(task.service)
  return equal(idToken.split('.').length, 3)
})
const caller = await auth.getIdTokenClient(task.service)
await step('call-refused', async () => equal(await statusOf(caller, task.service), 403))
await granted
await step('call-granted', async () => equal(await statusOf(caller, task.service), 200))
await step('call-serverless', async () => {
  const headers = { 'X-Serverless-Authorization': `Bearer ${idToken}`, Authorization: 'Basic bWluZQ==' }
  const { status, data } = await gaxios.request({ url: task.service, headers })
  return [status === 200 && data.authorization === headers.Authorization, `${status}`]
})

await step('verify', async () => {
  const { endpoint } = task
  const endpoints = endpoint
    ? {
        oauth2FederatedSignonPemCertsUrl: `${endpoint}/oauth2/v1/certs`,
        oauth2FederatedSignonJwkCertsUrl: `${endpoint}/oauth2/v3/certs`,
      }
    : {}
  const verifier = new OAuth2Client({ endpoints })
  const ticket = await verifier.verifyIdToken({ idToken, audience: task.service })
  const refused = await verifier.verifyIdToken({ idToken, audience: 'https://another.example.com' }).then(
    () => false,
    () => true,
  )
  return [
    refused && ticket.getPayload()?.email === task.email,
    refused ? 'the other audience refused' : 'taken',
  ]
})

/** @param {import('google-auth-library').AuthClient} sourceClient */
function impersonate(sourceClient) {
  return new Impersonated({
    sourceClient,
    targetPrincipal: task.impersonate,
    targetScopes: [SCOPE],
    ...(task.endpoint ? { endpoint: task.endpoint } : {}),
  })
}
/** @param {import('google-auth-library').IdTokenProvider} idTokenProvider */
function callAs(idTokenProvider) {
  return statusOf(new IdTokenClient({ targetAudience: task.service, idTokenProvider }), task.service)
}
await step('impersonate-access-token', async () =>
  equal(await statusOf(impersonate(await auth.getClient()), task.api), 200),
)
await step('impersonate-id-token', async () => equal(await callAs(impersonate(await auth.getClient())), 200))

/** Application Default Credentials of a file. @param {string} file */
function authOf(file) {
  process.env.GOOGLE_APPLICATION_CREDENTIALS = file
  return new GoogleAuth({ scopes: SCOPE })
}
const key = authOf(task.keyFile)
await step('key-access-token', async () => equal(await statusOf(key, task.api), 200))
await step('key-id-token', async () =>
  equal(await statusOf(await key.getIdTokenClient(task.service), task.service), 200),
)

await step('federation-access-token', async () =>
  equal(await statusOf(authOf(task.federationAsAccountFile), task.api), 200),
)
await step('federation-id-token', async () =>
  equal(await callAs(impersonate(await authOf(task.federationFile).getClient())), 200),
)
process.exit(0)
