/**
 * Who gets in. The checks of Cloud Run's front door, in their order, up to the first that fails:
 * what is no request, host, reserved path, default URL, ingress setting, invoker IAM check, credential, token, account, binding.
 *
 * facts 1.1: credential absent → 403; present but not verifiable as an ID token for this service → 401; verified but not
 * authorised → 403.
 */
import type { Caller, Check, GrantingBinding } from '../decision/decision.ts'
import type { FrontRequest, Peer } from '../front/request.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { serviceKey } from '../state/names.ts'
import type { Accounts, Placed, Read, Services, Users } from '../state/parts.ts'
import type { InstanceOf, Service } from '../state/resources.ts'
import type { Route, Routes } from '../state/routes.ts'
import type { IdTokenVerifier } from '../tokens/verify.ts'
import { callerOf } from './caller.ts'
import { type Credential, credentialOf } from './credential.ts'
import { type FrontEndRules, illegal } from './front-end-rules.ts'
import type { Gate } from './gate.ts'
import { NOT_AUTHENTICATED, NOT_AUTHORIZED, NOT_VERIFIED } from './log-texts.ts'
import {
  forbidden,
  methodNotAllowed,
  movedTo,
  NOT_FOUND,
  type Page,
  reservedPath,
  unauthorized,
} from './pages.ts'

type AdmissionState = Read<Accounts & Placed & Services & Pick<Users, 'users'>>

/** What was found out on the way. */
interface Findings {
  readonly checks: readonly Check[]
  readonly service?: Service
  readonly caller?: Caller
}

export interface Refused extends Findings {
  readonly admitted: false
  readonly page: Page
  readonly log?: string
}

export interface Admitted extends Findings {
  readonly admitted: true
  readonly route: Route
  readonly service: Service
  readonly binding?: GrantingBinding
  /** The credential that was checked. Undefined on a service that is open to everyone. */
  readonly credential?: Credential
}

export interface AdmissionOptions {
  readonly state: AdmissionState
  readonly runtime: Pick<Runtime, 'instanceAt'>
  readonly verifier: Pick<IdTokenVerifier, 'verify'>
  readonly routes: Pick<Routes, 'find'>
  readonly gateOf: (service: Service) => Gate
  readonly frontEndRules: FrontEndRules
}

/** A request that is for a service which is not open to everyone, and the checks that it has passed. */
interface SoFar {
  readonly route: Route
  readonly gate: Gate
  readonly checks: Check[]
}

/** The one path that never reaches a container, spelled exactly so (facts 6.2). */
const RESERVED = '/healthz'

export function createAdmission(options: AdmissionOptions) {
  const { state, runtime, routes, gateOf, frontEndRules } = options
  return async function admit(request: FrontRequest, path: string, now: number): Promise<Admitted | Refused> {
    const { host, peer, incoming, target, framing } = request
    const { method = 'GET' } = incoming
    const route = routes.find(host)
    const none = illegal(method, framing, frontEndRules)
    if (none) return refuse(none.page, { checks: [none.check], ...(route && { service: route.service }) })
    const elsewhere = notHere(request, method, state)
    if (elsewhere) return elsewhere
    if (!route) return refuse(NOT_FOUND, { checks: [unknownHost(host, state)] })
    const { service } = route
    const gate = gateOf(service)
    const checks: Check[] = [hostCheck(route, host)]

    if (path === RESERVED) {
      const mend = 'Cloud Run keeps this path for itself: use another one, such as /health.'
      checks.push(failed('path', 'a path that reaches containers', path, mend))
      return refuse(reservedPath(target), { checks, service })
    }
    if (gate.defaultUrlDisabled) {
      const mend = `gcloud run services update ${service.name} --region=${service.region} --default-url`
      checks.push(failed('host', 'a URL that is enabled', 'the default URL, which is disabled', mend))
      return refuse(NOT_FOUND, { checks, service })
    }
    if (gate.internalOnly) {
      const check = await ingressCheck(service, peer, state, runtime)
      checks.push(check)
      if (!check.passed) return refuse(NOT_FOUND, { checks, service })
    }

    const open = gate.open(now)
    if (open) {
      checks.push(open.check)
      const { binding } = open
      return { admitted: true, route, service, checks, ...(binding && { binding }) }
    }

    return checkCaller(options, request, { route, gate, checks }, now)
  }
}

/** What is answered for a whole host or method, whichever service it is for. */
function notHere(
  { host, scheme, target }: FrontRequest,
  method: string,
  { place }: AdmissionState,
): Refused | undefined {
  // facts 6.1. That it comes before everything else is inferred.
  if (scheme === 'http' && place.scheme === 'https') {
    const mend = 'Use https: the redirect may lose the token.'
    const check = failed('host', 'a URL with https', `http://${host}`, mend)
    return refuse(movedTo(`https://${host}${target}`), { checks: [check] })
  }
  if (method !== 'TRACE' && method !== 'CONNECT') return undefined
  return refuse(methodNotAllowed(method, target), {
    checks: [failed('path', 'a method that reaches containers', method, 'Use another method.')],
  })
}

/** Whose token is it, and may they? What comes before has let the request this far. */
async function checkCaller(
  { state, verifier }: AdmissionOptions,
  { incoming, target }: FrontRequest,
  { route, gate, checks }: SoFar,
  now: number,
): Promise<Admitted | Refused> {
  const { service } = route
  const found = credentialOf(incoming.rawHeaders)
  checks.push(...found.checks)
  if (found.kind === 'absent') return refuse(forbidden(target), { checks, service }, NOT_AUTHENTICATED)
  if (found.kind === 'unusable') return refuse(unauthorized(target), { checks, service }, NOT_VERIFIED)

  const verification = await verifier.verify(found.credential.token, now, gate.audience)
  checks.push(...verification.checks)
  if (!verification.verified) return refuse(unauthorized(target), { checks, service }, NOT_VERIFIED)

  const identified = callerOf(verification.claims, state)
  const { caller } = identified
  checks.push(identified.check)
  if (identified.kind === 'unknown')
    return refuse(unauthorized(target), { checks, service, caller }, NOT_VERIFIED)
  // The token is good and says who it is, who may do nothing: not authorised (inferred).
  if (identified.kind === 'disabled')
    return refuse(forbidden(target), { checks, service, caller }, NOT_AUTHORIZED)

  const answer = gate.may(identified.principal, now)
  checks.push(...answer.checks)
  if (!answer.allowed) return refuse(forbidden(target), { checks, service, caller }, NOT_AUTHORIZED)
  const { binding } = answer
  const { credential } = found
  return { admitted: true, route, service, checks, caller, credential, ...(binding && { binding }) }
}

function refuse(page: Page, findings: Findings, log?: string): Refused {
  return { admitted: false, page, ...findings, ...(log !== undefined && { log }) }
}

const hostChecks = new WeakMap<Route, Check>()

function hostCheck(route: Route, host: string): Check {
  const known = hostChecks.get(route)
  if (known?.actual === host) return known
  const check: Check = { name: 'host', passed: true, expected: 'the host of a service', actual: host }
  hostChecks.set(route, check)
  return check
}

function unknownHost(host: string, state: AdmissionState): Check {
  const names = state.services
    .list()
    .slice(0, 10)
    .map(({ name }) => name)
  const mend =
    names.length === 0
      ? 'Nothing is deployed: gcloud run deploy NAME --image=IMAGE'
      : `Deployed are: ${names.join(', ')}. Their hosts are NAME-${state.place.projectNumber}.REGION.run.app.`
  return failed('host', 'the host of a service', host, mend)
}

/**
 * Cloud Run's documentation on ingress: other services are internal callers only when their requests leave through the VPC
 * network. run.app addresses are public ones, so that takes `all-traffic` egress. Whatever is not an instance here, a
 * program on this machine say, is on the internet.
 */
async function ingressCheck(
  service: Service,
  peer: Peer,
  state: AdmissionState,
  runtime: Pick<Runtime, 'instanceAt'>,
): Promise<Check> {
  const expected = 'a caller inside the VPC network'
  // The same page: Pub/Sub, Cloud Scheduler, Cloud Tasks and Eventarc of the project are internal callers.
  if (peer.google) return { name: 'ingress', passed: true, expected, actual: "one of Google's own products" }
  const instance = peer.instance ?? (await runtime.instanceAt(peer.address))
  if (!instance || instance.service.project !== service.project) {
    const mend = `gcloud run services update ${service.name} --region=${service.region} --ingress=all`
    return failed('ingress', expected, `${peer.address}, which is on the internet`, mend)
  }
  const caller = instance.service.name
  if (leavesThroughVpc(instance, state)) {
    return { name: 'ingress', passed: true, expected, actual: `${caller}, through the VPC network` }
  }
  const mend = `gcloud run services update ${caller} --region=${instance.service.region} --network=default --vpc-egress=all-traffic`
  return failed('ingress', expected, `${caller}, which does not send through a VPC network`, mend)
}

function leavesThroughVpc({ service, revision }: InstanceOf, state: AdmissionState): boolean {
  const { project, region } = service
  const settings = state.revisions.get(serviceKey({ project, region, name: revision }))?.template.settings
  const attached = settings?.vpcConnector !== undefined || settings?.networkInterfaces !== undefined
  return attached && settings.vpcEgress === 'all-traffic'
}

function failed(name: 'host' | 'path' | 'ingress', expected: string, actual: string, mend: string): Check {
  return { name, passed: false, expected, actual, mend }
}
