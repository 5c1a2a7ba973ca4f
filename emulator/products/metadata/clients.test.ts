/** The room over the wire, and as Google's own clients see it. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { serve } from '@hono/node-server'
import { GoogleAuth, gcpMetadata } from 'google-auth-library'
import { decodeJwt } from 'jose'
import { CALLER, openProject, type Project } from './metadata.fixture.ts'

/** What a developer's own machine may say otherwise. */
const ENVIRONMENT: Readonly<Record<string, string | undefined>> = {
  GCE_METADATA_IP: undefined,
  METADATA_SERVER_DETECTION: undefined,
  GOOGLE_APPLICATION_CREDENTIALS: undefined,
  GOOGLE_CLOUD_PROJECT: undefined,
  GCLOUD_PROJECT: undefined,
  GOOGLE_CLOUD_UNIVERSE_DOMAIN: undefined,
  HOME: '/nonexistent',
  APPDATA: undefined,
  NO_PROXY: '127.0.0.1',
}
const before = new Map<string, string | undefined>()
let project: Project
let server: ReturnType<typeof serve>
let port = 0

beforeAll(async () => {
  project = await openProject()
  project.now = Date.now() // the clients go by their own clock
  project.createServiceAccount('calling-service-sa')
  const instance = project.deploy('sender', CALLER)
  const peer = { address: '127.0.0.1', instance }
  await new Promise<void>((resolve) => {
    server = serve(
      {
        fetch: (request) => project.app.fetch(request, { host: '127.0.0.1', scheme: 'http', peer }),
        overrideGlobalObjects: false, // other tests of this process serve with Bun's own Response
        hostname: '127.0.0.1',
        port: 0,
      },
      (info) => {
        port = info.port
        resolve()
      },
    )
  })
  for (const [name, value] of Object.entries({
    ...ENVIRONMENT,
    GCE_METADATA_HOST: `127.0.0.1:${port}`,
  })) {
    before.set(name, process.env[name])
    setEnvironment(name, value)
  }
})

afterAll(async () => {
  for (const [name, value] of before) setEnvironment(name, value)
  await new Promise((closed) => server.close(closed))
  project.state.close()
})

function setEnvironment(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name]
  else process.env[name] = value
}

function overTheWire(path: string, method = 'GET', header = 'Metadata-Flavor: Google\r\n'): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`${method} ${path} HTTP/1.1\r\nHost: metadata\r\n${header}Connection: close\r\n\r\n`),
    )
    socket.on('data', (chunk) => chunks.push(Buffer.from(chunk)))
    socket.on('error', reject)
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
  })
}

test('facts 2.1, 2.3: on the wire a Content-Type is exactly application/text or application/json, and the length is told', async () => {
  const value = await overTheWire('/computeMetadata/v1/project/project-id')
  expect(value).toStartWith('HTTP/1.1 200 OK\r\n')
  expect(value).toMatch(/^content-type: application\/text\r$/im)
  expect(value).toMatch(/^content-length: 12\r$/im)
  expect(value).toEndWith('\r\n\r\ndemo-project')
  const identity = '/computeMetadata/v1/instance/service-accounts/default/identity?audience=https://x'
  expect(await overTheWire(identity)).toMatch(/^content-type: application\/text\r$/im)
  const tree = await overTheWire('/computeMetadata/v1/?recursive=true')
  expect(tree).toMatch(/^content-type: application\/json\r$/im)
})

test('facts 6.6: on the wire a HEAD without the flavor header is 403 without it', async () => {
  const answer = await overTheWire('/computeMetadata/v1/instance/', 'HEAD', '')
  expect(answer).toStartWith('HTTP/1.1 403 Forbidden\r\n')
  expect(answer).toMatch(/^content-type: text\/html; charset=UTF-8\r$/m)
  expect(answer).not.toMatch(/metadata-flavor/i)
})

test('gcp-metadata finds the server through its probe and reads project, email and region', async () => {
  gcpMetadata.resetIsAvailableCache()
  expect(await gcpMetadata.isAvailable()).toBe(true)
  expect(await gcpMetadata.project('project-id')).toBe('demo-project')
  expect(await gcpMetadata.instance('service-accounts/default/email')).toBe(CALLER)
  expect(await gcpMetadata.instance('region')).toBe('projects/123456789012/regions/us-central1')
  expect(await gcpMetadata.instance({ property: 'id' })).toBeString()
})

test('google-auth-library gets project, email, an access token and an ID token', async () => {
  const auth = new GoogleAuth({ scopes: 'https://www.googleapis.com/auth/cloud-platform' })
  expect(await auth.getProjectId()).toBe('demo-project')
  expect((await auth.getCredentials()).client_email).toBe(CALLER)
  const token = await auth.getAccessToken()
  expect(project.state.accessToken(token ?? '')?.member).toBe(`serviceAccount:${CALLER}`)

  const audience = 'https://receiver-123456789012.us-central1.run.app'
  const client = await auth.getIdTokenClient(audience)
  const headers = await client.getRequestHeaders()
  const bearer = headers.get('authorization') ?? ''
  expect(bearer).toStartWith('Bearer ')
  expect(decodeJwt(bearer.slice('Bearer '.length))).toMatchObject({ aud: audience, email: CALLER })
})
