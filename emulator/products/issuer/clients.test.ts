/** The room as Google's own Node library sees it, its endpoints pointed here. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { serve } from '@hono/node-server'
import { CodeChallengeMethod, OAuth2Client } from 'google-auth-library'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { mintIdToken } from '../../tokens/mint.ts'
import { GCLOUD, type Issuer, OWNER, openIssuer, SCOPES } from './issuer.fixture.ts'

const REDIRECT = 'http://localhost:8085/'
const subject = { email: 'a@demo-project.iam.gserviceaccount.com', uniqueId: '123456789012345678901' }
const audience = 'https://receiver-123456789012.us-central1.run.app'

let issuer: Issuer
let server: ReturnType<typeof serve>
let origin = ''
const noProxy = process.env.NO_PROXY

beforeAll(async () => {
  issuer = await openIssuer(Date.now()) // the library goes by its own clock
  process.env.NO_PROXY = '127.0.0.1'
  await new Promise<void>((resolve) => {
    const peer = { address: '127.0.0.1' }
    server = serve(
      {
        fetch: (request) => issuer.app.fetch(request, { host: '127.0.0.1', scheme: 'http', peer }),
        overrideGlobalObjects: false, // other tests of this process serve with Bun's own Response
        hostname: '127.0.0.1',
        port: 0,
      },
      (info) => {
        origin = `http://127.0.0.1:${info.port}`
        resolve()
      },
    )
  })
})

afterAll(async () => {
  if (noProxy === undefined) delete process.env.NO_PROXY
  else process.env.NO_PROXY = noProxy
  await new Promise((closed) => server.close(closed))
  issuer.state.close()
})

function client(): OAuth2Client {
  return new OAuth2Client({
    clientId: GCLOUD,
    clientSecret: 'notasecret',
    redirectUri: REDIRECT,
    endpoints: {
      tokenInfoUrl: `${origin}/tokeninfo`,
      oauth2AuthBaseUrl: `${origin}/o/oauth2/v2/auth`,
      oauth2TokenUrl: `${origin}/token`,
      oauth2RevokeUrl: `${origin}/revoke`,
      oauth2FederatedSignonPemCertsUrl: `${origin}/oauth2/v1/certs`,
      oauth2FederatedSignonJwkCertsUrl: `${origin}/oauth2/v3/certs`,
    },
  })
}

test('facts 3: OAuth2Client.verifyIdToken takes our tokens by our certificates, and no others', async () => {
  const { token } = await mintIdToken(issuer.state.keys, Date.now(), { subject, audience })
  const ticket = await client().verifyIdToken({ idToken: token, audience })
  expect(ticket.getPayload()).toMatchObject({ aud: audience, email: subject.email })
  const elsewhere = client().verifyIdToken({ idToken: token, audience: 'https://other.run.app' })
  await expect(elsewhere).rejects.toThrow('Wrong recipient')
})

test('facts 3: a remote key set of jose verifies our tokens', async () => {
  const { token } = await mintIdToken(issuer.state.keys, Date.now(), { subject, audience })
  const keys = createRemoteJWKSet(new URL(`${origin}/oauth2/v3/certs`))
  const { payload } = await jwtVerify(token, keys, { issuer: 'https://accounts.google.com', audience })
  expect(payload.sub).toBe(subject.uniqueId)
})

test('OAuth2Client signs in, asks who it is, refreshes and revokes', async () => {
  const oauth = client()
  const { codeVerifier, codeChallenge = '' } = await oauth.generateCodeVerifierAsync()
  const url = oauth.generateAuthUrl({
    access_type: 'offline',
    scope: SCOPES,
    code_challenge: codeChallenge,
    code_challenge_method: CodeChallengeMethod.S256,
  })
  const page = await fetch(url, { redirect: 'manual' })
  const code = new URL(page.headers.get('Location') ?? '').searchParams.get('code') ?? ''
  const { tokens } = await oauth.getToken({ code, codeVerifier })
  oauth.setCredentials(tokens)

  const info = await oauth.getTokenInfo(tokens.access_token ?? '')
  expect(info).toMatchObject({ aud: GCLOUD, email: OWNER, scopes: SCOPES.split(' ') })
  const ticket = await oauth.verifyIdToken({ idToken: tokens.id_token ?? '', audience: GCLOUD })
  expect(ticket.getPayload()?.email).toBe(OWNER)

  const { credentials } = await oauth.refreshAccessToken()
  expect(credentials.access_token).not.toBe(tokens.access_token)
  expect(credentials.id_token).toBeString()

  expect((await oauth.revokeCredentials()).status).toBe(200)
  oauth.setCredentials(tokens)
  await expect(oauth.refreshAccessToken()).rejects.toThrow('invalid_grant')
})
