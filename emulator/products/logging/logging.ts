/** Cloud Logging API v2: what services and the platform logged (`gcloud run services logs read`), and what programs write. */
import { createHash } from 'node:crypto'
import { iamDenied, projectPolicies } from '../../rest/caller.ts'
import { invalid } from '../../rest/errors.ts'
import type { Google } from '../../rest/google.ts'
import { int, message, strings, text } from '../../rest/messages.ts'
import { pageOf } from '../../rest/paging.ts'
import type { Router } from '../../rest/route.ts'
import type { Logs, Placed } from '../../state/parts.ts'
import type { InstanceOf, LogEntry, WrittenEntry } from '../../state/resources.ts'
import { logFilter } from './filter.ts'
import { writeRoutes } from './write.ts'

const listMessage = message({
  projectIds: strings,
  resourceNames: strings,
  filter: text,
  orderBy: text,
  pageSize: int,
  pageToken: text,
})
const LIST_LIMIT = 1000
const PERMISSION = 'logging.logEntries.list'

export function logging(routes: Router, google: Google<Logs>): void {
  const { state } = google
  writeRoutes(routes, google)
  routes.post('/v2/entries:list', async (call) => {
    const request = await call.body(listMessage)
    const { filter = '', orderBy = 'timestamp asc', pageSize = 0, pageToken } = request
    const names = [
      ...(request.resourceNames ?? []),
      ...(request.projectIds ?? []).map((id) => `projects/${id}`),
    ]
    if (names.length === 0) throw invalid('Request contains an invalid argument.')
    const projects = names.map((name) => {
      const project = state.project(/^projects\/([^/]+)/.exec(name)?.[1] ?? '')
      call.authorise(PERMISSION, projectPolicies(project), () => iamDenied(PERMISSION))
      if (!project) throw iamDenied(PERMISSION)
      call.requireEnabled(project)
      return project.projectId
    })
    const matches = logFilter(filter)
    const entries = state.logs
      .list()
      .filter((entry) => projects.includes(projectOf(entry)))
      .map((entry) => showEntry(state, entry))
      .filter(matches)
    if (!/^timestamp(?: asc| desc)?$/.test(orderBy)) throw invalid('Request contains an invalid argument.')
    const ordered = entries.toSorted((a, b) => a.timestamp.localeCompare(b.timestamp))
    if (orderBy.endsWith('desc')) ordered.reverse()
    const shown = PRINTS_NO_REASON.test(call.userAgent) ? ordered.flatMap(withReason) : ordered
    const { items, nextPageToken } = pageOf(shown, pageSize, pageToken, LIST_LIMIT)
    return {
      ...(items.length ? { entries: items } : {}),
      ...(nextPageToken ? { nextPageToken } : {}),
    }
  })
}

/**
 * `gcloud run services logs read` prints of a request its method, status and URL only, and would leave out the one sentence
 * that says why it was refused. For it alone that sentence is a line of its own: ours, Google has none there.
 */
const PRINTS_NO_REASON = /\bcommand\/gcloud\.(?:alpha\.|beta\.)?run\.services\.logs\.read\b/

type ShownEntry = ReturnType<typeof showEntry>

function withReason(entry: ShownEntry): readonly ShownEntry[] {
  const { httpRequest, textPayload, insertId, logName } = entry
  if (!httpRequest || textPayload === undefined) return [entry]
  const { httpRequest: _request, ...reason } = entry
  return [
    { ...reason, insertId: `${insertId}-reason`, logName: logName.replace(/%2Frequests$/, '%2Fstderr') },
    entry,
  ]
}

function projectOf(entry: LogEntry | WrittenEntry): string {
  return 'instance' in entry ? entry.instance.service.project : entry.project
}

function showEntry({ place }: Placed, entry: LogEntry | WrittenEntry) {
  const { log, timestamp, severity, textPayload, jsonPayload, httpRequest } = entry
  const digest = createHash('sha256').update(JSON.stringify(entry)).digest('hex').slice(0, 24)
  const written = 'instance' in entry ? undefined : entry
  return {
    insertId: written?.insertId ?? digest,
    ...(textPayload === undefined ? {} : { textPayload }),
    ...(jsonPayload ? { jsonPayload } : {}),
    ...(httpRequest ? { httpRequest } : {}),
    resource: 'instance' in entry ? revisionResource(place.projectId, entry.instance) : entry.resource,
    ...(written?.labels ? { labels: written.labels } : {}),
    ...written?.rest,
    timestamp,
    severity,
    logName: `projects/${projectOf(entry)}/logs/${encodeURIComponent(log)}`,
    receiveTimestamp: timestamp,
  }
}

function revisionResource(projectId: string, { service, revision }: InstanceOf) {
  return {
    type: 'cloud_run_revision',
    labels: {
      project_id: projectId,
      service_name: service.name,
      revision_name: revision,
      location: service.region,
      configuration_name: service.name,
    },
  }
}
