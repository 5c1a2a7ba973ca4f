/** For tests: a logger whose lines are kept. */
import { createLogger, type LogSource } from './logger.ts'

export function keptLog(source: LogSource = { service: 'test' }) {
  const lines: Record<string, unknown>[] = []
  const logger = createLogger(source, { write: (line) => lines.push(JSON.parse(line)) })
  return { logger, lines, text: () => JSON.stringify(lines) }
}
