/** Starts the receiver. */
import { runService } from '../service/run.ts'
import { createApp } from './app.ts'
import { readConfig } from './config.ts'

await runService({ name: 'receiver', readConfig, createApp })
