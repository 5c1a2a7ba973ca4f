/** The trace that a request belongs to: W3C `traceparent`, or Google's older `X-Cloud-Trace-Context`. */

export interface Trace {
  /** 32 lower-case hex digits. */
  readonly traceId: string
  /** 16 lower-case hex digits. */
  readonly spanId?: string
  readonly sampled: boolean
}

/** Where a request's trace is kept while it is answered. */
export interface TraceEnv {
  Variables: { trace: Trace | undefined }
}

// https://www.w3.org/TR/trace-context/#traceparent-header: version 00 ends after the flags; later ones may go on.
const TRACEPARENT =
  /^(?:00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})|(?!00|ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?)$/
// facts 1.5, 6.5: TRACE_ID/SPAN_ID;o=1, where the span is decimal; it may end after either part.
const CLOUD_TRACE_CONTEXT = /^([0-9a-f]{32})(?:\/(\d{1,20}))?(?:;o=(\d+))?$/i

/** Reads a request's trace; `traceparent` wins where both are there. Undefined when neither is there and well formed. */
export function traceOf(headers: Headers): Trace | undefined {
  return (
    fromTraceparent(headers.get('traceparent')) ?? fromCloudTraceContext(headers.get('x-cloud-trace-context'))
  )
}

/** The trace headers of a request, for a request made on its behalf: as they came, those that are well formed. */
export function traceHeaders(headers: Headers): Headers {
  const passed = new Headers()
  const traceparent = headers.get('traceparent')
  if (traceparent && fromTraceparent(traceparent)) {
    passed.set('traceparent', traceparent)
    const tracestate = headers.get('tracestate')
    if (tracestate) passed.set('tracestate', tracestate)
  }
  const cloud = headers.get('x-cloud-trace-context')
  if (cloud && fromCloudTraceContext(cloud)) passed.set('x-cloud-trace-context', cloud)
  return passed
}

function fromTraceparent(header: string | null): Trace | undefined {
  const match = TRACEPARENT.exec(header ?? '')
  if (!match) return undefined
  const [, id, span, flags, laterId, laterSpan, laterFlags] = match
  return trace(
    id ?? laterId,
    span ?? laterSpan,
    (Number.parseInt(flags ?? laterFlags ?? '0', 16) & 1) === 1,
    true,
  )
}

function fromCloudTraceContext(header: string | null): Trace | undefined {
  const match = CLOUD_TRACE_CONTEXT.exec(header ?? '')
  if (!match) return undefined
  const [, id, span, options] = match
  const spanId =
    span === undefined ? undefined : BigInt.asUintN(64, BigInt(span)).toString(16).padStart(16, '0')
  return trace(id, spanId, (Number(options ?? 0) & 1) === 1, false)
}

/** Ids of nothing but zeros mean "none" in both formats. */
function trace(id = '', span = '', sampled: boolean, needsSpan: boolean): Trace | undefined {
  const spanId = /[^0]/.test(span) ? span : undefined
  if (!/[^0]/.test(id) || (needsSpan && !spanId)) return undefined
  return { traceId: id.toLowerCase(), sampled, ...(spanId ? { spanId } : {}) }
}
