import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { decodeJwt } from 'jose'
import { tokenKey } from '../../state/token-key.ts'
import { type AskOptions, CALLER, COMPUTE, openProject, type Project } from './metadata.fixture.ts'

const V1 = '/computeMetadata/v1'
const DEFAULT = `${V1}/instance/service-accounts/default`

let project: Project
beforeAll(async () => {
  project = await openProject()
})
afterAll(() => project.state.close())

async function text(path: string): Promise<string> {
  const response = await project.ask(path)
  expect(response.status).toBe(200)
  return response.text()
}

describe('facts 2.1: what is served', () => {
  test('facts 2.1: every success carries the Server and Metadata-Flavor headers, and text values application/text', async () => {
    const response = await project.ask(`${V1}/project/project-id`)
    expect(Object.fromEntries(response.headers)).toEqual({
      'content-type': 'application/text',
      'content-length': '12',
      'metadata-flavor': 'Google',
      server: 'Metadata Server for Serverless',
    })
    expect(await response.text()).toBe('demo-project')
  })

  const listings: readonly (readonly [string, string])[] = [
    ['/', 'computeMetadata/\n'],
    ['/computeMetadata/', 'v1/\n'],
    [`${V1}/`, 'instance/\nproject/\n'],
    [`${V1}/instance/`, 'id\nregion\nservice-accounts/\nzone\n'],
    [`${V1}/project/`, 'numeric-project-id\nproject-id\n'],
    [`${V1}/instance/service-accounts/`, `${COMPUTE}/\ndefault/\n`],
    [`${DEFAULT}/`, 'aliases\nemail\nidentity\nscopes\ntoken\n'],
    [`${V1}/instance/service-accounts/${COMPUTE}/`, 'aliases\nemail\nidentity\nscopes\ntoken\n'],
  ]
  for (const [path, body] of listings) {
    test(`facts 2.1: ${path} lists what is in it, a line an entry, each ended`, async () => {
      expect(await text(path)).toBe(body)
    })
  }

  const values: readonly (readonly [string, string])[] = [
    [`${V1}/project/project-id`, 'demo-project'],
    [`${V1}/project/numeric-project-id`, '123456789012'],
    [`${V1}/instance/region`, 'projects/123456789012/regions/us-central1'],
    [`${V1}/instance/zone`, 'projects/123456789012/zones/us-central1-1'],
    [`${DEFAULT}/email`, COMPUTE],
    [`${V1}/instance/service-accounts/${COMPUTE}/email`, COMPUTE],
    [`${V1}/instance/service-accounts/${encodeURIComponent(COMPUTE)}/email`, COMPUTE],
    [`${DEFAULT}/aliases`, 'default'],
  ]
  for (const [path, value] of values) {
    test(`facts 2.1: ${path} is the bare value, without a line end`, async () => {
      expect(await text(path)).toBe(value)
    })
  }

  test('facts 2.1: instance/id is long lower-case hex, one a revision', async () => {
    const first = project.deploy('ids', COMPUTE)
    const second = project.deploy('ids', COMPUTE)
    const id = async (instance = first) => {
      const response = await project.ask(`${V1}/instance/id`, { peer: { address: '127.0.0.1', instance } })
      return response.text()
    }
    expect(await id()).toMatch(/^[0-9a-f]{128,}$/)
    expect(await id()).toBe(await id())
    expect(await id(second)).not.toBe(await id())
  })

  test('facts 2.1: scopes are lines, and hold cloud-platform', async () => {
    const lines = (await text(`${DEFAULT}/scopes`)).split('\n')
    expect(lines.pop()).toBe('')
    expect(lines).toContain('https://www.googleapis.com/auth/cloud-platform')
  })

  test('facts 2.1: recursive=true is camelCase JSON, the account under its email and under default', async () => {
    const response = await project.ask(`${V1}/?recursive=true`)
    expect(response.headers.get('Content-Type')).toBe('application/json')
    const body = await response.text()
    const account = { aliases: ['default'], email: COMPUTE, scopes: expect.arrayContaining([]) }
    expect(JSON.parse(body)).toEqual({
      instance: {
        id: expect.any(String),
        region: 'projects/123456789012/regions/us-central1',
        serviceAccounts: { [COMPUTE]: account, default: account },
        zone: 'projects/123456789012/zones/us-central1-1',
      },
      project: { numericProjectId: 123456789012, projectId: 'demo-project' },
    })
    expect(body).not.toContain('\n')
  })

  test('facts 7.6: what detectors ask: instance/?recursive=true, with the Server header of Cloud Run', async () => {
    const response = await project.ask(`${V1}/instance/?recursive=true`)
    expect(response.headers.get('Server')).toBe('Metadata Server for Serverless')
    expect(Object.keys(JSON.parse(await response.text()))).toEqual([
      'id',
      'region',
      'serviceAccounts',
      'zone',
    ])
  })

  test('facts 2.3: .../default/?recursive=true is JSON with the email, as Python reads it', async () => {
    const response = await project.ask(`${DEFAULT}/?recursive=true`)
    expect(response.headers.get('Content-Type')).toBe('application/json')
    const account = JSON.parse(await response.text())
    expect(Object.keys(account)).toEqual(['aliases', 'email', 'scopes'])
    expect(account.email).toBe(COMPUTE)
  })

  test('alt chooses between JSON and text', async () => {
    expect(await text(`${V1}/project/?recursive=true&alt=text`)).toBe(
      'numeric-project-id 123456789012\nproject-id demo-project\n',
    )
    expect(await text(`${V1}/project/project-id?alt=json`)).toBe('"demo-project"')
    expect(await text(`${V1}/project/numeric-project-id?alt=json`)).toBe('123456789012')
    expect(await text(`${V1}/instance/?alt=json`)).toBe('["id","region","service-accounts/","zone"]')
  })

  test('facts 2.1: token is the three members, fresh with 3599 seconds', async () => {
    const response = await project.ask(`${DEFAULT}/token`)
    expect(response.headers.get('Content-Type')).toBe('application/json')
    const body = await response.text()
    expect(body).toMatch(/^\{"access_token":"ya29\.[\w.-]+","expires_in":\d+,"token_type":"Bearer"\}$/)
    expect(JSON.parse(body).expires_in).toBe(3599)
    const kept = project.state.accessToken(JSON.parse(body).access_token)
    expect(kept).toMatchObject({ member: `serviceAccount:${COMPUTE}`, email: COMPUTE })
    expect(kept?.scopes).toContain('https://www.googleapis.com/auth/cloud-platform')
  })

  test('facts 2.1: scopes are comma-separated, and a token holds those asked for', async () => {
    const response = await project.ask(`${DEFAULT}/token?scopes=https://a.example/x,https://a.example/y`)
    const { access_token } = JSON.parse(await response.text())
    expect(project.state.accessToken(access_token)?.scopes).toEqual([
      'https://a.example/x',
      'https://a.example/y',
    ])
  })

  test('facts 2.1, 6.6, 7.6: unknown paths are a bare 404 that still carries Metadata-Flavor', async () => {
    const unknown = [
      '/nothing',
      '/computeMetadata/v1beta1/',
      '/computeMetadata/v2/',
      `${V1}/project/attributes/`,
      `${V1}/instance/name`,
      `${V1}/instance/network-interfaces/0/ip`,
      // What Google's bootstrap for mesh clients tries, and what a slip of the pen asks for.
      `${V1}/instance/network-interfaces/0/ipv6s`,
      `${V1}/instance/service-account/token`,
      `${V1}/instance/service-accounts/other@demo-project.iam.gserviceaccount.com/email`,
      `${V1}/project/project-id/`,
      `${V1}//project/project-id`,
      `${V1}/project/%zz`,
      `${V1}/universe/universe-domain`,
      `${V1}/universe/universe_domain`,
    ]
    for (const path of unknown) {
      const response = await project.ask(path)
      expect([path, response.status, await response.text()]).toEqual([path, 404, ''])
      expect(response.headers.get('Metadata-Flavor')).toBe('Google')
    }
  })

  test('facts 2.1: no ETag, X-XSS-Protection or X-Frame-Options on Cloud Run', async () => {
    const { headers } = await project.ask(`${V1}/?recursive=true`)
    for (const name of ['ETag', 'X-XSS-Protection', 'X-Frame-Options']) expect(headers.has(name)).toBe(false)
  })
})

describe('facts 2.2: what is refused', () => {
  test('facts 2.2, 6.6: without Metadata-Flavor 403, without that header in the answer, nothing in the body', async () => {
    for (const method of ['GET', 'HEAD', 'POST']) {
      for (const path of [`${V1}/project/project-id`, `${DEFAULT}/identity?audience=x`, '/nothing']) {
        const response = await project.ask(path, { method, headers: null })
        expect(response.status).toBe(403)
        expect(response.headers.has('Metadata-Flavor')).toBe(false)
        expect(response.headers.get('Content-Type')).toBe('text/html; charset=UTF-8')
        expect(response.headers.get('Server')).toBe('Metadata Server for Serverless')
        expect(await response.text()).toBe('')
      }
    }
  })

  test('facts 2.2: another flavor is refused too', async () => {
    const response = await project.ask(`${V1}/project/project-id`, {
      headers: { 'Metadata-Flavor': 'google' },
    })
    expect(response.status).toBe(403)
  })

  test('facts 2.2: GET / without the flavor header is 200, with Metadata-Flavor', async () => {
    const response = await project.ask('/', { headers: null })
    expect(response.status).toBe(200)
    expect(response.headers.get('Metadata-Flavor')).toBe('Google')
  })

  test('facts 2.2: a request that was forwarded is refused, on / too', async () => {
    for (const path of ['/', `${DEFAULT}/identity?audience=https://x`]) {
      const response = await project.ask(path, { headers: { 'X-Forwarded-For': '10.0.0.1' } })
      expect([response.status, await response.text()]).toEqual([403, 'Forbidden\n'])
    }
  })

  test('facts 2.2: a missing or empty audience is 400', async () => {
    for (const query of ['', '?audience=', '?format=full']) {
      const response = await project.ask(`${DEFAULT}/identity${query}`)
      expect(response.status).toBe(400)
      expect(response.headers.get('Content-Type')).toBe('text/html')
      expect(await response.text()).toBe('non-empty audience parameter required')
    }
  })

  test('facts 2.2: a directory without its slash is 301 to the one with it, the query kept', async () => {
    for (const path of ['/computeMetadata', V1, `${V1}/instance`, DEFAULT]) {
      const response = await project.ask(`${path}?recursive=true`)
      expect(response.status).toBe(301)
      expect(response.headers.get('Location')).toBe(`${path}/?recursive=true`)
      expect(response.headers.get('Content-Type')).toBe('text/html')
      expect(await response.text()).toBe(`${path}/\n`)
    }
  })

  test('facts 2.2, 6.6: a token of a disabled or deleted account is 500, path and query echoed; the account is still listed', async () => {
    project.createServiceAccount('short-lived')
    const email = 'short-lived@demo-project.iam.gserviceaccount.com'
    const peer = { address: '127.0.0.1', instance: project.deploy('gone', email) }
    const before = await project.ask(`${DEFAULT}/identity?audience=https://x`, { peer })
    expect(before.status).toBe(200)

    const account = project.state.serviceAccount(email)
    if (!account) throw new Error('the account was not made')
    project.state.serviceAccounts.put(email, { ...account, disabled: true })
    for (const _ of ['disabled', 'deleted']) {
      for (const path of [
        `${DEFAULT}/identity?audience=https://x&format=full`,
        `${DEFAULT}/token?scopes=a`,
      ]) {
        const response = await project.ask(path, { peer })
        expect(response.status).toBe(500)
        expect(await response.text()).toBe(`Could not fetch URI ${path}\n`)
      }
      const listed = await project.ask(`${DEFAULT}/`, { peer })
      expect(listed.status).toBe(200)
      project.state.serviceAccounts.delete(email)
    }

    // An account made anew under the old email is another account: it does not get the old one's token.
    project.createServiceAccount('short-lived')
    const anew = await project.ask(`${DEFAULT}/identity?audience=https://x`, { peer })
    expect(decodeJwt(await anew.text()).sub).toBe(project.state.serviceAccount(email)?.uniqueId)
  })

  test('other methods are 405', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const response = await project.ask(`${V1}/project/project-id`, { method })
      expect([response.status, response.headers.get('Allow')]).toEqual([405, 'GET, HEAD'])
    }
  })

  test('HEAD answers the headers of GET and no body', async () => {
    const response = await project.ask(`${V1}/project/project-id`, { method: 'HEAD' })
    expect(response.status).toBe(200)
    expect(response.headers.get('Metadata-Flavor')).toBe('Google')
    expect(response.headers.get('Content-Length')).toBe('12')
    expect(await response.text()).toBe('')
  })
})

describe('which workload is asking', () => {
  const email = async (options: Parameters<Project['ask']>[1]) => {
    const response = await project.ask(`${DEFAULT}/email`, options)
    return [response.status, await response.text()]
  }
  const address = '172.20.0.7'
  beforeAll(() => project.createServiceAccount('calling-service-sa'))

  test('nobody known: the default compute service account, as a machine has it', async () => {
    expect(await email({ peer: { address } })).toEqual([200, COMPUTE])
  })

  test('the listener it came in by tells, and the account is that of the revision, not of a newer one', async () => {
    const old = project.deploy('sender', COMPUTE)
    const newer = project.deploy('sender', CALLER)
    expect(await email({ peer: { address, instance: old } })).toEqual([200, COMPUTE])
    expect(await email({ peer: { address, instance: newer } })).toEqual([200, CALLER])
  })

  test('the address on the network tells', async () => {
    project.network.set(address, project.deploy('by-address', CALLER))
    expect(await email({ peer: { address } })).toEqual([200, CALLER])
    expect(await email({ peer: { address }, host: 'by-address.metadata.google.internal' })).toEqual([
      200,
      CALLER,
    ])
    project.network.delete(address)
  })

  test('the listener wins over the address', async () => {
    project.network.set(address, project.deploy('by-address', CALLER))
    const instance = project.deploy('by-listener', COMPUTE)
    expect(await email({ peer: { address, instance } })).toEqual([200, COMPUTE])
    project.network.delete(address)
  })

  test('the host name tells only where the connection says nothing: the latest ready revision', async () => {
    project.deploy('by-name', COMPUTE)
    project.deploy('by-name', CALLER)
    expect(await email({ host: 'by-name.metadata.google.internal' })).toEqual([200, CALLER])
    project.deploy('far', CALLER, 'europe-west1')
    expect(await email({ host: 'far.metadata.google.internal' })).toEqual([200, CALLER])
    const region = await project.ask(`${V1}/instance/region`, { host: 'far.metadata.google.internal' })
    expect(await region.text()).toBe('projects/123456789012/regions/europe-west1')
  })

  test('a host name that contradicts the connection is refused, and the line names both', async () => {
    project.deploy('victim', CALLER)
    const instance = project.deploy('attacker', COMPUTE)
    const host = 'victim.metadata.google.internal'
    for (const path of [`${DEFAULT}/email`, `${DEFAULT}/identity?audience=https://x`, `${DEFAULT}/token`]) {
      const response = await project.ask(path, { host, peer: { address, instance } })
      expect(response.status).toBe(403)
      expect(await response.text()).toMatch(
        /comes from service attacker .* asks for the metadata of service victim/,
      )
    }
    project.network.set(address, instance)
    expect((await project.ask(`${DEFAULT}/token`, { host, peer: { address } })).status).toBe(403)
    project.network.delete(address)
  })

  test('a name that is no service, or not one service, is 404 with a line that says so', async () => {
    expect(await email({ host: 'nobody.metadata.google.internal' })).toEqual([
      404,
      'There is no service nobody in project demo-project.\n',
    ])
    project.deploy('twice', COMPUTE, 'europe-west1')
    project.deploy('twice', COMPUTE, 'asia-east1')
    const [status, line] = await email({ host: 'twice.metadata.google.internal' })
    expect(status).toBe(404)
    expect(line).toContain('Several regions have a service twice')
  })
})

describe('how long a token is handed out', () => {
  const ask = async (path: string, options?: Parameters<Project['ask']>[1]) =>
    (await project.ask(path, options)).text()
  const identity = `${DEFAULT}/identity?format=full&audience=https://cached.example`

  test('facts 2.1: the access token is the cached one until five minutes of life remain, per scopes', async () => {
    const token = async (query = '') => JSON.parse(await ask(`${DEFAULT}/token${query}`))
    const first = await token('?scopes=cached')
    const at = project.now
    project.now = at + 54 * 60_000
    const second = await token('?scopes=cached')
    expect(second.access_token).toBe(first.access_token)
    expect(second.expires_in).toBe(3599 - 54 * 60)
    expect((await token('?scopes=other')).access_token).not.toBe(first.access_token)
    project.now = at + 55 * 60_000
    const third = await token('?scopes=cached')
    expect(third.access_token).not.toBe(first.access_token)
    expect(third.expires_in).toBe(3599)
  })

  test('an access token that was revoked is not handed out again', async () => {
    const token = async () => JSON.parse(await ask(`${DEFAULT}/token?scopes=revoked`)).access_token
    const first = await token()
    expect(await token()).toBe(first)
    project.state.accessTokens.delete(tokenKey(first))
    expect(await token()).not.toBe(first)
  })

  test('an ID token is reused until shortly before it expires', async () => {
    const [first, same] = await Promise.all([ask(identity), ask(identity)])
    expect(same).toBe(first)
    const at = project.now
    project.now = at + 54 * 60_000
    expect(await ask(identity)).toBe(first)
    project.now = at + 55 * 60_000
    expect(await ask(identity)).not.toBe(first)
  })

  test('an ID token is never handed on to another revision', async () => {
    const [old, newer] = [project.deploy('reuse', COMPUTE), project.deploy('reuse', COMPUTE)]
    const asked = (instance: typeof old) => ask(identity, { peer: { address: '127.0.0.1', instance } })
    const first = await asked(old)
    project.now += 1000 // the same claims would be signed to the same bytes
    expect(await asked(newer)).not.toBe(first)
    expect(await asked(old)).toBe(first)
  })

  test('a rotation does not take a token back while its key verifies, two at short notice do', async () => {
    const first = await ask(identity)
    await project.state.keys.rotate(project.now)
    expect(await ask(identity)).toBe(first)
    await project.state.keys.rotate(project.now)
    expect(await ask(identity)).not.toBe(first)
  })

  test('facts 6.6: email is there with format=full and not without; Cloud Run adds no google claim', async () => {
    const full = decodeJwt(await ask(`${DEFAULT}/identity?audience=https://x&format=full&licenses=TRUE`))
    expect(full).toMatchObject({ aud: 'https://x', email: COMPUTE, email_verified: true })
    expect(full).not.toHaveProperty('google')
    for (const query of ['', '&format=standard', '&format=standard&licenses=FALSE']) {
      const standard = decodeJwt(await ask(`${DEFAULT}/identity?audience=https://x${query}`))
      expect(standard).not.toHaveProperty('email')
      expect(standard.sub).toBe(full.sub ?? '')
    }
  })

  test('facts 2.3: the audience may come escaped or not, and the token is application/text without a charset', async () => {
    const audience = 'https://receiver-123456789012.us-central1.run.app/path?x=1'
    for (const spelling of [audience, encodeURIComponent(audience)]) {
      const response = await project.ask(`${DEFAULT}/identity?audience=${spelling}&format=full`)
      expect(response.headers.get('Content-Type')).toBe('application/text')
      expect(decodeJwt(await response.text()).aud).toBe(audience)
    }
  })
})

describe('what is refused is a decision that says why', () => {
  const PATH = '/computeMetadata/v1/instance/service-accounts/default/identity'
  const NOBODY = 'nobody-sa@demo-project.iam.gserviceaccount.com'
  const last = () => project.state.decisions.list().at(-1)

  test.each<[string, number, string, AskOptions & { path?: string }]>([
    [
      'a request that was passed on',
      403,
      'metadata-forwarded',
      { headers: { 'X-Forwarded-For': '10.0.0.1' } },
    ],
    ['one without the header', 403, 'metadata-flavor', { headers: null }],
    ['a service that is not there', 404, 'metadata-workload', { host: 'nobody.metadata.google.internal' }],
    ['a path that is not there', 404, 'metadata-path', { path: '/computeMetadata/v1/nothing' }],
    ['another method', 405, 'metadata-method', { method: 'POST' }],
    ['a token for no audience', 400, 'metadata-audience', {}],
  ])('%s: %p, %s', async (_, status, name, { path = PATH, ...options }) => {
    expect((await project.ask(path, options)).status).toBe(status)
    expect(last()).toMatchObject({ door: 'metadata', path, status, allowed: false, checks: [{ name }] })
  })

  test('the service whose instance asks is named, and the account that it may have', async () => {
    const instance = project.deploy('calling-service', NOBODY)
    const path = PATH.replace('default', COMPUTE)
    const peer = { address: '10.0.0.9', instance }
    expect((await project.ask(`${path}?audience=a`, { peer })).status).toBe(404)
    expect(last()).toMatchObject({
      service: 'calling-service',
      region: 'us-central1',
      revision: instance.revision,
    })
    expect(last()?.checks[0]?.actual).toBe(`service account ${COMPUTE}, and the workload runs as ${NOBODY}`)
    expect((await project.ask(`${PATH}?audience=a`, { peer })).status).toBe(500)
    expect(last()?.checks).toMatchObject([
      { name: 'metadata-account', actual: `${NOBODY}, which does not exist` },
    ])
  })

  test('what is answered is none', async () => {
    const before = project.state.decisions.list().length
    expect((await project.ask(`${PATH}?audience=a`)).status).toBe(200)
    expect(project.state.decisions.list()).toHaveLength(before)
  })
})
