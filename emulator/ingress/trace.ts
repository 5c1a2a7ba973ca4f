/** The trace that a request belongs to: the caller's when it named one, else a new one (facts 1.5, 6.5). */
import type { IncomingHttpHeaders } from 'node:http'
import { copyOf } from '../decision/cut.ts'

export interface Trace {
  /** 32 lower-case hex digits. */
  readonly id: string
  /** The front end's own span, 16 lower-case hex digits: the parent of whatever the container does. */
  readonly span: string
  readonly sampled: boolean
  /** The caller's `tracestate` belongs to this trace. */
  readonly keepState: boolean
}

const W3C = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const GOOGLE = /^([0-9a-f]{32})(?:\/\d{1,20})?(?:;o=(\d))?$/i
const ZEROS = /^0+$/

/** `randomHex(n)` draws n bytes. Where both headers name a trace, `traceparent` decides (inferred). */
export function traceOf(headers: IncomingHttpHeaders, randomHex: (bytes: number) => string): Trace {
  const span = randomHex(8)
  const { traceparent, 'x-cloud-trace-context': context } = headers
  const w3c = typeof traceparent === 'string' ? W3C.exec(traceparent) : undefined
  if (w3c) {
    const [, version = '', id = '', parent = '', flags = '', more] = w3c
    const valid = version !== 'ff' && !(version === '00' && more) && !ZEROS.test(id) && !ZEROS.test(parent)
    // A later version may be of any length, and all of it stays in memory with its part.
    if (valid)
      return {
        id: more ? copyOf(id) : id,
        span,
        sampled: (Number.parseInt(flags, 16) & 1) === 1,
        keepState: true,
      }
  }
  const [, id, options] = (typeof context === 'string' ? GOOGLE.exec(context) : undefined) ?? []
  if (id && !ZEROS.test(id)) return { id: id.toLowerCase(), span, sampled: options !== '0', keepState: false }
  return { id: randomHex(16), span, sampled: true, keepState: false }
}

/** `TRACE/SPAN;o=1`, the span in decimal. */
export function cloudTraceContext({ id, span, sampled }: Trace): string {
  return `${id}/${BigInt(`0x${span}`)}${sampled ? ';o=1' : ''}`
}

export function traceparent({ id, span, sampled }: Trace): string {
  return `00-${id}-${span}-${sampled ? '01' : '00'}`
}

/** On a response the span is not told (inferred). */
export function responseTraceContext({ id, sampled }: Trace): string {
  return sampled ? `${id};o=1` : id
}
