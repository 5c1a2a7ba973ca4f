/**
 * The sign-in page. It asks nothing: whoever starts the emulator may be anyone in it (gcloud's facts 2).
 *
 * A code leaves only to this machine, or onto the page: never to an address that somebody put into a link.
 */
import { html } from 'hono/html'
import { z } from 'zod'
import type { SignIns, Timed, Users } from '../../state/parts.ts'
import type { User } from '../../state/resources.ts'
import { tokenKey } from '../../state/token-key.ts'
import { mintAuthorizationCode } from '../../tokens/mint.ts'
import { OAuthError, type Parameters, parse } from './reply.ts'
import { splitScopes } from './scopes.ts'

/** How long a code may wait. Milliseconds; Google's own is not established. */
const CODE_LIFE = 10 * 60_000

/** Where a browser shows a code for a person to copy: gcloud's pages, and the older out-of-band names. */
const SHOWN: ReadonlySet<string> = new Set([
  'https://sdk.cloud.google.com/authcode.html',
  'https://sdk.cloud.google.com/applicationdefaultauthcode.html',
  'urn:ietf:wg:oauth:2.0:oob',
  'urn:ietf:wg:oauth:2.0:oob:auto',
])
const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '[::1]'])

const request = z.object({
  client_id: z.string().min(1),
  redirect_uri: z.string().min(1),
  response_type: z.literal('code', 'only code is answered here'),
  scope: z.string().min(1),
  state: z.string().optional(),
  prompt: z.string().optional(),
  login_hint: z.string().optional(),
  nonce: z.string().min(1).optional(),
  code_challenge: z.string().min(43, 'too short').max(128, 'too long').optional(),
  code_challenge_method: z.enum(['S256', 'plain'], 'S256 or plain').default('plain'),
})

export type SignIn =
  | { readonly kind: 'redirect'; readonly location: string }
  /** No way back to the client: the person carries the code. */
  | { readonly kind: 'show'; readonly code: string }

/** Signs somebody in. Throws {@link OAuthError} for a page to show: an error never goes to an unchecked redirect URI. */
export function signIn(state: SignIns & Timed & Users, parameters: Parameters): SignIn {
  const asked = parse(request, parameters)
  const target = redirectTarget(asked.redirect_uri)
  const now = state.clock()
  const user = whoever(state, asked.login_hint)
  const code = mintAuthorizationCode()
  for (const [key, kept] of state.authorizationCodes.entries())
    if (kept.expireTime <= now) state.authorizationCodes.delete(key)
  state.authorizationCodes.put(tokenKey(code), {
    clientId: asked.client_id,
    redirectUri: asked.redirect_uri,
    email: user.email,
    scopes: splitScopes(asked.scope),
    ...(asked.code_challenge
      ? { challenge: { method: asked.code_challenge_method, value: asked.code_challenge } }
      : {}),
    ...(asked.nonce ? { nonce: asked.nonce } : {}),
    used: false,
    expireTime: now + CODE_LIFE,
  })
  if (target === 'shown') return { kind: 'show', code }
  target.searchParams.set('code', code)
  if (asked.state !== undefined) target.searchParams.set('state', asked.state)
  target.searchParams.set('scope', asked.scope)
  target.searchParams.set('authuser', '0')
  target.searchParams.set('prompt', asked.prompt ?? 'none')
  return { kind: 'redirect', location: target.href }
}

function redirectTarget(uri: string): URL | 'shown' {
  if (SHOWN.has(uri)) return 'shown'
  const url = URL.canParse(uri) ? new URL(uri) : undefined
  const loopback = url && /^https?:$/.test(url.protocol) && LOOPBACK.has(url.hostname)
  if (!loopback || url.username || url.password || url.hash) {
    throw new OAuthError(
      'redirect_uri_mismatch',
      'The redirect URI must be on this machine (http://localhost:PORT/), or one of the pages that show a code.',
    )
  }
  return url
}

/** The person hinted at, or the project's owner. A service account does not sign in. */
function whoever(state: SignIns & Timed & Users, hint: string | undefined): User {
  const known = hint === undefined ? undefined : state.users.getBy('uniqueId', hint)
  if (known) return known
  const email = z.email().safeParse(hint)
  const person = email.success && !email.data.toLowerCase().endsWith('.gserviceaccount.com')
  return state.user(person ? email.data : state.owner)
}

export function codePage(code: string) {
  return page(
    'Sign in to the gcloud CLI',
    html`<p>Enter this code in the program that asked you to sign in:</p><pre>${code}</pre>`,
  )
}

export function errorPage({ status, error, description }: OAuthError) {
  return page(
    `Error ${status}: ${error}`,
    html`<h1>Access blocked: Authorization Error</h1><p>${description}</p><p>Error ${status}: ${error}</p>`,
  )
}

function page(title: string, body: ReturnType<typeof html>) {
  return html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${title}</title></head>
<body>${body}</body>
</html>
`
}
