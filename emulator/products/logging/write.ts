/** `entries:write`: what programs say themselves, kept beside what services and the platform logged. */
import { z } from 'zod'
import { projectPolicies } from '../../rest/caller.ts'
import { type ApiError, denied, errorInfo, invalid } from '../../rest/errors.ts'
import type { Google } from '../../rest/google.ts'
import { bool, labels, message, outputOnly, text } from '../../rest/messages.ts'
import type { Call, Router } from '../../rest/route.ts'
import type { Logs } from '../../state/parts.ts'
import type { WrittenEntry } from '../../state/resources.ts'
import { isSeverity, SEVERITIES } from './filter.ts'

const resource = message({ type: text, labels })
const entryMessage = message({
  logName: text,
  resource,
  timestamp: text,
  receiveTimestamp: outputOnly,
  severity: text,
  insertId: text,
  labels,
  httpRequest: z.record(z.string(), z.unknown()),
  textPayload: text,
  jsonPayload: z.record(z.string(), z.unknown()),
  operation: outputOnly,
  trace: text,
  spanId: text,
  traceSampled: bool,
  sourceLocation: outputOnly,
})
const writeMessage = message({
  logName: text,
  resource,
  labels,
  entries: z.array(entryMessage),
  partialSuccess: bool,
  dryRun: bool,
})
type Message = z.output<typeof entryMessage>

const PERMISSION = 'logging.logEntries.create'

export function writeRoutes(routes: Router, { state }: Google<Logs>): void {
  routes.post('/v2/entries:write', async (call) => {
    const { entries = [], dryRun = false, ...shared } = await call.body(writeMessage)
    const written = entries.map((entry) => read({ ...shared, ...entry }, call))
    // All of them are checked before one is kept.
    if (!dryRun) for (const entry of written) state.logs.add(entry)
    return {}
  })

  function read(entry: Message, call: Call): WrittenEntry {
    const [, name = '', log = ''] = /^projects\/([^/]+)\/logs\/([^/]+)$/.exec(entry.logName ?? '') ?? []
    // Inferred wordings.
    if (log === '') throw invalid(`logName: expected projects/PROJECT/logs/LOG, got ${entry.logName ?? ''}.`)
    if (!entry.resource?.type) throw invalid('The log entry is missing a required field: resource.')
    const severity = entry.severity ?? 'DEFAULT'
    if (!isSeverity(severity)) throw invalid(`severity: expected ${SEVERITIES.join(', ')}; got ${severity}.`)
    if (entry.timestamp !== undefined && Number.isNaN(Date.parse(entry.timestamp)))
      throw invalid(`timestamp: expected a time as RFC 3339 writes it, got ${entry.timestamp}.`)
    const found = state.project(name)
    const project = call.require(PERMISSION, {
      resource: found,
      policies: projectPolicies(found),
      refusal: () => writeDenied(name),
    })
    call.requireEnabled(project)
    const { textPayload, jsonPayload, httpRequest, insertId, labels: marks } = entry
    const { operation, trace, spanId, traceSampled, sourceLocation } = entry
    const rest = { operation, trace, spanId, traceSampled, sourceLocation }
    return {
      project: project.projectId,
      log: decoded(log),
      timestamp: entry.timestamp ?? state.timestamp(),
      severity,
      resource: { type: entry.resource.type, labels: entry.resource.labels ?? {} },
      ...(textPayload === undefined ? {} : { textPayload }),
      ...(jsonPayload ? { jsonPayload } : {}),
      ...(httpRequest ? { httpRequest } : {}),
      ...(insertId ? { insertId } : {}),
      ...(marks ? { labels: marks } : {}),
      rest: Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
    }
  }
}

/** facts 4, inferred for this API. */
function writeDenied(project: string): ApiError {
  return denied(`Permission '${PERMISSION}' denied on resource (or it may not exist).`, [
    errorInfo('IAM_PERMISSION_DENIED', 'logging.googleapis.com', {
      permission: PERMISSION,
      resource: `projects/${project}`,
    }),
  ])
}

function decoded(log: string): string {
  try {
    return decodeURIComponent(log)
  } catch {
    throw invalid(`logName: expected a log's name with its slashes as %2F, got ${log}.`)
  }
}
