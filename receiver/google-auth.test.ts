import { afterAll, afterEach, beforeAll, describe, expect, setSystemTime, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { Hono } from 'hono'
import { base64url, generateKeyPair } from 'jose'
import { goodToken, hostileTokens } from '../trust/hostile-tokens.ts'
import {
  AUDIENCE,
  type Claims,
  claimsOf,
  EMAIL,
  SUB,
  sign,
  signatureRemoved,
  startGoogle,
} from './google.fixture.ts'
import {
  type GoogleAuthError,
  type GoogleAuthErrorCode,
  type GoogleAuthOptions,
  type GoogleAuthVariables,
  googleAuth,
} from './google-auth.ts'

let google: Awaited<ReturnType<typeof startGoogle>>
beforeAll(async () => {
  google = await startGoogle()
})
afterAll(() => google.stop())

/** An app behind the middleware, and why it refused. */
function guarded(options: Partial<GoogleAuthOptions> = {}) {
  const refusals: GoogleAuthError[] = []
  const app = new Hono<{ Variables: GoogleAuthVariables }>()
  app.use(
    googleAuth({
      audience: [AUDIENCE],
      allowedCallers: [EMAIL],
      jwksUrl: google.jwksUrl,
      onRefuse: (error) => refusals.push(error),
      ...options,
    }),
  )
  app.all('*', (c) => c.json(c.var.caller))
  return { app, refusals }
}

async function ask(
  headers: Record<string, string> | [string, string][],
  options: Partial<GoogleAuthOptions> = {},
  path = '/',
) {
  const { app, refusals } = guarded(options)
  const response = await app.request(path, { headers })
  return { response, status: response.status, code: refusals[0]?.code, error: refusals[0] }
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

test('lets an allowed caller through, and says who it is', async () => {
  const { response } = await ask(bearer(await google.token()))
  expect(response.status).toBe(200)
  expect(await response.json()).toMatchObject({ sub: SUB, email: EMAIL, claims: { aud: AUDIENCE } })
})

test('the keys are fetched once, when first needed', async () => {
  const before = google.fetches()
  const { app } = guarded()
  expect(google.fetches()).toBe(before)
  const token = await google.token()
  await Promise.all(Array.from({ length: 10 }, () => app.request('/', { headers: bearer(token) })))
  await app.request('/', { headers: bearer(token) })
  expect(google.fetches()).toBe(before + 1)
})

test('facts 1.1: no credential is answered 403, whatever the method', async () => {
  const { app, refusals } = guarded()
  for (const method of ['GET', 'POST', 'OPTIONS'])
    expect((await app.request('/', { method })).status).toBe(403)
  expect(refusals.map(({ code }) => code)).toEqual(Array(3).fill('ERR_CREDENTIAL_MISSING'))
})

test('facts 1.4: the 403 page, to the byte', async () => {
  const { response } = await ask({})
  expect(response.headers.get('content-type')).toBe('text/html; charset=UTF-8')
  const body = await response.text()
  expect(body).toBe(
    '\n<html><head>\n<meta http-equiv="content-type" content="text/html;charset=utf-8">\n<title>403 Forbidden</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n<h1>Error: Forbidden</h1>\n<h2>Your client does not have permission to get URL <code>/</code> from this server.</h2>\n<h2></h2>\n</body></html>\n',
  )
  expect(body).toHaveLength(295)
})

test('facts 1.3, 1.4: the 401 page to the byte, and its www-authenticate without a comma', async () => {
  const { response } = await ask(bearer('nonsense'))
  expect(response.headers.get('www-authenticate')).toBe(
    'Bearer error="invalid_token" error_description="The access token could not be verified"',
  )
  const body = await response.text()
  expect(body).toContain(
    '<h2>Your client does not have permission to the requested URL <code>/</code>.</h2>\n<h2></h2>\n',
  )
  expect(body).toHaveLength(294)
})

test('facts 7.4: a page holds the path and its query, and what would be markup is escaped', async () => {
  const { response } = await ask({}, {}, "/a&b'<script>?q=1&r=<b>")
  expect(await response.text()).toContain('<code>/a&amp;b&#x27;%3Cscript%3E?q=1&amp;r=%3Cb%3E</code>')
})

test('facts 1.5: the scheme may be in lower case', async () => {
  expect((await ask({ authorization: `bearer ${await google.token()}` })).status).toBe(200)
})

test('facts 1.5: only X-Serverless-Authorization counts where both are there: a bad one is not rescued', async () => {
  const good = `Bearer ${await google.token()}`
  const both = (serverless: string, authorization: string) =>
    ask({ 'x-serverless-authorization': serverless, authorization })
  expect((await both('Bearer bad', good)).status).toBe(401)
  expect((await both('', good)).status).toBe(401)
  expect((await both(good, 'Bearer bad')).status).toBe(200)
})

const past = () => Math.floor(Date.now() / 1000) - 1
const refused: [string, GoogleAuthErrorCode, () => Claims][] = [
  ['another audience', 'ERR_TOKEN_AUDIENCE', () => ({ aud: 'https://other.run.app' })],
  ['no audience', 'ERR_TOKEN_AUDIENCE', () => ({ aud: undefined })],
  [
    'a list of audiences, even with ours in it',
    'ERR_TOKEN_AUDIENCE',
    () => ({ aud: [AUDIENCE, 'https://other'] }),
  ],
  ['our audience with a path', 'ERR_TOKEN_AUDIENCE', () => ({ aud: `${AUDIENCE}/path` })],
  ['our audience with a port', 'ERR_TOKEN_AUDIENCE', () => ({ aud: `${AUDIENCE}:443` })],
  ['our audience in capitals', 'ERR_TOKEN_AUDIENCE', () => ({ aud: AUDIENCE.toUpperCase() })],
  [
    'our audience after user information',
    'ERR_TOKEN_AUDIENCE',
    () => ({ aud: AUDIENCE.replace('//', '//x@') }),
  ],
  ['another issuer', 'ERR_TOKEN_ISSUER', () => ({ iss: 'https://securetoken.google.com/demo-project' })],
  ['no issuer', 'ERR_TOKEN_ISSUER', () => ({ iss: undefined })],
  ['a time that has passed', 'ERR_TOKEN_EXPIRED', () => ({ exp: past() })],
  ['no expiry', 'ERR_TOKEN_CLAIM', () => ({ exp: undefined })],
  ['a start in the future', 'ERR_TOKEN_CLAIM', () => ({ nbf: past() + 600 })],
  ['no time of issue', 'ERR_TOKEN_CLAIM', () => ({ iat: undefined })],
  ['a time of issue in the future', 'ERR_TOKEN_CLAIM', () => ({ iat: past() + 600 })],
  ['a life of more than a day', 'ERR_TOKEN_CLAIM', () => ({ exp: past() + 90_000 })],
  ['no subject', 'ERR_TOKEN_CLAIM', () => ({ sub: undefined })],
  ['an empty subject', 'ERR_TOKEN_CLAIM', () => ({ sub: '' })],
  ['a subject that is a number', 'ERR_TOKEN_CLAIM', () => ({ sub: 7 })],
  ['an email that is a list', 'ERR_TOKEN_CLAIM', () => ({ email: [EMAIL] })],
  ['email_verified as text', 'ERR_TOKEN_CLAIM', () => ({ email_verified: 'true' })],
]
test.each(refused)('facts 1.1: a token with %s is 401', async (_, code, claims) => {
  expect(await ask(bearer(await google.token(claims())))).toMatchObject({ status: 401, code })
})

test('an expiry that is not a number is 401', async () => {
  const header = base64url.encode(JSON.stringify({ alg: 'RS256', typ: 'JWT' }))
  const payload = base64url.encode(JSON.stringify({ ...claimsOf(), exp: 'never' }))
  expect((await ask(bearer(`${header}.${payload}.AAAA`))).status).toBe(401)
})

test("facts 3: both of Google's spellings of its issuer are taken", async () => {
  expect((await ask(bearer(await google.token({ iss: 'accounts.google.com' })))).status).toBe(200)
})

test('facts 1.6: one slash after the bare URL is taken, two are not, and a name of one’s own is exact', async () => {
  expect((await ask(bearer(await google.token({ aud: `${AUDIENCE}/` })))).status).toBe(200)
  expect((await ask(bearer(await google.token({ aud: `${AUDIENCE}//` })))).status).toBe(401)
  const custom = { audience: ['orders', AUDIENCE] }
  expect((await ask(bearer(await google.token({ aud: 'orders' })), custom)).status).toBe(200)
  expect((await ask(bearer(await google.token({ aud: 'orders/' })), custom)).status).toBe(401)
})

test.each(['', 'Bearer', 'Bearer ', 'Basic dTpw', 'Token abc', 'Bearer a b'])(
  'facts 1.1: a header that is not Bearer and one token is 401: %p',
  async (authorization) => {
    expect(await ask({ authorization })).toMatchObject({ status: 401, code: 'ERR_CREDENTIAL_FORM' })
  },
)

test('facts 1.1: two Authorization headers are 401, good or not', async () => {
  const good = `Bearer ${await google.token()}`
  const twice: [string, string][] = [
    ['authorization', good],
    ['authorization', good],
  ]
  expect(await ask(twice)).toMatchObject({ status: 401, code: 'ERR_CREDENTIAL_FORM' })
})

test.each([
  'ya29.c.abc',
  'a',
  'a.b',
  '..',
  '....',
  'e30.e30.',
  `${'x'.repeat(65_536)}.y.z`,
  'bnVsbA.bnVsbA.AA',
])('a token that is no signed JWT is 401: %.20p', async (token) => {
  expect((await ask(bearer(token))).status).toBe(401)
})

test('alg none is 401, with and without a signature', async () => {
  const [, payload, signature] = (await google.token()).split('.')
  for (const alg of ['none', 'None', 'NONE']) {
    const header = base64url.encode(JSON.stringify({ alg, typ: 'JWT' }))
    for (const last of ['', signature]) {
      expect((await ask(bearer(`${header}.${payload}.${last}`))).status).toBe(401)
    }
  }
})

test('HS256 with the public key as its secret is 401', async () => {
  const secret = new TextEncoder().encode(JSON.stringify(google.jwk))
  expect(await ask(bearer(await sign(secret, {}, { alg: 'HS256' })))).toMatchObject({
    status: 401,
    code: 'ERR_TOKEN_ALGORITHM',
  })
})

test('a foreign key is 401: under our kid, under its own, or with the key in the header', async () => {
  const { privateKey } = await generateKeyPair('RS256')
  expect((await ask(bearer(await sign(privateKey)))).code).toBe('ERR_TOKEN_SIGNATURE')
  expect((await ask(bearer(await sign(privateKey, {}, { kid: 'mine' })))).code).toBe('ERR_TOKEN_KEY')
  const { kty, n, e } = google.jwk
  const carried = { jwk: { kty, n, e }, jku: 'http://127.0.0.1:1/', x5u: 'http://127.0.0.1:1/' }
  expect((await ask(bearer(await sign(privateKey, {}, carried)))).status).toBe(401)
})

test('a token changed after it was signed is 401', async () => {
  const [header, , signature] = (await google.token()).split('.')
  const payload = base64url.encode(
    JSON.stringify(claimsOf({ email: 'admin@demo-project.iam.gserviceaccount.com' })),
  )
  expect((await ask(bearer(`${header}.${payload}.${signature}`))).code).toBe('ERR_TOKEN_SIGNATURE')
})

test('facts 1.5: a token whose signature Cloud Run has removed proves nothing here', async () => {
  expect(await ask(bearer(signatureRemoved(await google.token())))).toMatchObject({
    status: 401,
    code: 'ERR_SIGNATURE_REMOVED',
  })
})

test('facts 1.1: a good token of somebody else is 403', async () => {
  const { status, code, error } = await ask(
    bearer(await google.token({ email: 'other@x.com', sub: '9'.repeat(21) })),
  )
  expect([status, code]).toEqual([403, 'ERR_CALLER_NOT_ALLOWED'])
  expect(error?.message).toBe('other@x.com is not among the allowed callers')
})

test('an email that is not verified names nobody', async () => {
  for (const email_verified of [false, undefined]) {
    expect((await ask(bearer(await google.token({ email_verified })))).status).toBe(403)
  }
})

test('a caller may be named by its unique id, also where the token has no email', async () => {
  const byId = { allowedCallers: [SUB] }
  const token = await google.token({ email: undefined, email_verified: undefined })
  expect((await ask(bearer(token), byId)).status).toBe(200)
  expect((await ask(bearer(token))).status).toBe(403)
})

test("an account's id is not an email, and an email is not an id", async () => {
  expect(
    (await ask(bearer(await google.token({ sub: EMAIL, email: undefined })), { allowedCallers: [SUB] }))
      .status,
  ).toBe(403)
  expect(
    (await ask(bearer(await google.token({ sub: '1', email: SUB })), { allowedCallers: [SUB] })).status,
  ).toBe(403)
})

test('no claim of another type, no missing one and no other way of writing a token gets in, and none is a fault', async () => {
  const original = { header: google.header, claims: claimsOf(), key: google.key }
  expect((await ask(bearer(goodToken(original)))).status).toBe(200)
  const { app, refusals } = guarded()
  // What no header can hold never comes here.
  const sendable = hostileTokens(original).filter(({ token }) => /^[!-~]+$/.test(token))
  await fc.assert(
    fc.asyncProperty(sendable, async ({ token }) => {
      expect((await app.request('/', { headers: bearer(token) })).status).toBe(401)
      expect(refusals.at(-1)?.status).toBe(401)
    }),
    { numRuns: 300 },
  )
})

test('keys that cannot be had are 503 with the cause, not 401: nothing is known about the token', async () => {
  const token = await google.token()
  using notKeys = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => Response.json({ keys: 'none' }) })
  using failing = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: () => new Response('', { status: 500 }),
  })
  for (const jwksUrl of ['http://127.0.0.1:1/', notKeys.url, failing.url]) {
    const { status, code, error } = await ask(bearer(token), { jwksUrl })
    expect([status, code]).toEqual([503, 'ERR_KEYS_UNAVAILABLE'])
    expect(error?.cause).toBeInstanceOf(Error)
  }
})

describe('the key set', () => {
  afterEach(() => {
    setSystemTime()
    google.publish()
  })
  const later = (milliseconds: number) => setSystemTime(new Date(Date.now() + milliseconds))
  const statuses = async (app: Hono<{ Variables: GoogleAuthVariables }>, tokens: readonly string[]) => {
    const seen = new Set<number>()
    for (const token of tokens) seen.add((await app.request('/', { headers: bearer(token) })).status)
    return [...seen]
  }

  test('is asked once in 30 s for keys that nobody published, however many tokens name them', async () => {
    const { app } = guarded()
    const unknown = Array.from({ length: 200 }, (_, index) =>
      goodToken({ header: { ...google.header, kid: `kid-${index}` }, claims: claimsOf(), key: google.key }),
    )
    const before = google.fetches()
    expect(await statuses(app, unknown)).toEqual([401])
    expect(google.fetches()).toBe(before + 1)
    later(30_001)
    expect(await statuses(app, [...unknown, await google.token()])).toEqual([401, 200])
    expect(google.fetches()).toBe(before + 2)
  })

  test('that fails is asked once in 5 s: 503 meanwhile, and 200 as soon as it is back', async () => {
    const { app } = guarded()
    const token = await google.token()
    for (const failing of [
      () => new Response('', { status: 500 }),
      () => new Response('<html>'),
      () => Response.json({ keys: [] }),
      () => Response.json([]),
      () => Response.json({ keys: [{ ...google.jwk, n: '' }, null, 7] }),
    ]) {
      google.publish(failing)
      const before = google.fetches()
      expect(
        await statuses(
          app,
          Array.from({ length: 200 }, () => token),
        ),
      ).toEqual([503])
      expect(google.fetches()).toBe(before + 1)
      later(5001)
    }
    google.publish()
    expect(await statuses(app, [token])).toEqual([200])
  })

  test('that fails does not shut out whom the keys at hand let in', async () => {
    const { app } = guarded()
    const good = await google.token()
    expect(await statuses(app, [good])).toEqual([200])
    google.publish(() => new Response('', { status: 500 }))
    later(30_001)
    const unknown = goodToken({ header: { ...google.header, kid: 'x' }, claims: claimsOf(), key: google.key })
    expect(await statuses(app, [unknown, good, unknown])).toEqual([503, 200])
  })

  test.each([
    ['1024 bits', () => generateKeyPairSync('rsa', { modulusLength: 1024 })],
    ['an exponent of 3', () => generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 })],
  ])('counts no key of %s', async (_, make) => {
    const weak = make()
    const weakJwk = { ...weak.publicKey.export({ format: 'jwk' }), kid: 'weak', alg: 'RS256', use: 'sig' }
    const token = goodToken({
      header: { ...google.header, kid: 'weak' },
      claims: claimsOf(),
      key: weak.privateKey,
    })
    google.publish(() => Response.json({ keys: [weakJwk, google.jwk] }))
    expect(await statuses(guarded().app, [token, await google.token()])).toEqual([401, 200])
    google.publish(() => Response.json({ keys: [weakJwk] }))
    expect(await statuses(guarded().app, [token])).toEqual([503])
  })
})

test('no refusal tells the token', async () => {
  const token = await google.token({ aud: 'https://other' })
  const { error } = await ask(bearer(token))
  expect(`${error?.message} ${error?.stack}`).not.toContain(token.split('.')[1] ?? 'no payload')
})

test('a list that would let nobody or everybody through is refused at start', () => {
  expect(() => guarded({ audience: [] })).toThrow('audience needs at least one entry')
  expect(() => guarded({ allowedCallers: [] })).toThrow('allowedCallers needs at least one entry')
})
