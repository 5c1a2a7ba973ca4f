/** The pages that Google's front end answers with, to the byte (facts 1.3, 1.4, 6.1–6.3, 7.4). In `<code>` stands what was asked for, the query too. */

import { HTML, type Page, SERVER_ERROR, shortPage } from '../wire/google-page.ts'
import { COOKIE_SCRIPT } from './cookie-script.ts'

export { type Page, SERVER_ERROR }

/** facts 1.3: one space between the two parameters, no comma. */
const INVALID_TOKEN =
  'Bearer error="invalid_token" error_description="The access token could not be verified"'

/** No credential, or one without the permission. */
export function forbidden(target: string): Page {
  const sentence = `Your client does not have permission to get URL <code>${escapeHtml(target)}</code> from this server.`
  return shortPage(403, 'Forbidden', 'Forbidden', sentence)
}

/** A credential that is no ID token for this service. */
export function unauthorized(target: string): Page {
  const sentence = `Your client does not have permission to the requested URL <code>${escapeHtml(target)}</code>.`
  return {
    ...shortPage(401, 'Unauthorized', 'Unauthorized', sentence),
    headers: ['www-authenticate', INVALID_TOKEN],
  }
}

/** Asked for without TLS (facts 6.1). That there is no body, and of which type, is inferred from Google's other redirects of this kind. */
export function movedTo(url: string): Page {
  return {
    status: 302,
    reason: 'Found',
    contentType: 'text/html',
    body: '',
    headers: ['location', url],
    robot: false,
  }
}

/** No such host, or one that is closed to this caller. */
export const NOT_FOUND: Page = {
  ...shortPage(404, 'Page not found', 'Page not found', 'The requested URL was not found on this server.'),
  reason: 'Not Found',
}

/** The request is larger than Cloud Run takes (facts 6.3, 7.4: 1123 bytes). */
export const TOO_LARGE: Page = withLast(
  shortPage(
    413,
    'Request Entity Too Large',
    'Request Entity Too Large',
    'Your client issued a request that was too large.\n',
  ),
  COOKIE_SCRIPT,
)

/** All instances are busy (facts 6.3: 14 bytes). Reports of its content type disagree. */
export const RATE_EXCEEDED: Page = text(429, 'Too Many Requests', 'Rate exceeded.', 'text/html')

/** The container answered something that is not HTTP (facts 6.3). */
export const MALFORMED: Page = text(
  502,
  'Bad Gateway',
  'upstream connect error or disconnect/reset before headers. reset reason: protocol error',
)

/** The container cannot be reached, or went away before it answered. Only the words are known (facts 1.4), so: plain text, inferred. */
export const UNAVAILABLE: Page = text(503, 'Service Unavailable', 'Service Unavailable')

/** The container took longer than its timeout (facts 6.3). */
export const TIMED_OUT: Page = text(504, 'Gateway Timeout', 'upstream request timeout')

/** A reserved path (facts 6.2: 1568 bytes for `/healthz`). */
export function reservedPath(target: string): Page {
  return robot(
    404,
    'Not Found',
    `The requested URL <code>${escapeHtml(target)}</code> was not found on this server.`,
  )
}

/** A method that never reaches a container (facts 6.2). The page is Google's for this everywhere else; inferred. */
export function methodNotAllowed(method: string, target: string): Page {
  const sentence = `The request method <code>${escapeHtml(method)}</code> is inappropriate for the URL <code>${escapeHtml(target)}</code>.`
  return robot(405, 'Method Not Allowed', sentence)
}

/** The last `<h2>` is empty on all but one. */
function withLast(page: Page, content: string): Page {
  return { ...page, body: page.body.replace('<h2></h2>', () => `<h2>${content}</h2>`) }
}

function text(status: number, reason: string, body: string, contentType = 'text/plain'): Page {
  return { status, reason, contentType, body, headers: [], robot: false }
}

function robot(status: number, reason: string, sentence: string): Page {
  const body = `<!DOCTYPE html>
<html lang=en>
  <meta charset=utf-8>
  <meta name=viewport content="initial-scale=1, minimum-scale=1, width=device-width">
  <title>Error ${status} (${reason})!!1</title>
  <style>
    *{margin:0;padding:0}html,code{font:15px/22px arial,sans-serif}html{background:#fff;color:#222;padding:15px}body{margin:7% auto 0;max-width:390px;min-height:180px;padding:30px 0 15px}* > body{background:url(//www.google.com/images/errors/robot.png) 100% 5px no-repeat;padding-right:205px}p{margin:11px 0 22px;overflow:hidden}ins{color:#777;text-decoration:none}a img{border:0}@media screen and (max-width:772px){body{background:none;margin-top:0;max-width:none;padding-right:0}}#logo{background:url(//www.google.com/images/branding/googlelogo/1x/googlelogo_color_150x54dp.png) no-repeat;margin-left:-5px}@media only screen and (min-resolution:192dpi){#logo{background:url(//www.google.com/images/branding/googlelogo/2x/googlelogo_color_150x54dp.png) no-repeat 0% 0%/100% 100%;-moz-border-image:url(//www.google.com/images/branding/googlelogo/2x/googlelogo_color_150x54dp.png) 0}}@media only screen and (-webkit-min-device-pixel-ratio:2){#logo{background:url(//www.google.com/images/branding/googlelogo/2x/googlelogo_color_150x54dp.png) no-repeat;-webkit-background-size:100% 100%}}#logo{display:inline-block;height:54px;width:150px}
  </style>
  <a href=//www.google.com/><span id=logo aria-label=Google></span></a>
  <p><b>${status}.</b> <ins>That’s an error.</ins>
  <p>${sentence}  <ins>That’s all we know.</ins>
`
  const headers = ['referrer-policy', 'no-referrer']
  return { status, reason, contentType: HTML, body, headers, robot: true }
}

/** Google's own rule for what stands in `<code>` is not known: what would be markup is escaped (inferred). */
function escapeHtml(target: string): string {
  return target.replace(
    /[&<>"']/g,
    (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[character] ?? '&#39;',
  )
}
