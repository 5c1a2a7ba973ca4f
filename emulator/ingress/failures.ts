/** What the caller gets when the container cannot answer, and what is said about it (facts 1.2, 1.4, 6.3). */
import type { Check } from '../decision/decision.ts'
import type { Service } from '../state/resources.ts'
import type { Failure } from '../wire/forward.ts'
import { CONNECTION_ERROR, COULD_NOT_START, TIMED_OUT_TEXT } from './log-texts.ts'
import { MALFORMED, type Page, SERVER_ERROR, TIMED_OUT, TOO_LARGE, UNAVAILABLE } from './pages.ts'

export type Trouble = Failure | 'no-revision' | 'no-instance'

interface Report {
  readonly page: Page
  readonly expected: string
  readonly mend: string
  readonly log?: string
}

const DEFAULT_PORT = 'Does the container listen on 0.0.0.0 and on the port in PORT?'

const REPORTS: Readonly<Record<Trouble, Report>> = {
  // facts 1.4: what a service with a bad container shows.
  'no-revision': {
    page: UNAVAILABLE,
    expected: 'a revision that is ready',
    mend: 'The service says why: gcloud run services describe',
  },
  'no-instance': {
    page: SERVER_ERROR,
    expected: 'an instance that runs',
    mend: 'Start the program that serves it, or deploy it anew.',
    log: COULD_NOT_START,
  },
  unreachable: {
    page: UNAVAILABLE,
    expected: 'an instance that takes connections',
    mend: DEFAULT_PORT,
    log: CONNECTION_ERROR,
  },
  died: {
    page: UNAVAILABLE,
    expected: 'an answer',
    mend: 'The container closed the connection before it answered: its own log tells more.',
    log: CONNECTION_ERROR,
  },
  malformed: {
    page: MALFORMED,
    expected: 'an HTTP/1.1 answer',
    mend: 'The container answered something else: is it a server for HTTPS, HTTP/2 or another protocol?',
    log: CONNECTION_ERROR,
  },
  // A head that says two things: the sentence and its status are seen together (facts 1.2).
  contradictory: {
    page: UNAVAILABLE,
    expected: 'an answer whose head agrees with its body',
    mend: 'A 204 has no body: answer without Content-Length, or with another status.',
    log: CONNECTION_ERROR,
  },
  timeout: {
    page: TIMED_OUT,
    expected: 'an answer in time',
    mend: 'gcloud run services update --timeout=SECONDS',
    log: TIMED_OUT_TEXT,
  },
  // facts 6.3. Which sentence is logged for these two is not known.
  'request-too-large': {
    page: TOO_LARGE,
    expected: 'a request of at most 32 MiB',
    mend: 'Send it in parts, or to Cloud Storage.',
  },
  'response-too-large': {
    page: SERVER_ERROR,
    expected: 'an answer of at most 32 MiB, or a streamed one',
    mend: 'Send the answer without Content-Length, as a stream.',
  },
}

export interface TroubleTold {
  readonly page: Page
  readonly check: Check
  readonly log?: string
}

/** `actual` says what came instead, with the revision and its address where they are known. */
export function tell(trouble: Trouble, service: Service, actual: string): TroubleTold {
  const { page, expected, mend, log } = REPORTS[trouble]
  const command = mend.replace(
    /gcloud run services (describe|update)/,
    `$& ${service.name} --region=${service.region}`,
  )
  const check: Check = { name: 'instance', passed: false, expected, actual, mend: command }
  return { page, check, ...(log !== undefined && { log }) }
}
