/** What is kept of a request: one `Decision`, and the line Cloud Logging would have. */
import type { Decision } from '../decision/decision.ts'
import type { FrontExchange } from '../front/request.ts'
import type { Decisions, Logs } from '../state/parts.ts'
import type { Revision } from '../state/resources.ts'
import type { Admitted, Refused } from './admission.ts'
import type { Trace } from './trace.ts'

/** One request, while it is being answered. */
export interface Visit {
  readonly exchange: FrontExchange
  readonly path: string
  readonly trace: Trace
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** What was found out about it. */
export type Found = Pick<Refused, 'checks' | 'service' | 'caller' | 'log'> &
  Pick<Admitted, 'binding'> & { readonly revision?: Revision }

export function recordDecision(
  state: Decisions & Logs,
  { exchange, path, trace, now }: Visit,
  { checks, service, revision, caller, binding, log }: Found,
  { allowed, status }: Pick<Decision, 'allowed' | 'status'>,
): void {
  const decision: Decision = {
    trace: trace.id,
    time: new Date(now).toISOString(),
    ...(service && { service: service.name, project: service.project, region: service.region }),
    ...(revision && { revision: revision.name }),
    method: exchange.incoming.method ?? 'GET',
    host: exchange.host,
    path,
    allowed,
    status,
    ...(caller && { caller }),
    ...(binding && { binding }),
    checks,
    ...(log !== undefined && { log }),
  }
  state.decisions.add(decision)
  if (!service || log === undefined) return
  state.logs.add({
    timestamp: decision.time,
    severity: status >= 500 ? 'ERROR' : 'WARNING',
    log: 'run.googleapis.com/requests',
    instance: { service, revision: revision?.name ?? service.latestReadyRevision ?? '' },
    textPayload: log,
    httpRequest: {
      requestMethod: decision.method,
      requestUrl: `${exchange.scheme}://${exchange.host}${path}`,
      status,
      remoteIp: exchange.peer.address,
      protocol: `HTTP/${exchange.incoming.httpVersion}`,
    },
  })
}
