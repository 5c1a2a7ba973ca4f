/** What both services are, before their own routes: trace, request log, health, and plain answers for what is not there. */
import { Hono } from 'hono'
import { contextStorage } from 'hono/context-storage'
import { HTTPException } from 'hono/http-exception'
import type { Logger } from './logger.ts'
import { type TraceEnv, traceOf } from './trace.ts'

/** What routes find in `c.var`. */
export type ServiceEnv = TraceEnv

/** Answers 200 while the process takes requests; never asks for a credential. facts 6.2: only `/healthz` itself is Google's. */
export const HEALTH_PATH = '/readyz'

export function createServiceApp<Env extends ServiceEnv = ServiceEnv>(logger: Logger): Hono<Env> {
  const app = new Hono<Env>()
  // Before the log, which a probe every few seconds would fill.
  app.get(HEALTH_PATH, (c) => c.text('ok'))
  app.use(contextStorage())
  app.use(async function requestLog(c, next) {
    const started = performance.now()
    c.set('trace', traceOf(c.req.raw.headers))
    await next()
    // The form that Cloud Logging reads: https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#HttpRequest
    const path = new URL(c.req.url).pathname // no query: it may hold secrets
    const httpRequest = {
      requestMethod: c.req.method,
      requestUrl: path,
      status: c.res.status,
      userAgent: c.req.header('user-agent'),
      latency: `${((performance.now() - started) / 1000).toFixed(6)}s`,
    }
    logger.info({ httpRequest }, `${c.req.method} ${path} ${c.res.status}`)
  })
  app.notFound((c) => c.text('Not found', 404))
  app.onError((error, c) => {
    if (error instanceof HTTPException) return error.getResponse()
    logger.error({ err: error }, 'Failed to answer the request')
    return c.text('Internal server error', 500)
  })
  return app
}
