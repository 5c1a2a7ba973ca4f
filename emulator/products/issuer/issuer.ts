/** Google's token issuer: what it publishes, what it says of a token, and signing in (facts 3, 6.8, gcloud 2). */
import { type Context, Hono } from 'hono'
import { auth } from 'hono/utils/basic-auth'
import type { RoomEnv } from '../../front/request.ts'
import { ApiError } from '../../rest/errors.ts'
import { accountCertificates, accountKeySet } from './account-certificates.ts'
import { certificateSet, keySet, setMaxAge, USUAL_AGE } from './certificates.ts'
import { DISCOVERY } from './discovery.ts'
import type { IssuerState } from './grant.ts'
import { grant, revoke } from './grants.ts'
import { introspect } from './introspection.ts'
import { bearer, GOOGLE_HEADERS, json, OAuthError, pretty, readParameters, refuse } from './reply.ts'
import { mayReadEmail, mayReadSubject } from './scopes.ts'
import { codePage, errorPage, signIn } from './sign-in.ts'
import { createTokenExchange } from './sts.ts'
import { createTokenInfo } from './tokeninfo.ts'

export interface IssuerOptions {
  readonly state: IssuerState
  /** Takes one line about what Google's own sentence would not tell. Default: none. */
  readonly log?: (line: string) => void
}

/** One hour: as Google's discovery document says of itself; inferred. Seconds. */
const DISCOVERY_AGE = 3600

export function createIssuer(options: IssuerOptions): Hono<RoomEnv> {
  const app = new Hono<RoomEnv>()
  app.onError(function answerError(error, c) {
    if (error instanceof OAuthError) return refuse(c, error)
    // A body that cannot be read.
    if (error instanceof ApiError) return c.json(error.body(), error.code)
    throw error
  })
  // A path that Google does not have: clients want JSON (gcloud's facts 4), the words are inferred.
  app.notFound((c) => c.json({ error: { code: 404, message: 'Not Found', status: 'NOT_FOUND' } }, 404))
  publishedRoutes(app, options)
  tokenInfoRoutes(app, options)
  signInRoutes(app, options)
  tokenRoutes(app, options)
  return app
}

/** What Google publishes: of itself, its keys, and those of accounts. */
function publishedRoutes(app: Hono<RoomEnv>, { state }: IssuerOptions): void {
  const cached = (c: Context, body: string, type: string, age: number) =>
    c.body(body, 200, {
      'Content-Type': type,
      ...GOOGLE_HEADERS,
      // facts 3, 6.8; no ETag was ever seen.
      'Cache-Control': `public, max-age=${age}, must-revalidate, no-transform`,
      Expires: new Date(state.clock() + age * 1000).toUTCString(),
      Age: '0', // nothing stands between
      'Accept-Ranges': 'none',
    })

  app.get('/.well-known/openid-configuration', (c) =>
    // Google indents this one by one.
    cached(c, pretty(DISCOVERY, 1), 'application/json', DISCOVERY_AGE),
  )
  const certificates = (c: Context, set: (now: number) => object) => {
    const now = state.clock()
    return cached(c, pretty(set(now)), 'application/json; charset=UTF-8', setMaxAge(state.keys, now))
  }
  app.get('/oauth2/v3/certs', (c) => certificates(c, (now) => keySet(state.keys, now)))
  app.get('/oauth2/v1/certs', (c) => certificates(c, (now) => certificateSet(state.keys, now)))

  const ofAccount = (
    path: string,
    published: (state: IssuerState, email: string) => Promise<object | undefined>,
  ) =>
    app.get(path, async function answerAccountKeys(c) {
      const body = await published(state, c.req.param('account') ?? '')
      // Inferred wording.
      if (!body) return c.json({ error: { code: 404, message: 'Not found.', status: 'NOT_FOUND' } }, 404)
      return cached(c, pretty(body), 'application/json; charset=UTF-8', USUAL_AGE)
    })
  ofAccount('/service_accounts/v1/metadata/x509/:account', accountCertificates)
  ofAccount('/service_accounts/v1/metadata/jwk/:account', accountKeySet)
  ofAccount('/service_accounts/v1/jwk/:account', accountKeySet)
  // `client_x509_cert_url` of a key file.
  ofAccount('/robot/v1/metadata/x509/:account', accountCertificates)
}

/** What a token says, and of whom. */
function tokenInfoRoutes(app: Hono<RoomEnv>, { state }: IssuerOptions): void {
  const tokenInfo = createTokenInfo(state)
  app.on(
    ['GET', 'POST'],
    ['/tokeninfo', '/oauth2/v1/tokeninfo', '/oauth2/v3/tokeninfo'],
    async function answerTokenInfo(c) {
      const parameters = new Map(await readParameters(c))
      const token = bearer(c)
      // Google's own libraries send an access token so.
      if (token && !parameters.has('access_token')) parameters.set('access_token', token)
      return json(c, await tokenInfo(parameters))
    },
  )

  app.on(['GET', 'POST'], ['/v1/userinfo', '/oauth2/v3/userinfo'], async function answerUserInfo(c) {
    const token = bearer(c) ?? (await readParameters(c)).get('access_token')
    const kept = token ? state.accessToken(token) : undefined
    if (!kept?.uniqueId || !mayReadSubject(kept.scopes)) return unknownUser(c)
    const { uniqueId: sub, email, scopes } = kept
    return json(c, { sub, ...(email && mayReadEmail(scopes) ? { email, email_verified: true } : {}) })
  })

  // The older shape, of the API that Google's client libraries call `oauth2` (its discovery document).
  app.get('/oauth2/v2/userinfo', (c) => answerUserInfoV2(c))
  app.get('/oauth2/v1/userinfo', (c) => answerUserInfoV2(c))
  async function answerUserInfoV2(c: Context) {
    const token = bearer(c) ?? (await readParameters(c)).get('access_token')
    const kept = token ? state.accessToken(token) : undefined
    if (!kept?.uniqueId || !mayReadSubject(kept.scopes)) return unknownUser(c)
    const { uniqueId: id, email, scopes } = kept
    return json(c, { id, ...(email && mayReadEmail(scopes) ? { email, verified_email: true } : {}) })
  }
}

function signInRoutes(app: Hono<RoomEnv>, { state }: IssuerOptions): void {
  app.get('/o/oauth2/auth', (c) => answerSignIn(c))
  app.get('/o/oauth2/v2/auth', (c) => answerSignIn(c))
  async function answerSignIn(c: Context) {
    // What this page answers is for one person, once.
    c.header('Cache-Control', 'no-store')
    c.header('Referrer-Policy', 'no-referrer')
    try {
      const result = signIn(state, await readParameters(c))
      return result.kind === 'redirect' ? c.redirect(result.location, 302) : c.html(codePage(result.code))
    } catch (error) {
      if (error instanceof OAuthError) return c.html(errorPage(error), error.status)
      throw error
    }
  }
}

/** Tokens given, exchanged and taken back. */
function tokenRoutes(app: Hono<RoomEnv>, { state, log = () => {} }: IssuerOptions): void {
  const exchange = createTokenExchange(state, { log })
  app.post('/token', (c) => answerToken(c))
  app.post('/oauth2/v4/token', (c) => answerToken(c))
  async function answerToken(c: Context) {
    const parameters = await readParameters(c)
    const clientId = parameters.get('client_id') ?? basicUser(c)
    const { origin, pathname } = new URL(c.req.url)
    return json(c, await grant({ state, parameters, clientId, endpoint: `${origin}${pathname}` }))
  }

  app.on('POST', ['/v1/token', '/v1/introspect'], async function answerExchange(c, next) {
    const { host } = c.env
    // Under a name of Google's, only the one that has it.
    if (host !== 'sts.googleapis.com' && /\.google(?:apis)?\.com$/.test(host)) return next()
    try {
      const parameters = await readParameters(c)
      if (c.req.path === '/v1/introspect') return json(c, introspect(state, parameters))
      return json(c, await exchange(parameters))
    } catch (error) {
      if (!(error instanceof OAuthError)) throw error
      // Seen (many): on one line here, because clients show it as it comes.
      return json(c, { error: error.error, error_description: error.description }, error.status, {}, 0)
    }
  })

  app.on(['GET', 'POST'], ['/revoke', '/o/oauth2/revoke'], async function answerRevoke(c) {
    const token = (await readParameters(c)).get('token')
    if (!token) throw new OAuthError('invalid_request', 'Missing required parameter: token')
    if (!revoke(state, token)) throw new OAuthError('invalid_token', 'Token expired or revoked')
    return json(c, {})
  })
}

/** Any client with any secret is taken: there is nothing here to protect from one (inferred: Google knows its clients). */
function basicUser(c: Context): string | undefined {
  const given = auth(c.req.raw)
  if (c.req.header('Authorization') && !given) {
    throw new OAuthError('invalid_client', 'The OAuth client was not found.', 401)
  }
  return given?.username
}

function unknownUser(c: Context): Response {
  return json(c, { error: 'invalid_request', error_description: 'Invalid Credentials' }, 401, {
    'WWW-Authenticate': 'Bearer realm="https://accounts.google.com/", error="invalid_token"',
  })
}
