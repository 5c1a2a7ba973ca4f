import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { decodeJwt } from 'jose'
import { type CloudRun, startEmulator } from './testing.ts'

setDefaultTimeout(20_000)

const HOUR = 3_600_000

/** The services under test: each answers with what it was asked. */
const upstream = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: async (request) =>
    Response.json(
      {
        path: new URL(request.url).pathname,
        method: request.method,
        header: request.headers.get('x-header'),
        body: await request.text(),
      },
      { status: request.method === 'DELETE' ? 410 : 200, headers: { 'X-Answer': 'yes' } },
    ),
})
const port = Number(upstream.port)
afterAll(() => upstream.stop(true))

let cloud: CloudRun
beforeAll(async () => {
  cloud = await startEmulator({
    services: {
      orders: { upstream: port, serviceAccount: 'orders-sa' },
      billing: { upstream: `http://127.0.0.1:${port}` },
      shop: { upstream: upstream.url, public: true },
    },
    serviceAccounts: ['stranger'],
  })
})
afterAll(() => cloud.close())
afterEach(() => cloud.reset())

const statusOf = async (as?: string) => (await cloud.call('billing', as === undefined ? {} : { as })).status

describe('a test of services without Docker', () => {
  test('from 403 to 200 and back by a grant', async () => {
    expect(await statusOf()).toBe(403)
    expect(await statusOf('orders-sa')).toBe(403)
    await cloud.grant('billing', 'orders-sa', 'roles/run.invoker')
    expect(await statusOf('orders-sa')).toBe(200)
    expect(await statusOf('stranger')).toBe(403)
    await cloud.revoke('billing', 'orders-sa')
    expect(await statusOf('orders-sa')).toBe(403)
  })

  test('members of every kind: an email, a member of a policy, everyone', async () => {
    await cloud.grant('billing', 'orders-sa@demo-project.iam.gserviceaccount.com')
    expect(await statusOf('orders-sa')).toBe(200)
    await cloud.grant('billing', 'serviceAccount:stranger@demo-project.iam.gserviceaccount.com')
    expect(await statusOf('stranger')).toBe(200)
    expect(await statusOf()).toBe(403)
    await cloud.grant('billing', 'allUsers')
    expect(await statusOf()).toBe(200)
  })

  test('a refusal by Google is its own sentence', async () => {
    await expect(cloud.grant('billing', 'nobody')).rejects.toMatchObject({
      code: 'ERR_GOOGLE',
      status: 400,
      message: expect.stringContaining('nobody@demo-project.iam.gserviceaccount.com does not exist'),
    })
    await expect(cloud.token({ as: 'nobody', audience: 'billing' })).rejects.toThrow(
      'There is no service account nobody@demo-project.iam.gserviceaccount.com.',
    )
  })

  test('a public service asks for nothing', async () => {
    expect((await cloud.call('shop')).status).toBe(200)
  })

  test('a call has the method, path, headers and body that it was given, and the answer is whole', async () => {
    const response = await cloud.call('shop', {
      path: '/a/b?c=d',
      method: 'DELETE',
      headers: { 'X-Header': 'value' },
      body: 'text',
    })
    expect(response.status).toBe(410)
    expect(response.headers.get('x-answer')).toBe('yes')
    expect(await response.json()).toEqual({ path: '/a/b', method: 'DELETE', header: 'value', body: 'text' })
  })

  test('a token is for the URL of the service that it names, or for any other audience', async () => {
    const audienceOf = async (audience: string) =>
      decodeJwt(await cloud.token({ as: 'orders-sa', audience })).aud
    expect(cloud.urlOf('billing')).toBe('http://billing-123456789012.us-central1.run.app')
    expect(await audienceOf('billing')).toBe(cloud.urlOf('billing'))
    expect(await audienceOf('https://example.com')).toBe('https://example.com')
  })

  test('decisions tell why, of one service or of all', async () => {
    await cloud.call('billing', { as: 'orders-sa' })
    await cloud.call('shop')
    const [decision, ...others] = await cloud.decisions('billing')
    expect(others).toEqual([])
    expect(decision).toMatchObject({
      service: 'billing',
      status: 403,
      allowed: false,
      why: expect.stringContaining('run.routes.invoke'),
    })
    expect((await cloud.decisions()).map(({ service }) => service)).toEqual(['billing', 'shop'])
  })

  test('a product of Google’s pushes through the same door: 403, and 200 once that is granted', async () => {
    const push = () => cloud.push('billing', { product: 'pubsub', as: 'orders-sa', body: { paid: true } })
    const { request, response, decision } = await push()
    expect(response.status).toBe(403)
    expect(decision.why).toContain('orders-sa@')
    const { message } = JSON.parse(request.body)
    expect(JSON.parse(Buffer.from(message.data, 'base64').toString())).toEqual({ paid: true })
    await cloud.grant('billing', 'orders-sa')
    expect((await push()).response.status).toBe(200)
    const elsewhere = cloud.push('billing', {
      product: 'tasks',
      as: 'orders-sa',
      audience: 'https://x.example',
    })
    expect((await elsewhere).response.status).toBe(401)
    await expect(cloud.push('nobody', { product: 'pubsub' })).rejects.toThrow('nobody is not deployed')
  })

  test('an hour later a token is no longer good, and a new one is', async () => {
    await cloud.grant('billing', 'orders-sa')
    const token = await cloud.token({ as: 'orders-sa', audience: 'billing' })
    const withToken = async () =>
      (await cloud.call('billing', { headers: { authorization: `Bearer ${token}` } })).status
    expect(await withToken()).toBe(200)
    await cloud.clock.advance(HOUR + 60_000)
    expect(await withToken()).toBe(401)
    expect(await statusOf('orders-sa')).toBe(200)
  })

  test('a year later the signing keys have changed, and calls still pass', async () => {
    await cloud.grant('billing', 'orders-sa')
    const keyOf = async () => (await cloud.token({ as: 'orders-sa', audience: 'billing' })).split('.')[0]
    const before = await keyOf()
    await cloud.clock.advance(365 * 24 * HOUR)
    expect(await keyOf()).not.toBe(before)
    // What the helper itself had signed in with has expired as well.
    await cloud.grant('billing', 'stranger')
    expect(await statusOf('orders-sa')).toBe(200)
  })

  test('a reset brings back the services as they were brought, the policies, the decisions and the time', async () => {
    await cloud.grant('billing', 'orders-sa')
    await cloud.createServiceAccount('late-sa')
    await cloud.clock.advance(10 * HOUR)
    await cloud.call('billing')
    await cloud.reset()
    expect(await cloud.decisions()).toEqual([])
    expect(await statusOf('orders-sa')).toBe(403)
    expect((await cloud.call('shop')).status).toBe(200)
    await expect(cloud.token({ as: 'late-sa', audience: 'billing' })).rejects.toThrow('no service account')
    const [decision] = await cloud.decisions('billing')
    expect(Math.abs(Date.parse(decision?.time ?? '') - Date.now())).toBeLessThan(HOUR)
  })
})

describe('a child process', () => {
  /** A program that knows nothing of an emulator: who am I, and what does the service answer me? */
  const PROGRAM = `
    import { GoogleAuth } from 'google-auth-library'
    import { instance } from 'gcp-metadata'
    const email = await instance('service-accounts/default/email')
    const client = await new GoogleAuth().getIdTokenClient(process.env.URL)
    const { status } = await client.request({ url: process.env.URL, validateStatus: () => true, proxy: process.env.http_proxy })
    console.log(JSON.stringify({ email, status, service: process.env.K_SERVICE, revision: process.env.K_REVISION }))
  `
  async function run(as?: string) {
    const child = Bun.spawn([process.execPath, '-e', PROGRAM], {
      cwd: import.meta.dir,
      env: {
        PATH: process.env.PATH,
        URL: cloud.urlOf('billing'),
        ...cloud.env(as === undefined ? {} : { as }),
      },
      stdout: 'pipe',
      stderr: 'inherit',
    })
    return JSON.parse(await new Response(child.stdout).text())
  }

  test('is the service that its variables say it is', async () => {
    await cloud.grant('billing', 'orders-sa')
    expect(await run('orders')).toEqual({
      email: 'orders-sa@demo-project.iam.gserviceaccount.com',
      status: 200,
      service: 'orders',
      revision: expect.stringMatching(/^orders-00001-\w{3}$/),
    })
    // facts 1.7: the default compute account is an Editor.
    expect(await run('billing')).toMatchObject({
      email: '123456789012-compute@developer.gserviceaccount.com',
      status: 200,
      service: 'billing',
    })
  })

  test('that is no service is a machine of the project', async () => {
    expect(await run()).toEqual({
      email: '123456789012-compute@developer.gserviceaccount.com',
      status: 200,
    })
  })

  test('cannot be a service that the test did not bring', () => {
    expect(() => cloud.env({ as: 'other' })).toThrow(
      'expected a service that the test brought along, got "other"',
    )
  })
})

describe('with https, as in the cloud', () => {
  test('a child process is told of the proxy and of the certificate, and gets in by TLS', async () => {
    const secure = await startEmulator({
      scheme: 'https',
      services: { billing: { upstream: port, serviceAccount: 'billing-sa', public: true } },
    })
    try {
      expect(secure.urlOf('billing')).toBe('https://billing-123456789012.us-central1.run.app')
      expect((await secure.call('billing')).status).toBe(200)
      const program = `const r = await fetch('${secure.urlOf('billing')}/a'); console.log(r.status, await r.text())`
      const child = Bun.spawn([process.execPath, '-e', program], {
        env: { PATH: process.env.PATH, ...secure.env({ as: 'billing' }) },
        stdout: 'pipe',
        stderr: 'inherit',
      })
      expect(await new Response(child.stdout).text()).toStartWith('200 {"path":"/a"')
    } finally {
      await secure.close()
    }
  })
})
