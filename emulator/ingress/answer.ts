/** Sending one of Google's pages (facts 1.3). */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Page } from '../wire/google-page.ts'
import { lingering } from '../wire/linger.ts'
import type { Timer } from '../wire/timer.ts'
import { ALT_SVC, httpDate, SERVER } from './headers.ts'
import { responseTraceContext, type Trace } from './trace.ts'

export interface PageAnswer {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly page: Page
  readonly trace: Trace
  readonly now: number
  readonly timer: Timer
}

/** Where an answer has begun already, its connection is cut instead: half of one must not look like a whole. */
export function answerPage({ incoming, outgoing, page, trace, now, timer }: PageAnswer): void {
  if (outgoing.headersSent || outgoing.destroyed) {
    outgoing.destroy()
    return
  }
  const { status, reason, contentType, body, headers, robot } = page
  const bytes = Buffer.from(body)
  const all = ['content-type', contentType, ...headers]
  // That the trace is told on refusals is inferred (facts 1.3).
  if (!robot) all.push('x-cloud-trace-context', responseTraceContext(trace))
  all.push('date', httpDate(now))
  if (!robot) all.push('server', SERVER)
  all.push('content-length', String(bytes.length), 'alt-svc', ALT_SVC)
  // Google's front end does not write `Connection: keep-alive` and `Keep-Alive`.
  outgoing.removeHeader('connection')
  outgoing.writeHead(status, reason, all)
  if (incoming.complete || incoming.destroyed) {
    outgoing.end(bytes)
    return
  }
  // A connection that is closed while the caller still sends takes the page with it: what comes is read and forgotten first.
  outgoing.write(bytes)
  lingering(incoming, timer, () => {
    if (!outgoing.writableEnded) outgoing.end()
    if (!incoming.complete) incoming.destroy()
  })
}
