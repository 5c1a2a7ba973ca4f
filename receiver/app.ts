/** The called service: `GET /` greets, `GET /whoami` says who called. */
import type { Hono } from 'hono'
import { createServiceApp, type ServiceEnv } from '../service/app.ts'
import type { Logger } from '../service/logger.ts'
import type { ReceiverConfig } from './config.ts'
import { credentialOf } from './credential.ts'
import { type GoogleAuthVariables, googleAuth } from './google-auth.ts'
import { whoami } from './whoami.ts'

export interface ReceiverEnv {
  Variables: ServiceEnv['Variables'] & Partial<GoogleAuthVariables>
}

export interface ReceiverDeps {
  readonly logger: Logger
}

export function createApp(config: ReceiverConfig, { logger }: ReceiverDeps): Hono<ReceiverEnv> {
  const app = createServiceApp<ReceiverEnv>(logger)

  if (config.auth) {
    app.use(
      googleAuth({
        ...config.auth,
        onRefuse(error) {
          const level = error.status === 503 ? 'error' : 'warn'
          logger[level]({ err: error }, `Refused with ${error.status}: ${error.message}`)
        },
      }),
    )
  }
  app.get('/', (c) =>
    c.text('Hello from the receiving service!', 200, { 'content-type': 'text/plain; charset=utf-8' }),
  )
  app.get('/whoami', (c) => {
    c.header('cache-control', 'no-store')
    const credential = credentialOf(c.req.raw.headers)
    return c.json(whoami({ credential, verified: c.get('caller'), onCloudRun: config.service !== undefined }))
  })

  return app
}
