/** What is kept of a request: one `Decision`, and the line Cloud Logging would have. */
import { copyOf, cut } from '../decision/cut.ts'
import type { Caller, Check, Decision } from '../decision/decision.ts'
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
  const decision = state.decisions.add({
    door: 'service',
    trace: trace.id,
    time: new Date(now).toISOString(),
    ...(service && { service: service.name, project: service.project, region: service.region }),
    ...(revision && { revision: revision.name }),
    method: exchange.incoming.method ?? 'GET',
    host: cut(exchange.host, LONGEST),
    path: keptPath(path, exchange),
    allowed,
    status,
    ...(caller && { caller: shortenedCaller(caller) }),
    ...(binding && { binding }),
    checks: shortenedChecks(checks),
    ...(log !== undefined && { log }),
  })
  if (!service || log === undefined) return
  state.logs.add({
    timestamp: decision.time,
    severity: status >= 500 ? 'ERROR' : 'WARNING',
    log: 'run.googleapis.com/requests',
    instance: { service, revision: revision?.name ?? service.latestReadyRevision ?? '' },
    textPayload: log,
    httpRequest: {
      requestMethod: decision.method,
      requestUrl: `${exchange.scheme}://${decision.host}${decision.path}`,
      status,
      remoteIp: exchange.peer.address,
      protocol: `HTTP/${exchange.incoming.httpVersion}`,
    },
  })
}

/** The most that is kept of one text of a caller's: longer than any path or audience that is meant. Characters. */
const LONGEST = 1024

/** A path that was cut out of a longer target would keep the whole of it in memory. */
function keptPath(path: string, { incoming: { url } }: FrontExchange): string {
  return path.length === url?.length ? cut(path, LONGEST) : copyOf(cut(path, LONGEST))
}

function shortenedCaller({ member, email, subject }: Caller): Caller {
  return {
    member: cut(member, LONGEST),
    ...(email !== undefined && { email: cut(email, LONGEST) }),
    ...(subject !== undefined && { subject: cut(subject, LONGEST) }),
  }
}

/** Most checks are the same objects for every request, and as short as they are written. */
function shortenedChecks(checks: readonly Check[]): readonly Check[] {
  return checks.some(isLong) ? checks.map((check) => (isLong(check) ? shortenedCheck(check) : check)) : checks
}

function isLong({ expected, actual, mend }: Check): boolean {
  return expected.length > LONGEST || actual.length > LONGEST || (mend?.length ?? 0) > LONGEST
}

function shortenedCheck({ expected, actual, mend, ...check }: Check): Check {
  return {
    ...check,
    expected: cut(expected, LONGEST),
    actual: cut(actual, LONGEST),
    ...(mend !== undefined && { mend: cut(mend, LONGEST) }),
  }
}
