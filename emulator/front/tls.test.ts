import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { connect, type TLSSocket } from 'node:tls'
import { callApi, computeToken, manifest, SERVICES, signIn } from '../emulator.fixture.ts'
import { type Emulator, startEmulator } from '../emulator.ts'

const HOST = 'api-123456789012.us-central1.run.app'

/** A container: says how it was asked. */
const upstream = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: ({ url, headers }) =>
    Response.json({ path: new URL(url).pathname, proto: headers.get('x-forwarded-proto') }),
})
const folder = mkdtempSync(join(tmpdir(), 'invoker-tls-'))
let emulator: Emulator
let ca: string
beforeAll(async () => {
  emulator = await startEmulator({
    port: 0,
    tlsPort: 0,
    scheme: 'https',
    caDir: folder,
    upstream: { api: upstream.url.href },
    publish: { 0: 'api' },
  })
  ca = readFileSync(join(folder, 'ca.pem'), 'utf8')
  const { accessToken } = await signIn(emulator.url)
  const { status } = await callApi(emulator.url, accessToken, 'POST', SERVICES, manifest('api'))
  expect(status).toBe(200)
})
afterAll(async () => {
  await emulator.close()
  await upstream.stop(true)
  rmSync(folder, { recursive: true, force: true })
})

const tlsPort = () => Number(new URL(emulator.tlsUrl ?? '').port)

/** A request to the TLS port, for a host by its name; the certificate has to be good for it. */
function get(host: string, path: string, headers: Record<string, string> = {}) {
  return new Promise<{ readonly status: number; readonly body: string }>((resolve, reject) => {
    const asked = request({
      host: '127.0.0.1',
      port: tlsPort(),
      servername: host,
      path,
      ca,
      headers: { host, ...headers },
    })
    asked.on('error', reject)
    asked.on('response', (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject)
    })
    asked.end()
  })
}

/** The certificate that is shown for a name, once it has been verified against the CA. */
function handshake(servername: string | undefined): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: tlsPort(), ca, ...(servername ? { servername } : {}) })
    socket.on('error', reject)
    socket.on('secureConnect', () => resolve(socket))
  })
}

describe('the TLS port', () => {
  test.each([HOST, 'metadata.google.internal', 'iamcredentials.googleapis.com', 'any---thing.a.run.app'])(
    'shows a certificate for %s, signed by the CA in the folder',
    async (name) => {
      const socket = await handshake(name)
      expect(socket.authorized).toBe(true)
      expect(socket.getPeerCertificate().subjectaltname).toBe(`DNS:${name}`)
      socket.destroy()
    },
  )

  test('shows a certificate for its address to a client that names no host', async () => {
    const socket = await handshake(undefined)
    expect(socket.getPeerCertificate().subjectaltname).toContain('IP Address:127.0.0.1')
    expect(socket.getPeerCertificate().subjectaltname).toContain('DNS:localhost')
    socket.destroy()
  })

  test('leads to the same rooms', async () => {
    const zone = await get('metadata.google.internal', '/computeMetadata/v1/project/project-id', {
      'Metadata-Flavor': 'Google',
    })
    expect(zone).toEqual({ status: 200, body: 'demo-project' })
    expect((await get('www.googleapis.com', '/oauth2/v3/certs')).body).toContain('"kty"')
    expect((await get('run.googleapis.com', '/v1/projects/demo-project/locations')).status).toBe(401)
  })

  test('facts 1.1: guards services: 403 without a token, 200 with one for its https URL', async () => {
    expect((await get(HOST, '/')).status).toBe(403)
    const token = await computeToken(emulator.url, 'api')
    const { status, body } = await get(HOST, '/a', { authorization: `Bearer ${token}` })
    expect({ status, body: JSON.parse(body) }).toEqual({ status: 200, body: { path: '/a', proto: 'https' } })
  })

  test('a client that does not trust the CA ends its own connection and nothing else', async () => {
    const stranger = connect({ host: '127.0.0.1', port: tlsPort(), servername: HOST, ca: [] })
    const error = await new Promise<Error>((resolve) => stranger.on('error', resolve))
    expect(error.message).toMatch(/self.signed|unable to (?:get|verify)|UNABLE/i)
    expect((await get('www.googleapis.com', '/oauth2/v3/certs')).status).toBe(200)
  })

  test('closes with the emulator, an open connection or not', async () => {
    const other = await startEmulator({ port: 0, tlsPort: 0 })
    const socket = connect({
      host: '127.0.0.1',
      port: Number(new URL(other.tlsUrl ?? '').port),
      servername: HOST,
      rejectUnauthorized: false,
    })
    await new Promise((resolve) => socket.on('secureConnect', resolve))
    const closed = new Promise((resolve) => socket.on('close', resolve))
    await other.close()
    await closed
  })
})

describe('plain HTTP where services are https', () => {
  const plain = (path: string, init: RequestInit = {}) =>
    fetch(`${emulator.url}${path}`, { redirect: 'manual', ...init, headers: { host: HOST, ...init.headers } })

  test('facts 6.1: a service answers 302 to its https URL, token or not', async () => {
    for (const headers of [{}, { authorization: `Bearer ${await computeToken(emulator.url, 'api')}` }]) {
      const response = await plain('/a?b=c', { headers })
      expect(response.status).toBe(302)
      expect(response.headers.get('location')).toBe(`https://${HOST}/a?b=c`)
      expect(await response.text()).toBe('')
    }
    expect(emulator.state.decisions.list().at(-1)).toMatchObject({ status: 302, allowed: false, path: '/a' })
  })

  test('the metadata server answers as it is: it has no TLS in the cloud', async () => {
    const response = await fetch(`${emulator.url}/computeMetadata/v1/project/project-id`, {
      headers: { 'Metadata-Flavor': 'Google' },
    })
    expect(response.status).toBe(200)
  })

  test("a published port stands for the service's own URL: no redirect", async () => {
    const response = await fetch(`${emulator.published.api}/a`, {
      headers: { authorization: `Bearer ${await computeToken(emulator.url, 'api')}` },
    })
    expect(await response.json()).toEqual({ path: '/a', proto: 'https' })
  })
})
