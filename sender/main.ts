/** Starts the sender. */
import { runService } from '../service/run.ts'
import { createApp } from './app.ts'
import { readConfig } from './config.ts'
import { googleIdTokens } from './tokens.ts'

await runService({
  name: 'sender',
  readConfig,
  createApp: (config, { logger }) => createApp(config, { logger, tokens: googleIdTokens() }),
})
