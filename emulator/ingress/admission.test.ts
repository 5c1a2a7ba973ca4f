import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { why } from '../decision/decision.ts'
import { serviceHosts, serviceKey } from '../state/names.ts'
import { newPolicy } from '../state/new-policy.ts'
import type { ServiceAccount } from '../state/resources.ts'
import type { Deployed } from '../state/state.fixture.ts'
import { mintIdToken } from '../tokens/mint.ts'
import { EVERYONE, INVOKER, openRig, type Rig } from './ingress.fixture.ts'
import { NOT_AUTHENTICATED, NOT_AUTHORIZED, NOT_VERIFIED } from './log-texts.ts'

let rig: Rig
let caller: ServiceAccount
let closed: Deployed
let open: Deployed

beforeAll(async () => {
  rig = await openRig()
  caller = rig.account('caller')
  closed = rig.deploy('closed', {
    bindings: [{ role: INVOKER, members: [`serviceAccount:${caller.email}`] }],
  })
  open = rig.deploy('open', { bindings: EVERYONE })
})
beforeEach(() => {
  rig.container = (_incoming, outgoing) => outgoing.end('hello')
  rig.instance = undefined
})
afterAll(() => rig.close())

const bearer = (token: string) => ['Authorization', `Bearer ${token}`]

describe('facts 1.1: the status matrix', () => {
  test('no credential is answered 403, and says so in the log', async () => {
    const reply = await rig.call({ host: closed.host })
    expect(reply.status).toBe(403)
    const decision = rig.lastDecision()
    expect(decision).toMatchObject({ allowed: false, status: 403, service: 'closed', log: NOT_AUTHENTICATED })
    expect(decision.checks.map(({ name }) => name)).toEqual(['host', 'credential'])
    expect(rig.state.logs.list().at(-1)).toMatchObject({
      severity: 'WARNING',
      textPayload: NOT_AUTHENTICATED,
    })
  })

  test('a valid token of a caller with the permission is let through', async () => {
    const token = await rig.token(caller, closed.url)
    const reply = await rig.call({ host: closed.host, headers: bearer(token) })
    expect([reply.status, reply.body]).toEqual([200, 'hello'])
    const decision = rig.lastDecision()
    expect(decision).toMatchObject({
      allowed: true,
      status: 200,
      revision: 'closed-00001-abc',
      caller: { member: `serviceAccount:${caller.email}` },
      binding: { role: INVOKER },
    })
    expect(why(decision)).toBe(
      `serviceAccount:${caller.email} holds roles/run.invoker on projects/demo-project/locations/us-central1/services/closed.`,
    )
    expect(JSON.stringify(decision)).not.toContain(token)
  })

  test('a valid token of a caller without the permission is answered 403 with the same page', async () => {
    const nobody = rig.account('nobody')
    const token = await rig.token(nobody, closed.url)
    const reply = await rig.call({ host: closed.host, headers: bearer(token) })
    const without = await rig.call({ host: closed.host })
    expect([reply.status, reply.body]).toEqual([403, without.body])
    expect(rig.state.decisions.list().at(-2)).toMatchObject({ status: 403, log: NOT_AUTHORIZED })
  })

  test('a token for another audience is answered 401', async () => {
    const token = await rig.token(caller, open.url)
    expect((await rig.call({ host: closed.host, headers: bearer(token) })).status).toBe(401)
    expect(rig.lastDecision()).toMatchObject({ status: 401, log: NOT_VERIFIED })
    expect(rig.lastDecision().checks.at(-1)).toMatchObject({ name: 'token-audience', passed: false })
  })

  test('an access token is answered 401', async () => {
    const { token } = rig.state.issueAccessToken({ member: `serviceAccount:${caller.email}`, scopes: [] })
    expect((await rig.call({ host: closed.host, headers: bearer(token) })).status).toBe(401)
  })

  test('an expired token is answered 401', async () => {
    const token = await rig.token(caller, closed.url)
    rig.now += 3_600_000
    expect((await rig.call({ host: closed.host, headers: bearer(token) })).status).toBe(401)
    expect(rig.lastDecision().checks.at(-1)).toMatchObject({ name: 'token-expiry', passed: false })
  })

  test.each(['Basic dXNlcjpwYXNz', 'Token abc', 'abc', 'Bearer', ''])(
    'the scheme of %p is answered 401',
    async (value) => {
      const reply = await rig.call({ host: closed.host, headers: ['Authorization', value] })
      expect(reply.status).toBe(401)
    },
  )

  test.each(['bearer', 'BEARER', 'bEaReR'])('%s is Bearer', async (scheme) => {
    const token = await rig.token(caller, closed.url)
    const reply = await rig.call({ host: closed.host, headers: ['authorization', `${scheme} ${token}`] })
    expect(reply.status).toBe(200)
  })

  test('an OPTIONS preflight without a token is answered 403: there is no exemption', async () => {
    const headers = ['Origin', 'https://example.com', 'Access-Control-Request-Method', 'GET']
    expect((await rig.call({ host: closed.host, method: 'OPTIONS', headers })).status).toBe(403)
  })

  test('no such service is answered 404, and nothing is logged', async () => {
    const logged = rig.state.logs.list().length
    const reply = await rig.call({ host: 'absent-123456789012.us-central1.run.app' })
    expect([reply.status, reply.body.length]).toEqual([404, 272])
    expect(rig.lastDecision().log).toBeUndefined()
    expect(rig.state.logs.list().length).toBe(logged)
  })

  test('a disabled default URL is answered 404, open service or not', async () => {
    const hidden = rig.deploy('hidden', {
      bindings: EVERYONE,
      settings: { defaultUrlDisabled: true },
    })
    expect((await rig.call({ host: hidden.host })).status).toBe(404)
  })

  test.each(['internal', 'internal-and-cloud-load-balancing'] as const)(
    'ingress %s answers 404 to the internet, and to a service that does not send through the VPC network',
    async (setting) => {
      const inner = rig.deploy('inner', {
        bindings: EVERYONE,
        settings: { ingress: setting },
      })
      expect((await rig.call({ host: inner.host })).status).toBe(404)

      const plain = rig.deploy('plain')
      rig.instance = { service: plain.service, revision: 'plain-00001-abc' }
      expect((await rig.call({ host: inner.host })).status).toBe(404)
      expect(rig.lastDecision().checks.at(-1)?.mend).toContain('--vpc-egress=all-traffic')

      const attached = rig.deploy('attached', {
        template: {
          settings: { networkInterfaces: [{ network: 'default' }], vpcEgress: 'all-traffic' },
        },
      })
      rig.instance = { service: attached.service, revision: 'attached-00001-abc' }
      expect((await rig.call({ host: inner.host })).status).toBe(200)
    },
  )

  test('/healthz is answered by the robot page before any IAM check, and never reaches the container', async () => {
    const RESERVED = '/healthz'.length
    let reached = false
    rig.container = (_incoming, outgoing) => {
      reached = true
      outgoing.end()
    }
    for (const { host } of [closed, open]) {
      for (const path of ['/healthz', '/healthz?x=1']) {
        const reply = await rig.call({ host, path })
        expect([reply.status, Buffer.byteLength(reply.body)]).toEqual([404, 1568 + path.length - RESERVED])
      }
    }
    expect(reached).toBe(false)
  })

  test.each(['/healthz/', '/HEALTHZ', '/readyz', '/livez', '/_ah/health', '/healthcheck'])(
    'facts 6.2: %s reaches the container',
    async (path) => {
      expect((await rig.call({ host: open.host, path })).body).toBe('hello')
    },
  )

  test('facts 6.2: TRACE never reaches the container', async () => {
    expect((await rig.call({ host: open.host, method: 'TRACE' })).status).toBe(405)
  })
})

describe('facts 1.5: which credential counts', () => {
  const seen = async (headers: readonly string[], host = closed.host) => {
    let received: Readonly<Record<string, unknown>> = {}
    rig.container = (incoming, outgoing) => {
      received = incoming.headers
      outgoing.end()
    }
    const reply = await rig.call({ host, headers })
    return { status: reply.status, received }
  }
  const removed = (token: string) => token.replace(/[^.]+$/, 'SIGNATURE_REMOVED_BY_GOOGLE')

  test('facts 7.2: a checked Authorization reaches the container byte for byte, scheme and signature', async () => {
    const token = await rig.token(caller, closed.url)
    for (const value of [`Bearer ${token}`, `bearer ${token}`, `BEARER   ${token}`])
      expect((await seen(['Authorization', value])).received.authorization).toBe(value)
  })

  test('facts 7.2: X-Serverless-Authorization is checked alone, arrives as `bearer …` without its signature, and Authorization arrives untouched', async () => {
    const token = await rig.token(caller, closed.url)
    const own = ['Authorization', 'Token of-the-app']
    const mark = ['X-Serverless-Authorization', `Bearer ${token}`]
    for (const headers of [
      [...own, ...mark],
      [...mark, ...own],
    ]) {
      const { status, received } = await seen(headers)
      expect(status).toBe(200)
      expect(received['x-serverless-authorization']).toBe(`bearer ${removed(token)}`)
      expect(received.authorization).toBe('Token of-the-app')
    }
  })

  test.each(['Bearer nonsense', 'Basic eDp5', ''])(
    'a bad X-Serverless-Authorization, %p, is not rescued by a good Authorization',
    async (bad) => {
      const good = bearer(await rig.token(caller, closed.url))
      const wrong = ['X-Serverless-Authorization', bad]
      expect((await seen([...good, ...wrong])).status).toBe(401)
      expect((await seen([...wrong, ...good])).status).toBe(401)
    },
  )

  test('two headers of the name that counts are answered 401', async () => {
    const token = await rig.token(caller, closed.url)
    const twice = ['X-Serverless-Authorization', `Bearer ${token}`]
    expect((await seen([...bearer(token), ...bearer(token)])).status).toBe(401)
    expect((await seen([...twice, ...twice])).status).toBe(401)
  })

  test('a token whose signature was removed is answered 401', async () => {
    const token = await rig.token(caller, closed.url)
    expect((await seen(bearer(removed(token)))).status).toBe(401)
  })

  test('on an open service Authorization arrives unmodified, garbage and repeated ones too', async () => {
    const token = await rig.token(caller, open.url)
    expect((await seen(bearer(token), open.host)).received.authorization).toBe(`Bearer ${token}`)
    expect((await seen(bearer('garbage'), open.host)).received.authorization).toBe('Bearer garbage')
    expect((await seen(['Authorization', 'Basic eDp5'], open.host)).status).toBe(200)
  })

  test('on an open service X-Serverless-Authorization is taken away', async () => {
    const { status, received } = await seen(['X-Serverless-Authorization', 'Bearer garbage'], open.host)
    expect([status, received['x-serverless-authorization']]).toEqual([200, undefined])
  })
})

describe('facts 1.6: accepted audiences', () => {
  const with_ = async (audience: string, service: Deployed = closed, as = caller) =>
    (
      await rig.call({
        host: service.host,
        headers: bearer((await mintIdToken(rig.state.keys, rig.now, { subject: as, audience })).token),
      })
    ).status

  test('both forms of the URL, in either scheme, with and without one slash', async () => {
    const [deterministic = '', hashed = ''] = serviceHosts(closed.service, rig.state.place)
    expect(deterministic).toEndWith('-123456789012.us-central1.run.app')
    expect(hashed).toEndWith('-uc.a.run.app')
    for (const host of [deterministic, hashed])
      for (const scheme of ['http', 'https'])
        for (const end of ['', '/']) expect(await with_(`${scheme}://${host}${end}`)).toBe(200)
  })

  test.each([
    ['a port', (url: string) => `${url}:443`],
    ['another case of the host', (url: string) => url.replace('closed', 'Closed')],
    ['another case of the scheme', (url: string) => url.replace('http', 'HTTP')],
    ['a query', (url: string) => `${url}?x=1`],
    ['a query after a path', (url: string) => `${url}/path?x=1`],
    ['a fragment after a path', (url: string) => `${url}/path#x`],
    ['white space in the path', (url: string) => `${url}/a b`],
    ['the path of a longer host', (url: string) => `${url}.example.com/path`],
    ['a query after the slash', (url: string) => `${url}/?x=1`],
    ['a fragment', (url: string) => `${url}#x`],
    ['user info', (url: string) => url.replace('://', '://user@')],
    ['a trailing dot', (url: string) => `${url}.`],
    ['a space before', (url: string) => ` ${url}`],
    ['no scheme', (url: string) => url.replace('http://', '')],
    ['another scheme', (url: string) => url.replace('http', 'ftp')],
    ['a longer host', (url: string) => `${url}.example.com`],
    ['another region', (url: string) => url.replace('us-central1', 'us-east1')],
    ['nothing at all', () => ''],
  ])('%s is answered 401', async (_what, change) => {
    expect(await with_(change(closed.url))).toBe(401)
  })

  test('facts 7.1: the URL with any path, whatever path is asked for', async () => {
    for (const host of serviceHosts(closed.service, rig.state.place))
      for (const path of ['/path', '/path/of/some/length', '//', '/%2F..', '/index.html'])
        expect(await with_(`https://${host}${path}`)).toBe(200)
    expect(await with_(`https://blue---${closed.host}/path`)).toBe(401)
  })

  test('facts 7.1: the name of the service, with the number of its project, is an audience', async () => {
    const name = '/projects/123456789012/locations/us-central1/services/closed'
    expect(await with_(name)).toBe(200)
    for (const other of [
      name.replace('123456789012', 'demo-project'),
      name.replace('closed', 'other'),
      name.replace('us-central1', 'us-east1'),
      name.replace('services', 'instances'),
      name.slice(1),
      `${name}/`,
    ])
      expect(await with_(other)).toBe(401)
  })

  test('where the strict switch is set a path is answered 401, and the decision says what to ask for', async () => {
    const strict = await openRig({ acceptAudiencePath: false })
    try {
      const account = strict.account('caller')
      const members = [`serviceAccount:${account.email}`]
      const service = strict.deploy('closed', { bindings: [{ role: INVOKER, members }] })
      const statuses = []
      for (const end of ['', '/', '/path', '//']) {
        const token = await strict.token(account, `${service.url}${end}`)
        statuses.push((await strict.call({ host: service.host, headers: bearer(token) })).status)
      }
      expect(statuses).toEqual([200, 200, 401, 401])
      expect(strict.lastDecision().checks.at(-1)?.mend).toBe(
        `The audience is the service's URL, without path, query or fragment: ask for a token for ${service.url}.`,
      )
    } finally {
      await strict.close()
    }
  })

  test('the URL of a tag is no audience, at the tag or elsewhere; the URL itself is, at the tag too', async () => {
    const tagged = rig.deploy('tagged', {
      bindings: [{ role: INVOKER, members: [`serviceAccount:${caller.email}`] }],
      traffic: [{ percent: 100 }, { percent: 0, tag: 'blue', revisionName: 'tagged-00001-abc' }],
    })
    const at = { ...tagged, host: `blue---${tagged.host}` }
    expect(await with_(`http://${at.host}`, at)).toBe(401)
    expect(rig.lastDecision().checks.at(-1)?.mend).toBe(
      `The URL of a tag is no audience: ask for a token for ${tagged.url}.`,
    )
    expect(await with_(`http://${at.host}`, tagged)).toBe(401)
    expect(await with_(tagged.url, at)).toBe(200)
  })

  test('custom audiences are compared exactly, and the default URL stays accepted', async () => {
    const custom = rig.deploy('custom', {
      bindings: [{ role: INVOKER, members: [`serviceAccount:${caller.email}`] }],
      settings: { customAudiences: ['https://api.example.com', 'any-string'] },
    })
    expect(await with_('https://api.example.com', custom)).toBe(200)
    expect(await with_('any-string', custom)).toBe(200)
    expect(await with_(custom.url, custom)).toBe(200)
    expect(await with_('https://api.example.com/', custom)).toBe(401)
    expect(await with_('https://api.example.com', closed)).toBe(401)
  })

  test.each([
    '32555940559.apps.googleusercontent.com',
    '764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com',
  ])("gcloud's client %s is an audience of a person's token, not of a service account's", async (client) => {
    const owner = rig.state.user('owner@example.com')
    expect(await with_(client, closed, owner as typeof caller)).toBe(200)
    expect(await with_(client, closed, rig.state.user('stranger@example.com') as typeof caller)).toBe(403)
    expect(await with_(client)).toBe(401)
  })

  test('another OAuth client is answered 401', async () => {
    const owner = rig.state.user('owner@example.com')
    expect(await with_('1234.apps.googleusercontent.com', closed, owner as typeof caller)).toBe(401)
  })

  test('a token without an email is known by its subject', async () => {
    const request = { subject: caller, audience: closed.url, includeEmail: false }
    const { token } = await mintIdToken(rig.state.keys, rig.now, request)
    expect((await rig.call({ host: closed.host, headers: bearer(token) })).status).toBe(200)
    expect(rig.lastDecision().caller?.email).toBe(caller.email)
  })
})

describe('facts 1.7: who may', () => {
  test('a token outlives its account in nothing: deleted, and made anew, it is answered 401', async () => {
    const gone = rig.account('gone')
    const service = rig.deploy('may', {
      bindings: [{ role: INVOKER, members: [`serviceAccount:${gone.email}`] }],
    })
    const token = await rig.token(gone, service.url)
    const call = () => rig.call({ host: service.host, headers: bearer(token) })
    expect((await call()).status).toBe(200)
    rig.state.serviceAccounts.delete(gone.email)
    expect((await call()).status).toBe(401)
    rig.account('gone')
    expect((await call()).status).toBe(401)
    expect(rig.lastDecision().checks.at(-1)?.mend).toContain('made anew')
  })

  test('a disabled account is answered 403', async () => {
    const off = rig.account('off', { disabled: true })
    const service = rig.deploy('off', {
      bindings: [{ role: INVOKER, members: [`serviceAccount:${off.email}`] }],
    })
    const headers = bearer(await rig.token(off, service.url))
    expect((await rig.call({ host: service.host, headers })).status).toBe(403)
  })

  test('the default compute service account gets in by its Editor role on the project', async () => {
    const compute = rig.state.serviceAccount('123456789012-compute@developer.gserviceaccount.com')
    if (!compute) throw new Error('there is no default account')
    const service = rig.deploy('bare')
    const headers = bearer(await rig.token(compute, service.url))
    expect((await rig.call({ host: service.host, headers })).status).toBe(200)
    expect(rig.lastDecision().binding).toMatchObject({
      role: 'roles/editor',
      resource: '//cloudresourcemanager.googleapis.com/projects/demo-project',
    })
  })

  test('with the invoker IAM check off, no token is looked at', async () => {
    const service = rig.deploy('unchecked', { settings: { invokerIamDisabled: true } })
    expect((await rig.call({ host: service.host, headers: bearer('garbage') })).status).toBe(200)
    expect(rig.lastDecision().binding).toBeUndefined()
  })

  test('allUsers on the project opens its services; taken away, they close', async () => {
    const service = rig.deploy('by-project')
    const project = rig.state.project('demo-project')
    if (!project) throw new Error('there is no project')
    const change = (bindings: typeof EVERYONE) =>
      rig.state.projects.put('demo-project', {
        ...project,
        policy: newPolicy([...project.policy.bindings, ...bindings]),
      })
    change(EVERYONE)
    expect((await rig.call({ host: service.host })).status).toBe(200)
    change([])
    expect((await rig.call({ host: service.host })).status).toBe(403)
  })

  test('a changed policy counts from the next request on', async () => {
    const { service, host } = rig.deploy('changing', { bindings: EVERYONE })
    expect((await rig.call({ host })).status).toBe(200)
    rig.state.services.put(serviceKey(service), { ...service, policy: newPolicy([]) })
    expect((await rig.call({ host })).status).toBe(403)
  })

  test('facts 6.7: a condition on request.time is asked at every request', async () => {
    const expression = `request.time < timestamp("${new Date(rig.now + 1000).toISOString()}")`
    const service = rig.deploy('for-a-while', {
      bindings: [
        {
          role: INVOKER,
          members: [`serviceAccount:${caller.email}`],
          condition: { title: 'soon over', expression },
        },
      ],
    })
    const headers = bearer(await rig.token(caller, service.url))
    expect((await rig.call({ host: service.host, headers })).status).toBe(200)
    rig.now += 1000
    expect((await rig.call({ host: service.host, headers })).status).toBe(403)
  })
})

test('nothing above was a fault of the ingress itself', () => {
  expect(rig.faults).toEqual([])
})
