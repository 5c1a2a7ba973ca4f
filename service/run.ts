/** A service from start to end: settings, listening, signals, exit code. */
import { ConfigError, type Environment } from './environment.ts'
import { createLogger, type Logger } from './logger.ts'
import { type Listener, listen } from './serve.ts'

export interface ServiceConfig {
  readonly host: string
  readonly port: number
  readonly project?: string | undefined
  /** `K_SERVICE`: set on Cloud Run and by what stands for it. */
  readonly service?: string | undefined
  readonly revision?: string | undefined
}

export interface Service<Config extends ServiceConfig> {
  /** Begins the line that a wrong setting prints; names the logs where `K_SERVICE` is not set. */
  readonly name: string
  /** @throws {ConfigError} */
  readonly readConfig: (env: Environment) => Config
  readonly createApp: (
    config: Config,
    deps: { readonly logger: Logger },
  ) => { readonly fetch: (request: Request) => Response | Promise<Response> }
}

/** Starts the service. A wrong setting ends the process: exit code 1, one line on standard error. */
export async function runService<Config extends ServiceConfig>(service: Service<Config>): Promise<void> {
  try {
    await start(service)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    console.error(`${service.name}: ${error.message}`)
    process.exitCode = 1
  }
}

async function start<Config extends ServiceConfig>(service: Service<Config>): Promise<void> {
  const config = service.readConfig(process.env)
  const { host, project, revision } = config
  const logger = createLogger({ service: config.service ?? service.name, revision, project })
  const listener = await listen(service.createApp(config, { logger }).fetch, host, config.port)
  logger.info({ host, port: listener.port }, `${service.name} is listening on ${host}:${listener.port}`)
  let ending = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (ending) process.exit(1)
      ending = true
      void end(signal, listener, logger)
    })
  }
}

async function end(signal: string, listener: Listener, logger: Logger): Promise<never> {
  logger.info(`${signal}: finishing the requests in flight`)
  const drained = await listener.drain()
  if (!drained) logger.error('Some requests did not finish in time and were cut')
  process.exit(drained ? 0 : 1)
}
