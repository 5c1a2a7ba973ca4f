/**
 * What Google's front end does with a request before it is anybody's: refuses what it takes for none, and decodes a path
 * (facts 7.13). Some of it was seen on Cloud Run, some on other front ends of Google's only: that part has a switch.
 */
import type { Check } from '../decision/decision.ts'
import { type Framing, hasBody } from '../wire/framing.ts'
import { BAD_REQUEST, type Page, shortPage } from '../wire/google-page.ts'

/** `lenient` leaves out what was seen on other front ends of Google's than Cloud Run's. */
export type FrontEndRules = 'strict' | 'lenient'

export interface Illegal {
  readonly page: Page
  readonly check: Check
}

/** Seen in this form for the 411; for the 400 inferred from it. */
function beforeCloudRun(page: Page): Page {
  return { ...page, headers: ['referrer-policy', 'no-referrer'], robot: true }
}

const ILLEGAL: Page = beforeCloudRun(BAD_REQUEST)
/** 286 bytes. It says POST of a PUT as well. */
const LENGTH_REQUIRED: Page = beforeCloudRun(
  shortPage(
    411,
    'Length Required',
    'Length Required',
    'POST requests require a <code>Content-length</code> header.',
  ),
)
const EXPECTED = "a request that Google's front end passes on"
const WITHOUT_BODY: ReadonlySet<string> = new Set(['GET', 'HEAD'])

/** Why a request goes no further; undefined when it does. */
export function illegal(method: string, framing: Framing, rules: FrontEndRules): Illegal | undefined {
  if (rules === 'strict' && WITHOUT_BODY.has(method) && hasBody(framing)) {
    const mend = 'Send the body with POST, or leave it out; --front-end-rules lenient lets it pass here.'
    return { page: ILLEGAL, check: refused(`a ${method} with a body`, mend) }
  }
  // Seen on Cloud Run for POST, on other front ends of Google's for PUT.
  if (framing.kind === 'none' && (method === 'POST' || (method === 'PUT' && rules === 'strict'))) {
    const mend = 'Say how long the body is: Content-Length: 0 where there is none.'
    return {
      page: LENGTH_REQUIRED,
      check: refused(`a ${method} that does not say how long its body is`, mend),
    }
  }
  return undefined
}

function refused(actual: string, mend: string): Check {
  return { name: 'request', passed: false, expected: EXPECTED, actual, mend }
}

/** RFC 3986, 3.3: what may stand in a segment of a path as it is. */
const PLAIN = /[A-Za-z0-9\-._~!$&'()*+,;=:@]/

/**
 * The target as it reaches the container (facts 6.2, 7.13): `%41` is `A`, `%40` is `@`, `%2F` stays. That all characters of
 * {@link PLAIN} are decoded, and that no segment becomes `.` or `..`, is inferred. A query is left alone.
 */
export function decodedTarget(target: string): string {
  const query = target.indexOf('?')
  const path = query < 0 ? target : target.slice(0, query)
  return path.includes('%')
    ? path.split('/').map(decodedSegment).join('/') + target.slice(path.length)
    : target
}

function decodedSegment(segment: string): string {
  const decoded = segment.replace(/%([0-9a-f]{2})/gi, (written, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return PLAIN.test(character) ? character : written
  })
  return decoded === '.' || decoded === '..' ? segment : decoded
}
