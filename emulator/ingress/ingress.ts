/**
 * Cloud Run's front door: host to service, authenticate, authorise, forward; Google's pages for everything else.
 *
 * Every request leaves one `Decision` in the state, whatever became of it.
 */
import { randomBytes } from 'node:crypto'
import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Check } from '../decision/decision.ts'
import type { FrontExchange, FrontRequest } from '../front/request.ts'
import type { Directory } from '../iam/question.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type {
  Accounts,
  Decisions,
  Logs,
  Placed,
  Projects,
  Read,
  Services,
  Timed,
  Users,
} from '../state/parts.ts'
import type { Revision } from '../state/resources.ts'
import { Routes } from '../state/routes.ts'
import type { IdTokenVerifier } from '../tokens/verify.ts'
import { createForwarder, type Forward } from '../wire/forward.ts'
import { guarded } from '../wire/guard.ts'
import { systemTimer, type Timer } from '../wire/timer.ts'
import { type Admitted, createAdmission } from './admission.ts'
import { answerPage } from './answer.ts'
import { type Trouble, tell } from './failures.ts'
import { decodedTarget, type FrontEndRules } from './front-end-rules.ts'
import { createGates } from './gate.ts'
import { requestHeaders, responseHeaders } from './headers.ts'
import { type Page, SERVER_ERROR } from './pages.ts'
import { type Found, recordDecision, type Visit } from './record.ts'
import { traceOf } from './trace.ts'

export type IngressState = Read<
  Accounts & Decisions & Directory & Logs & Placed & Projects & Services & Timed & Pick<Users, 'users'>
>

export interface IngressOptions {
  readonly state: IngressState
  readonly runtime: Pick<Runtime, 'upstream' | 'instanceAt'>
  readonly verifier: Pick<IdTokenVerifier, 'verify'>
  /** Lines about faults of the emulator's own. */
  readonly log?: (line: string) => void
  /** Whether a service's URL with a path is accepted as an audience (facts 7.1). Default true. */
  readonly acceptAudiencePath?: boolean
  /** What is refused that was seen refused on other front ends of Google's only. Default `strict`. */
  readonly frontEndRules?: FrontEndRules
  /** In [0, 1): which revision of a split gets a request. Default `Math.random`. */
  readonly random?: () => number
  /** Trace and span ids: so many bytes, in hex. Default the system's random source. */
  readonly randomHex?: (bytes: number) => string
  /** What cuts a request that takes longer than its revision's `timeoutSeconds`. Default `setTimeout`. */
  readonly timer?: Timer
}

export interface Ingress {
  /** Answers a request. Never rejects: a fault of our own is answered with a 500 and logged. */
  handle(exchange: FrontExchange): Promise<void>
  /** Answers a request to go on as a WebSocket: by the same door, then bytes both ways. Never rejects. */
  upgrade(request: FrontRequest, socket: Duplex, head: Buffer): Promise<void>
  close(): void
}

interface Upgrade {
  readonly socket: Duplex
  readonly head: Buffer
}

/** facts 6.3: "Maximum HTTP/1 request size: 32 MiB"; a response that says its length may be as large. Bytes. */
const LIMIT = 32 * 1024 * 1024

export function createIngress(options: IngressOptions): Ingress {
  const { state, runtime, verifier, log = () => {}, random = Math.random } = options
  const { randomHex = systemHex, timer = systemTimer, acceptAudiencePath = true } = options
  const { frontEndRules = 'strict' } = options
  const routes = new Routes(state)
  const gateOf = createGates(state, { acceptPath: acceptAudiencePath })
  const admit = createAdmission({ state, runtime, verifier, routes, gateOf, frontEndRules })
  const forwarder = createForwarder({ timer, log })

  async function serve(exchange: FrontExchange, upgrade?: Upgrade): Promise<void> {
    const { incoming, target } = exchange
    const query = target.indexOf('?')
    const path = query < 0 ? target : target.slice(0, query)
    const visit = { exchange, path, trace: traceOf(incoming.headers, randomHex), now: state.clock() }
    try {
      const admission = await admit(exchange, path, visit.now)
      if (admission.admitted) await passOn(visit, admission, upgrade)
      else refuse(visit, admission.page, admission)
    } catch (error) {
      log(`ingress: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
      refuse(visit, SERVER_ERROR, { checks: [OUR_FAULT] })
    }
  }

  async function passOn(visit: Visit, admitted: Admitted, upgrade: Upgrade | undefined): Promise<void> {
    const { framing } = visit.exchange
    const { service, route, credential } = admitted
    const revision = route.pick(random())
    const found: Found = { ...admitted, ...(revision && { revision }) }
    const fail = (trouble: Trouble, actual: string) => {
      const { page, check, log: sentence } = tell(trouble, service, actual)
      const checks = [...admitted.checks, check]
      refuse(visit, page, { ...found, checks, ...(sentence !== undefined && { log: sentence }) })
    }

    if (!revision) return fail('no-revision', 'none')
    const upstream = runtime.upstream(revision)
    if (!upstream) return fail('no-instance', `nothing runs ${revision.name}`)
    if (framing.kind === 'length' && framing.length > LIMIT)
      return fail('request-too-large', `${framing.length} bytes`)

    const outcome = await forwarder.forward(exchangeWith(visit, { revision, upstream, credential, upgrade }))
    if (outcome.kind === 'failed') {
      return fail(outcome.failure, `${revision.name} at ${upstream.host}: ${outcome.detail}`)
    }
    // A caller that left before the answer saw no status.
    const status = outcome.kind === 'answered' ? outcome.status : 0
    recordDecision(state, visit, found, { allowed: true, status })
  }

  /** The decision first: who reads the answer finds it there. */
  function refuse(visit: Visit, page: Page, found: Found): void {
    recordDecision(state, visit, found, { allowed: false, status: page.status })
    const { incoming, outgoing } = visit.exchange
    answerPage({ incoming, outgoing, page, trace: visit.trace, now: visit.now, timer })
  }

  return {
    handle: (exchange) => serve(exchange),
    async upgrade(request, socket, head) {
      const outgoing = answerOn(socket, request.incoming)
      await serve({ ...request, outgoing }, { socket, head })
    },
    close() {
      routes.close()
      forwarder.close()
    },
  }
}

/** The answer to a request of which the connection is in hand. */
function answerOn(socket: Duplex, incoming: IncomingMessage): ServerResponse {
  const cut = guarded(
    () => {},
    () => void socket.destroy(),
  )
  socket.on('error', cut)
  const outgoing = new ServerResponse(incoming)
  // A protocol asked for and not changed to: the answer is the last thing on this connection.
  outgoing.shouldKeepAlive = false
  outgoing.assignSocket(incoming.socket)
  outgoing.on(
    'finish',
    guarded(cut, () => void socket.end()),
  )
  return outgoing
}

interface Passage {
  readonly revision: Revision
  readonly upstream: URL
  readonly credential: Admitted['credential']
  readonly upgrade: Upgrade | undefined
}

/** What is sent to the container, and what of its answer is passed back. */
function exchangeWith(
  { exchange, trace, now }: Visit,
  { revision, upstream, credential, upgrade }: Passage,
): Forward {
  const { incoming, outgoing, framing, target, host, scheme, peer } = exchange
  return {
    incoming,
    outgoing,
    framing,
    upstream,
    target: decodedTarget(target),
    headers: requestHeaders(incoming.rawHeaders, {
      host,
      scheme,
      clientAddress: peer.address,
      trace,
      framing,
      webSocket: upgrade !== undefined,
      ...(credential && { checked: credential }),
    }),
    responseHeaders: (raw) => responseHeaders(raw, { method: incoming.method, trace, now }),
    timeout: revision.template.timeoutSeconds * 1000,
    limit: LIMIT,
    ...(upgrade && { upgrade }),
  }
}

const OUR_FAULT: Check = {
  name: 'instance',
  passed: false,
  expected: 'the emulator to work',
  actual: 'a fault of its own',
  mend: 'Its log tells more; please report it.',
}

function systemHex(bytes: number): string {
  return randomBytes(bytes).toString('hex')
}
