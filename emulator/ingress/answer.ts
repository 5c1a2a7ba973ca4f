/** Sending one of Google's pages (facts 1.3). */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ALT_SVC, httpDate, SERVER } from './headers.ts'
import type { Page } from './pages.ts'
import { responseTraceContext, type Trace } from './trace.ts'

/** Where an answer has begun already, its connection is cut instead: half of one must not look like a whole. */
export function answerPage(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  page: Page,
  trace: Trace,
  now: number,
): void {
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
  const end = () => {
    if (!outgoing.writableEnded) outgoing.end()
  }
  incoming.on('end', end)
  incoming.on('error', end)
  incoming.on('close', end)
  incoming.resume()
}
