/**
 * Headers as they pass the front door (facts 1.5, 6.5). Raw lists, names and values in turn: what is passed on keeps its
 * spelling, its order and its duplicates.
 */
import { type Framing, framingHeaders } from '../wire/framing.ts'
import { HOP_BY_HOP, namedByConnection } from '../wire/hop-by-hop.ts'
import type { RawHeaders } from '../wire/raw-headers.ts'
import type { Credential } from './credential.ts'
import { cloudTraceContext, responseTraceContext, type Trace, traceparent } from './trace.ts'

export interface RequestPassage {
  readonly host: string
  readonly scheme: 'http' | 'https'
  readonly clientAddress: string
  readonly trace: Trace
  /** The credential that was checked. Undefined when none was: anyone may call. */
  readonly checked?: Credential
  readonly framing: Framing
  /** The caller asks to go on as a WebSocket, the one protocol that is changed to. */
  readonly webSocket: boolean
}

export interface AnswerPassage {
  /** Of the request. */
  readonly method: string | undefined
  readonly trace: Trace
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** Written by the front end itself, from what it knows. */
const WRITTEN_ANEW: ReadonlySet<string> = new Set([
  'forwarded',
  'traceparent',
  'x-cloud-trace-context',
  'x-forwarded-for',
  'x-forwarded-proto',
])
/** facts 7.2: what stands where the signature was, in `X-Serverless-Authorization` alone. */
const SIGNATURE_REMOVED = 'SIGNATURE_REMOVED_BY_GOOGLE'

/** The headers that reach the container. */
export function requestHeaders(raw: RawHeaders, passage: RequestPassage): string[] {
  const { trace, checked, framing, webSocket, clientAddress, scheme } = passage
  const named = namedByConnection(raw)
  // The host that was asked for, whatever port the caller reached it by: on Cloud Run there is only the standard one.
  const headers: string[] = ['Host', passage.host]
  const forwardedFor: string[] = []
  const forwarded: string[] = []
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? ''
    const value = raw[index + 1] ?? ''
    const key = name.toLowerCase()
    if (key === 'x-forwarded-for') forwardedFor.push(value)
    else if (key === 'forwarded') forwarded.push(value)
    else if (
      key === 'host' ||
      key === 'content-length' ||
      HOP_BY_HOP.has(key) ||
      WRITTEN_ANEW.has(key) ||
      isReserved(key)
    )
      continue
    else if (named?.has(key)) continue
    else if (key === 'tracestate' && !trace.keepState) continue
    else if (key === 'x-serverless-authorization') {
      // One report says that a public service does not see it (facts 1.5).
      if (checked?.header === key) headers.push(name, unsigned(checked))
    }
    // facts 7.2: a checked `Authorization` too, with its signature.
    else headers.push(name, value)
  }
  headers.push(...framingHeaders(framing))
  if (webSocket) headers.push('Connection', 'Upgrade', 'Upgrade', 'websocket')
  headers.push(
    'X-Cloud-Trace-Context',
    cloudTraceContext(trace),
    'Traceparent',
    traceparent(trace),
    'X-Forwarded-For',
    [...forwardedFor, clientAddress].join(', '),
    'X-Forwarded-Proto',
    scheme,
    'Forwarded',
    [...forwarded, `for="${bracketed(clientAddress)}";proto=${scheme}`].join(', '),
  )
  return headers
}

/** The headers of a container's answer as the caller gets them. */
export function responseHeaders(raw: RawHeaders, { method, trace, now }: AnswerPassage): string[] {
  const named = namedByConnection(raw)
  const headers: string[] = []
  let dated = false
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? ''
    const key = name.toLowerCase()
    if (HOP_BY_HOP.has(key) || named?.has(key)) continue
    if (key === 'server' || key === 'alt-svc' || key === 'x-cloud-trace-context') continue
    // facts 7.13
    if (key === 'content-length' && method === 'HEAD') continue
    if (key === 'date') dated = true
    headers.push(name, raw[index + 1] ?? '')
  }
  headers.push('x-cloud-trace-context', responseTraceContext(trace))
  if (!dated) headers.push('date', httpDate(now))
  headers.push('server', SERVER, 'alt-svc', ALT_SVC)
  return headers
}

export const SERVER = 'Google Frontend'
/** facts 1.3 */
export const ALT_SVC = 'h3=":443"; ma=2592000,h3-29=":443"; ma=2592000'

let dateSecond = -1
let dateText = ''

/** RFC 9110's date. It changes once a second, and every response has one. */
export function httpDate(now: number): string {
  const second = Math.floor(now / 1000)
  if (second !== dateSecond) {
    dateSecond = second
    dateText = new Date(now).toUTCString()
  }
  return dateText
}

/** facts 1.5: what Google itself says about a caller is not the caller's to say. */
function isReserved(key: string): boolean {
  return key.startsWith('x-google-') || key.startsWith('x-goog-')
}

/** facts 7.2: `bearer` in lower case, one space. */
function unsigned({ token }: Credential): string {
  return `bearer ${token.slice(0, token.lastIndexOf('.') + 1)}${SIGNATURE_REMOVED}`
}

function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}
