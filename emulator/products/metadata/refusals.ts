/** What the metadata server refuses is a decision, as at the front door: a library that finds no token says little about why. */
import { cut } from '../../decision/cut.ts'
import type { Check } from '../../decision/decision.ts'
import type { RoomBindings } from '../../front/request.ts'
import type { Runtime } from '../../runtime/runtime.ts'
import type { Decisions, Read, Timed } from '../../state/parts.ts'

export type Refusal = Omit<Check, 'passed'>

/** Keeps one refusal. */
export type Recorder = (
  request: Request,
  bindings: RoomBindings,
  status: number,
  refusal: Refusal,
) => Promise<void>

/** The most that is kept of one text of a caller's. Characters. */
const LONGEST = 1024

export function createRecorder(
  state: Read<Decisions & Timed>,
  runtime: Pick<Runtime, 'instanceAt'>,
): Recorder {
  return async function record({ method, url }, { host, peer }, status, refusal) {
    const instance = peer.instance ?? (await runtime.instanceAt(peer.address))
    const { service } = instance ?? {}
    state.decisions.add({
      door: 'metadata',
      trace: '',
      time: new Date(state.clock()).toISOString(),
      ...(instance &&
        service && {
          service: service.name,
          revision: instance.revision,
          project: service.project,
          region: service.region,
        }),
      method,
      host: cut(host, LONGEST),
      path: cut(new URL(url).pathname, LONGEST),
      allowed: false,
      status,
      checks: [{ ...refusal, passed: false, actual: cut(refusal.actual, LONGEST) }],
    })
  }
}

export const FORWARDED: Refusal = {
  name: 'metadata-forwarded',
  expected: 'a request of the workload itself',
  actual: 'X-Forwarded-For: it was passed on',
  mend: 'Ask without X-Forwarded-For, and never through a proxy.',
}

export function noFlavor(value: string | undefined): Refusal {
  return {
    name: 'metadata-flavor',
    expected: 'Metadata-Flavor: Google',
    actual: value === undefined ? 'no such header' : 'another value',
    mend: "Send the header: curl -H 'Metadata-Flavor: Google' URL",
  }
}

/** `message` is what the caller is told. */
export function noWorkload(message: string): Refusal {
  return {
    name: 'metadata-workload',
    expected: 'a workload that is known',
    actual: message.replace(/\.$/, ''),
  }
}

const ACCOUNT = /^\/computeMetadata\/v1\/instance\/service-accounts\/([^/]+)/

export function noPath(pathname: string, account: string): Refusal {
  const [, asked] = ACCOUNT.exec(pathname) ?? []
  const other = asked !== undefined && asked !== 'default' && decoded(asked) !== account
  return {
    name: 'metadata-path',
    expected: 'a path of the metadata server',
    actual: other ? `service account ${decoded(asked)}, and the workload runs as ${account}` : pathname,
    mend: other
      ? 'Ask for service-accounts/default: a workload has tokens of its own account alone.'
      : 'All that there is: /computeMetadata/v1/?recursive=true',
  }
}

export function noMethod(method: string): Refusal {
  return { name: 'metadata-method', expected: 'GET or HEAD', actual: method, mend: 'Use GET.' }
}

export const NO_AUDIENCE: Refusal = {
  name: 'metadata-audience',
  expected: 'the audience of the ID token',
  actual: 'none',
  mend: 'Add ?audience=URL: the URL of the service that is called.',
}

export function noAccount(email: string, disabled: boolean): Refusal {
  return {
    name: 'metadata-account',
    expected: 'an account that can have tokens',
    actual: `${email}, ${disabled ? 'disabled' : 'which does not exist'}`,
    mend: disabled
      ? `gcloud iam service-accounts enable ${email}`
      : 'Make the account, or deploy with another: gcloud run services update SERVICE --service-account=EMAIL',
  }
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name // a broken escape
  }
}
