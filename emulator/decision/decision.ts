/**
 * What was found out about one request: every check, in the order it was made. The front door decides about all that come
 * to a service; the metadata server's decisions are its refusals.
 *
 * A `Decision` is data. The log line, the console, the control API and the test helper render it; nothing else decides.
 */

/** The checks there are. A decision holds those that were reached, in the order they were made. */
export type CheckName =
  | 'request'
  | 'host'
  | 'path'
  | 'ingress'
  | 'invoker-iam-check'
  | 'credential'
  | 'scheme'
  | 'token-form'
  | 'token-algorithm'
  | 'token-key'
  | 'token-signature'
  | 'token-issuer'
  | 'token-audience'
  | 'token-issued-at'
  | 'token-not-before'
  | 'token-expiry'
  | 'principal'
  | 'binding'
  | 'instance'
  // Of the metadata server.
  | 'metadata-forwarded'
  | 'metadata-flavor'
  | 'metadata-workload'
  | 'metadata-path'
  | 'metadata-audience'
  | 'metadata-account'
  | 'metadata-method'

/** One check: what was expected, what came, and, where it failed, what to do about it. Never holds a raw token. */
export interface Check {
  readonly name: CheckName
  readonly passed: boolean
  readonly expected: string
  readonly actual: string
  /** How to mend it: one line, often a command. Only on a failed check. */
  readonly mend?: string
}

/** Who was found to be calling. `member` is the spelling a policy uses, such as `serviceAccount:a@p.iam.gserviceaccount.com`. */
export interface Caller {
  readonly member: string
  readonly email?: string
  readonly subject?: string
}

/** The binding that let a request through. `resource` is a full resource name, such as `//run.googleapis.com/projects/p/locations/r/services/s`. */
export interface GrantingBinding {
  readonly resource: string
  readonly role: string
  readonly member: string
  readonly condition?: string
}

export interface Decision {
  /** Names it, in the log and in its URL: `/_emulator/decisions/ID`. */
  readonly id: string
  /** Who decided: the front door of a service, or the metadata server. */
  readonly door: 'service' | 'metadata'
  /** The trace id the request was given, 32 lower-case hex digits. Empty at the metadata server. */
  readonly trace: string
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string
  readonly service?: string
  readonly revision?: string
  readonly project?: string
  readonly region?: string
  readonly method: string
  readonly host: string
  /** The path alone: a query string may hold secrets. */
  readonly path: string
  /** True when the request went to the container; `status` is then the container's. */
  readonly allowed: boolean
  /** The status that the caller saw; 0 until the container has answered. */
  readonly status: number
  readonly caller?: Caller
  readonly binding?: GrantingBinding
  readonly checks: readonly Check[]
  /** The sentence Cloud Run itself writes to Cloud Logging for this outcome, where it writes one (facts 1.2). */
  readonly log?: string
}

/** A decision as it is shown: with the one line that says why. */
export type ExplainedDecision = Decision & { readonly why: string }

/** What it takes to keep one, about: two bytes a character of what differs between them. Bytes. */
export function weightOf({ host, path, checks }: Decision): number {
  let characters = host.length + path.length
  for (const { expected, actual, mend } of checks)
    characters += expected.length + actual.length + (mend?.length ?? 0)
  return 1024 + 2 * characters
}

/** The check that decided: the first that failed, or undefined when the request was let through. */
function failedCheck(decision: Pick<Decision, 'checks'>): Check | undefined {
  return decision.checks.find((check) => !check.passed)
}

/** One line saying why: for a log, a console row, `--json`. */
export function why(decision: Decision): string {
  const failed = failedCheck(decision)
  if (failed) {
    const mend = failed.mend ? ` ${failed.mend}` : ''
    return `${failed.name}: expected ${failed.expected}, got ${failed.actual}.${mend}`
  }
  const { binding, caller } = decision
  if (!binding) return 'The invoker IAM check is off for this service: anyone may call it.'
  const who =
    caller && caller.member !== binding.member
      ? `${caller.member} is in ${binding.member}, which`
      : binding.member
  return `${who} holds ${binding.role} on ${binding.resource.replace(/^\/\/[^/]+\//, '')}.`
}

/** The line of a log: when, what was answered, where, why, and where to read more. `console` is the emulator's own address. */
export function logLine(decision: Decision, console: string): string {
  const { id, time, status, method, region, service, host, path, door } = decision
  const asked = door === 'metadata' ? `${host}${path}` : `${service ?? host}${path}`
  const place = region === undefined ? '' : ` ${region}`
  return `${time} ${status} ${method}${place} ${asked}  ${why(decision)}  ${console}/_emulator/decisions/${id}`
}
