/** A person signs in, as `gcloud auth login` does: the consent page sends a code back, which buys tokens. */
import { createHash, randomBytes } from 'node:crypto'
import { z } from 'zod'
import { InvokerError } from '../errors/errors.ts'
import { type Fetch, parsed } from './http.ts'

export interface SignedIn {
  readonly accessToken: string
  /** Its audience is gcloud's own client. */
  readonly idToken: string
}

/** gcloud's own client. */
const CLIENT = '32555940559.apps.googleusercontent.com'
const SCOPES =
  'openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/cloud-platform'
const REDIRECT = 'http://localhost:8085/'

/**
 * @param hint the email of whoever signs in; the project's owner without it
 * @throws {InvokerError} ERR_GOOGLE where that is refused
 */
export async function signIn(fetch: Fetch, hint?: string): Promise<SignedIn> {
  const verifier = randomBytes(32).toString('base64url')
  const consent = new URLSearchParams({
    response_type: 'code',
    client_id: CLIENT,
    redirect_uri: REDIRECT,
    scope: SCOPES,
    access_type: 'offline',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...(hint === undefined ? {} : { login_hint: hint }),
  })
  const redirect = await fetch(`https://accounts.google.com/o/oauth2/auth?${consent}`, { redirect: 'manual' })
  const code = new URL(redirect.headers.get('location') ?? REDIRECT).searchParams.get('code')
  if (code === null) throw refused(redirect.status, 'no code came back')
  const answer = await fetch('https://oauth2.googleapis.com/token', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      client_id: CLIENT,
      client_secret: '',
      redirect_uri: REDIRECT,
      code_verifier: verifier,
    }).toString(),
  })
  const {
    access_token: accessToken,
    id_token: idToken,
    error_description: reason,
  } = reply.parse(parsed(await answer.text()))
  if (!accessToken || !idToken) throw refused(answer.status, reason ?? 'no token came back')
  return { accessToken, idToken }
}

const reply = z
  .object({
    access_token: z.string().optional(),
    id_token: z.string().optional(),
    error_description: z.string().optional(),
  })
  .catch({})

function refused(status: number, reason: string): InvokerError {
  return new InvokerError('ERR_GOOGLE', `signing in answered ${status}: ${reason}`, { status })
}
