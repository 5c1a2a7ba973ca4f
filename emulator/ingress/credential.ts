/** Which credential a request carries (facts 1.1, 1.5). */
import { copyOf } from '../decision/cut.ts'
import type { Check } from '../decision/decision.ts'
import type { RawHeaders } from '../wire/raw-headers.ts'

export type CredentialHeader = 'authorization' | 'x-serverless-authorization'

/** A bearer token, and the header that brought it. */
export interface Credential {
  readonly header: CredentialHeader
  readonly token: string
}

export type CredentialResult =
  | { readonly kind: 'found'; readonly credential: Credential; readonly checks: readonly Check[] }
  /** Answered with 403. */
  | { readonly kind: 'absent'; readonly checks: readonly Check[] }
  /** Answered with 401. */
  | { readonly kind: 'unusable'; readonly checks: readonly Check[] }

const ONE_TOKEN = 'one bearer token'
/** RFC 6750's b64token. Any other character, a space or a comma say, means that there is more than one token. */
const BEARER = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i

const ABSENT: CredentialResult = {
  kind: 'absent',
  checks: [
    {
      name: 'credential',
      passed: false,
      expected: ONE_TOKEN,
      actual: 'no Authorization header, and no X-Serverless-Authorization',
      mend: 'Fetch an ID token for the URL of this service and send it as Authorization: Bearer ID_TOKEN.',
    },
  ],
}
const FOUND: Readonly<Record<CredentialHeader, readonly Check[]>> = {
  authorization: [passed('Authorization')],
  'x-serverless-authorization': [passed('X-Serverless-Authorization')],
}

/** "If both headers are provided, only the X-Serverless-Authorization header is checked" (facts 1.5), however bad it is. */
export function credentialOf(raw: RawHeaders): CredentialResult {
  let header: CredentialHeader = 'authorization'
  let values: string[] = []
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const key = raw[index]?.toLowerCase()
    if (key !== 'authorization' && key !== 'x-serverless-authorization') continue
    if (key !== header) {
      if (key === 'authorization') continue
      header = key
      values = []
    }
    values.push(raw[index + 1] ?? '')
  }

  const [value] = values
  if (value === undefined) return ABSENT
  const spelled = header === 'authorization' ? 'Authorization' : 'X-Serverless-Authorization'
  if (values.length > 1) {
    return unusable('credential', `${values.length} ${spelled} headers`, `Send one ${spelled} header.`)
  }
  const [, token] = BEARER.exec(value.trim()) ?? []
  if (token !== undefined) return { kind: 'found', credential: { header, token }, checks: FOUND[header] }
  return unusable('scheme', describe(value, spelled), `Send ${spelled}: Bearer ID_TOKEN.`)
}

function unusable(name: 'credential' | 'scheme', actual: string, mend: string): CredentialResult {
  return { kind: 'unusable', checks: [{ name, passed: false, expected: ONE_TOKEN, actual, mend }] }
}

/** What is wrong with a header, without telling what may be a secret. An empty one is a bad one (inferred). */
function describe(value: string, spelled: string): string {
  const [scheme = '', ...rest] = value.trim().split(/\s+/)
  if (scheme === '') return `an empty ${spelled} header`
  if (scheme.toLowerCase() === 'bearer') {
    return rest.length === 0 ? 'Bearer without a token' : 'Bearer with something that is not one token'
  }
  const known = /^(basic|digest|negotiate|token|oauth|aws4-hmac-sha256|hoba|mutual|dpop)$/i.test(scheme)
  return known && rest.length > 0 ? `the scheme ${copyOf(scheme)}` : 'no scheme that Cloud Run takes'
}

function passed(spelled: string): Check {
  return { name: 'credential', passed: true, expected: ONE_TOKEN, actual: `a bearer token in ${spelled}` }
}
