import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { fileURLToPath } from 'node:url'
import { callApi, LOCATED, manifest, SERVICES, signIn, visit } from '../emulator/emulator.fixture.ts'
import { type Emulator, startEmulator } from '../emulator/emulator.ts'

setDefaultTimeout(20_000)

const IMAGE = 'gcr.io/demo-project/image'
const COMPUTE = '123456789012-compute@developer.gserviceaccount.com'
const RECEIVER = fileURLToPath(new URL('../receiver/main.ts', import.meta.url))

let emulator: Emulator
beforeAll(async () => {
  emulator = await startEmulator({ port: 0, image: { [IMAGE]: `${process.execPath} ${RECEIVER}` } })
})
afterAll(() => emulator.close())

/** With the email, by which the receiver knows its callers. */
async function token(service: string): Promise<string> {
  const audience = `http://${service}-123456789012.us-central1.run.app`
  const identity = '/computeMetadata/v1/instance/service-accounts/default/identity'
  const response = await fetch(`${emulator.url}${identity}?format=full&audience=${audience}`, {
    headers: { 'Metadata-Flavor': 'Google' },
  })
  return response.text()
}

test('facts 7.2: a receiver that verifies its callers itself works behind the front door too', async () => {
  const { url } = emulator
  const { accessToken } = await signIn(url)
  const deploy = (name: string, callers: string) =>
    callApi(url, accessToken, 'POST', SERVICES, {
      ...manifest(name, {
        image: IMAGE,
        env: {
          RECEIVER_AUTH: 'verify',
          RECEIVER_AUDIENCE: `http://${name}-123456789012.us-central1.run.app`,
          RECEIVER_ALLOWED_CALLERS: callers,
          // Without TLS, as its proxy is here.
          RECEIVER_JWKS_URL: 'http://www.googleapis.com/oauth2/v3/certs',
        },
      }),
    })
  const grant = (name: string, members: readonly string[]) =>
    callApi(url, accessToken, 'POST', `${LOCATED}/${name}:setIamPolicy`, {
      policy: { bindings: [{ role: 'roles/run.invoker', members }] },
    })
  await deploy('api', COMPUTE)
  await deploy('strict', 'somebody@example.com')

  // Refused by the door, before the receiver.
  expect((await visit(url, 'api')).status).toBe(403)
  // Let in by both.
  await grant('api', [`serviceAccount:${COMPUTE}`])
  expect(await visit(url, 'api', await token('api'))).toEqual({
    status: 200,
    body: 'Hello from the receiving service!',
  })
  // Let in by the door, and not by the receiver.
  await grant('strict', [`serviceAccount:${COMPUTE}`])
  expect((await visit(url, 'strict', await token('strict'))).status).toBe(403)
  // Open to everyone: the receiver stands alone.
  await grant('api', ['allUsers'])
  expect((await visit(url, 'api')).status).toBe(403)
  expect((await visit(url, 'api', 'nonsense')).status).toBe(401)
  expect((await visit(url, 'api', await token('api'))).status).toBe(200)
})
