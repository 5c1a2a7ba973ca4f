/**
 * Google's REST APIs as gcloud calls them, by host name. Where those names lead is the caller's affair: to an emulator as a
 * proxy, to whatever a network's names mean, or to the APIs of this very process.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { InvokerError, isError } from '../errors/errors.ts'
import { type Fetch, parsed } from './http.ts'

export interface GoogleOptions {
  readonly project: string
  /** Of services that name none. */
  readonly region: string
  readonly fetch: Fetch
  /** The access token of whoever calls. Asked for once, and again where Google no longer takes it. */
  readonly accessToken: () => Promise<string>
}

export interface Answer {
  readonly status: number
  /** JSON, as parsed; text where it is none. */
  readonly body: unknown
}

export interface DeployRequest {
  readonly name: string
  readonly image: string
  readonly env?: Readonly<Record<string, string>>
  /** An email. Default: the project's compute account. */
  readonly serviceAccount?: string | undefined
  /** Names the revision: `NAME-SUFFIX`. */
  readonly revisionSuffix?: string | undefined
}

/** What serves after a deployment. */
export interface Deployed {
  readonly url: string
  readonly revision: string
}

/** Between two looks whether a deployment is done. Milliseconds. */
const LOOK = 500

export class Google {
  readonly project: string
  readonly region: string
  readonly #options: GoogleOptions
  #token: Promise<string> | undefined

  constructor(options: GoogleOptions) {
    this.project = options.project
    this.region = options.region
    this.#options = options
  }

  /** One request, whatever comes of it. `host` is Google's, such as `run.googleapis.com`. */
  async request(method: string, host: string, path: string, body?: object): Promise<Answer> {
    const answer = await this.#once(method, host, path, body)
    // Time has passed, or the emulator has begun anew: who signed in has to do so again.
    if (answer.status !== 401) return answer
    this.#token = undefined
    return this.#once(method, host, path, body)
  }

  /** One request that has to succeed. @throws {InvokerError} ERR_GOOGLE, in Google's own words */
  async call(method: string, host: string, path: string, body?: object): Promise<unknown> {
    const answer = await this.request(method, host, path, body)
    if (answer.status < 300) return answer.body
    throw refusedBy(`${method} ${host}${path}`, answer)
  }

  /** Creates a service or deploys it anew, as `gcloud run deploy` does. Resolves once a revision serves. */
  async deploy(request: DeployRequest): Promise<Deployed> {
    const { name } = request
    const { status, body } = await this.request('GET', this.#runHost, this.#services(name))
    const template = templateOf(request)
    const known = status === 404 ? undefined : knativeService.parse(body)
    let service = known
      ? await this.#run('PUT', this.#services(name), { ...known, spec: { ...known.spec, template } })
      : await this.#run('POST', this.#services(), {
          apiVersion: 'serving.knative.dev/v1',
          kind: 'Service',
          metadata: { name, namespace: this.project },
          spec: { template },
        })
    // The reply may come before the revision listens.
    for (;;) {
      const ready = service.status?.conditions?.find(({ type }) => type === 'Ready')
      if (ready?.status === 'True')
        return { url: service.status?.url ?? '', revision: service.status?.latestReadyRevisionName ?? '' }
      if (ready?.status === 'False')
        throw refusal(`deploying ${name}`, 200, ready.message ?? 'the service is not ready')
      await sleep(LOOK)
      service = await this.#run('GET', this.#services(name))
    }
  }

  /** Nothing happens where there is none. */
  async deleteService(name: string): Promise<void> {
    await unlessStatus(404, this.call('DELETE', this.#runHost, this.#services(name)))
  }

  /** `made` is false where the account was there already. */
  async createServiceAccount(
    accountId: string,
    displayName?: string,
  ): Promise<{ readonly email: string; readonly made: boolean }> {
    const path = `/v1/projects/${this.project}/serviceAccounts`
    const serviceAccount = displayName === undefined ? {} : { displayName }
    const made = this.call('POST', 'iam.googleapis.com', path, { accountId, serviceAccount })
    const email = `${accountId}@${this.project}.iam.gserviceaccount.com`
    return { email, made: (await unlessStatus(409, made)) !== undefined }
  }

  /** Gives a role on a service to a member of a policy, such as `user:a@example.com`. */
  grant(service: string, member: string, role: string): Promise<void> {
    return this.#changePolicy(service, (bindings) => [
      ...without(bindings, role, member),
      { role, members: [member] },
    ])
  }

  /** Takes a role back, but for what is bound under a condition. */
  revoke(service: string, member: string, role: string): Promise<void> {
    return this.#changePolicy(service, (bindings) => without(bindings, role, member))
  }

  async #changePolicy(
    service: string,
    change: (bindings: readonly Binding[]) => readonly Binding[],
  ): Promise<void> {
    const path = `/v1/projects/${this.project}/locations/${this.region}/services/${service}`
    // Version 3, or conditions would be lost on their way there and back.
    const read = `${path}:getIamPolicy?options.requestedPolicyVersion=3`
    const policy = policyDocument.parse(await this.call('GET', 'run.googleapis.com', read))
    // The etag goes back with it: a change by somebody else in between must not be lost.
    await this.call('POST', 'run.googleapis.com', `${path}:setIamPolicy`, {
      policy: { ...policy, version: 3, bindings: change(policy.bindings) },
    })
  }

  get #runHost(): string {
    return `${this.region}-run.googleapis.com`
  }

  #services(name?: string): string {
    const all = `/apis/serving.knative.dev/v1/namespaces/${this.project}/services`
    return name === undefined ? all : `${all}/${name}`
  }

  async #run(method: string, path: string, body?: object): Promise<KnativeService> {
    return knativeService.parse(await this.call(method, this.#runHost, path, body))
  }

  async #once(method: string, host: string, path: string, body?: object): Promise<Answer> {
    this.#token ??= this.#options.accessToken()
    const response = await this.#options.fetch(`https://${host}${path}`, {
      method,
      headers: { authorization: `Bearer ${await this.#token}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    return { status: response.status, body: parsed(await response.text()) }
  }
}

const googleError = z.object({ error: z.object({ message: z.string() }) })

/** The sentence of one of Google's errors, where it is one: they have one shape for all its APIs. */
export function sentenceOf(body: unknown): string | undefined {
  return googleError.safeParse(body).data?.error.message
}

function refusedBy(request: string, { status, body }: Answer): InvokerError {
  return refusal(request, status, sentenceOf(body) ?? 'no reason given')
}

function refusal(request: string, status: number, reason: string): InvokerError {
  return new InvokerError('ERR_GOOGLE', `${request} answered ${status}: ${reason}`, { status })
}

async function unlessStatus<T>(status: number, asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (isError(error, 'ERR_GOOGLE') && error.status === status) return undefined
    throw error
  }
}

const policyDocument = z.looseObject({
  bindings: z
    .array(
      z.looseObject({
        role: z.string(),
        members: z.array(z.string()).default([]),
        condition: z.unknown().optional(),
      }),
    )
    .default([]),
})
type Binding = z.infer<typeof policyDocument>['bindings'][number]

/** The parts of a Knative service that say whether it serves. What else it holds goes back as it came. */
const knativeService = z.looseObject({
  spec: z.looseObject({}).optional(),
  status: z
    .looseObject({
      url: z.string().optional(),
      latestReadyRevisionName: z.string().optional(),
      conditions: z
        .array(z.looseObject({ type: z.string(), status: z.string(), message: z.string().optional() }))
        .optional(),
    })
    .optional(),
})
type KnativeService = z.infer<typeof knativeService>

function templateOf({ name, image, env = {}, serviceAccount, revisionSuffix }: DeployRequest): object {
  return {
    metadata: {
      ...(revisionSuffix ? { name: `${name}-${revisionSuffix}` } : {}),
      // Always another one, as gcloud does: a deployment makes a revision even where nothing else changed.
      labels: { 'client.knative.dev/nonce': crypto.randomUUID().slice(0, 8) },
    },
    spec: {
      containers: [{ image, env: Object.entries(env).map(([key, value]) => ({ name: key, value })) }],
      ...(serviceAccount ? { serviceAccountName: serviceAccount } : {}),
    },
  }
}

function without(bindings: readonly Binding[], role: string, member: string): readonly Binding[] {
  return bindings
    .map((binding) =>
      binding.role === role && !binding.condition
        ? { ...binding, members: binding.members.filter((other) => other !== member) }
        : binding,
    )
    .filter(({ members }) => members.length > 0)
}
