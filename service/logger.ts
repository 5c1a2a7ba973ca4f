/** Structured logs as Cloud Logging parses them, one JSON object a line on standard output, each with its request's trace. */
import { createGcpLoggingPinoConfig } from '@google-cloud/pino-logging-gcp-config'
import { tryGetContext } from 'hono/context-storage'
import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino'
import type { TraceEnv } from './trace.ts'

export type { Logger } from 'pino'

export interface LogSource {
  /** The name Error Reporting groups by. */
  readonly service: string
  readonly revision?: string | undefined
  /** Where it is known, traces are written as `projects/PROJECT/traces/ID`; else the plain id. */
  readonly project?: string | undefined
}

/** Writes synchronously and in this thread: a line is out before the process ends, and a bundle holds no worker. */
export function createLogger(
  source: LogSource,
  destination: DestinationStream = pino.destination(1),
): Logger {
  // Each option that is left out here would be asked of the metadata server at start.
  const known = {
    serviceContext: { service: source.service, ...(source.revision ? { version: source.revision } : {}) },
    traceGoogleCloudProjectId: source.project ?? '',
    inihibitDiagnosticMessage: true, // its spelling
  }
  const options: LoggerOptions = { base: null, mixin: traceFields, serializers: { err: errorFields } }
  return pino(createGcpLoggingPinoConfig(known, options), destination)
}

/** OpenTelemetry's names, which the configuration turns into `logging.googleapis.com/…`. */
function traceFields(): Record<string, string> {
  const trace = tryGetContext<TraceEnv>()?.get('trace')
  if (!trace) return {}
  return {
    trace_id: trace.traceId,
    trace_flags: trace.sampled ? '01' : '00',
    ...(trace.spanId ? { span_id: trace.spanId } : {}),
  }
}

/** The chain of causes in names and sentences only: HTTP clients hang whole requests, headers and all, on their errors. */
function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error)
  const code: unknown = Reflect.get(error, 'code')
  return {
    type: error.name,
    message: error.message,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(error.cause instanceof Error ? { cause: errorFields(error.cause) } : {}),
  }
}
