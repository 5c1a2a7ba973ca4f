/**
 * Google's REST APIs as gcloud calls them, by host name. Where those names lead is the environment's affair: to an emulator
 * through a proxy or a network's aliases, or to Google.
 */

/** An answer that was not a success, in Google's own words. */
export class GoogleError extends Error {
  readonly code = 'ERR_GOOGLE'
  readonly status: number
  constructor(status: number, request: string, message: string) {
    super(`${request} answered ${status}: ${message}`)
    this.status = status
  }
}

export interface GoogleOptions {
  readonly project: string
  readonly region: string
  readonly scheme: 'http' | 'https'
  /** `http://host:port` of a proxy; undefined goes by name. */
  readonly proxy?: string
}

interface Policy {
  version?: number
  etag?: string
  bindings?: { role: string; members: string[] }[]
}

/** The parts of a Knative service that the walkthrough reads or writes. */
export interface KnativeService {
  apiVersion: 'serving.knative.dev/v1'
  kind: 'Service'
  metadata: {
    name: string
    namespace: string
    annotations?: Record<string, string>
    labels?: Record<string, string>
    resourceVersion?: string
  }
  spec: {
    template: { metadata: Record<string, unknown>; spec: Record<string, unknown> }
    traffic?: unknown[]
  }
  status?: {
    url?: string
    conditions?: { type: string; status: string; message?: string }[]
    latestReadyRevisionName?: string
  }
}

export interface DeployRequest {
  readonly name: string
  readonly image: string
  readonly env: Readonly<Record<string, string>>
  readonly serviceAccount?: string
  readonly revisionSuffix?: string
}

const PUBLIC = { role: 'roles/run.invoker', member: 'allUsers' }

export class Google {
  readonly #options: GoogleOptions
  #token: string | undefined

  constructor(options: GoogleOptions) {
    this.#options = options
  }

  /** Signs in as `gcloud auth login` does: the consent page sends a code back, which buys tokens. */
  async signIn(): Promise<void> {
    const verifier = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64url')
    const challenge = new Bun.CryptoHasher('sha256').update(verifier).digest('base64url')
    const redirectUri = 'http://localhost:8085/'
    const client = '32555940559.apps.googleusercontent.com' // gcloud's own client
    const consent = new URLSearchParams({
      response_type: 'code',
      client_id: client,
      redirect_uri: redirectUri,
      scope:
        'openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/cloud-platform',
      state: crypto.randomUUID(),
      access_type: 'offline',
      code_challenge: challenge,
      code_challenge_method: 'S256',
    })
    const redirect = await this.fetch(`${this.#url('accounts.google.com')}/o/oauth2/auth?${consent}`, {
      redirect: 'manual',
    })
    const code = new URL(redirect.headers.get('location') ?? redirectUri).searchParams.get('code')
    if (!code) throw new GoogleError(redirect.status, 'signing in', 'no code came back')
    const answer = await this.fetch(`${this.#url('oauth2.googleapis.com')}/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code,
        client_id: client,
        client_secret: '',
        redirect_uri: redirectUri,
        code_verifier: verifier,
      }),
    })
    const tokens = (await answer.json()) as { access_token?: string; error_description?: string }
    if (!tokens.access_token)
      throw new GoogleError(answer.status, 'signing in', tokens.error_description ?? 'no token came back')
    this.#token = tokens.access_token
  }

  /** Creates or replaces a service, and answers with its URL and the revision that serves. */
  async deploy(request: DeployRequest): Promise<{ url: string; revision: string }> {
    const { name, image, env, serviceAccount, revisionSuffix } = request
    const current = await this.#orNothing(this.#run<KnativeService>('GET', this.#knative(name)))
    const template: KnativeService['spec']['template'] = {
      metadata: {
        ...(revisionSuffix ? { name: `${name}-${revisionSuffix}` } : {}),
        // Always another one, as gcloud does: a deployment makes a revision even when nothing else changed.
        labels: { 'client.knative.dev/nonce': crypto.randomUUID().slice(0, 8) },
      },
      spec: {
        containers: [{ image, env: Object.entries(env).map(([key, value]) => ({ name: key, value })) }],
        ...(serviceAccount ? { serviceAccountName: serviceAccount } : {}),
      },
    }
    const desired: KnativeService = current
      ? { ...current, spec: { ...current.spec, template } }
      : {
          apiVersion: 'serving.knative.dev/v1',
          kind: 'Service',
          metadata: { name, namespace: this.#options.project },
          spec: { template },
        }
    let service = current
      ? await this.#run<KnativeService>('PUT', this.#knative(name), desired)
      : await this.#run<KnativeService>('POST', this.#knative(), desired)
    // The reply may come before the revision listens.
    for (;;) {
      const ready = service.status?.conditions?.find(({ type }) => type === 'Ready')
      if (ready?.status === 'True')
        return { url: service.status?.url ?? '', revision: service.status?.latestReadyRevisionName ?? '' }
      if (ready?.status === 'False')
        throw new GoogleError(200, `deploying ${name}`, ready.message ?? 'not ready')
      await Bun.sleep(500)
      service = await this.#run<KnativeService>('GET', this.#knative(name))
    }
  }

  async deleteService(name: string): Promise<void> {
    await this.#orNothing(this.#run('DELETE', this.#knative(name)))
  }

  /** Opens a service to everyone, or takes that back. */
  async allowUnauthenticated(name: string, allow: boolean): Promise<void> {
    await this.#changePolicy(name, (bindings) => {
      const others = without(bindings, PUBLIC.role, PUBLIC.member)
      return allow ? [...others, { role: PUBLIC.role, members: [PUBLIC.member] }] : others
    })
  }

  async grant(name: string, member: string, role: string): Promise<void> {
    await this.#changePolicy(name, (bindings) => [
      ...without(bindings, role, member),
      { role, members: [member] },
    ])
  }

  /** `made` is false when the account was there already. */
  async createServiceAccount(
    accountId: string,
    displayName: string,
  ): Promise<{ readonly email: string; readonly made: boolean }> {
    const { project } = this.#options
    const path = `/v1/projects/${project}/serviceAccounts`
    try {
      const body = { accountId, serviceAccount: { displayName } }
      const { email } = await this.#call<{ email: string }>('POST', 'iam.googleapis.com', path, body)
      return { email, made: true }
    } catch (error) {
      if (!(error instanceof GoogleError) || error.status !== 409) throw error
      return { email: `${accountId}@${project}.iam.gserviceaccount.com`, made: false }
    }
  }

  /** A request by name, through the proxy where there is one. */
  fetch(url: string, init: RequestInit = {}): Promise<Response> {
    const { proxy } = this.#options
    return fetch(url, proxy ? { ...init, proxy } : init)
  }

  async #changePolicy(
    name: string,
    change: (bindings: NonNullable<Policy['bindings']>) => NonNullable<Policy['bindings']>,
  ): Promise<void> {
    const path = `/v1/projects/${this.#options.project}/locations/${this.#options.region}/services/${name}`
    const policy = await this.#call<Policy>('GET', 'run.googleapis.com', `${path}:getIamPolicy`)
    // The etag goes back with it: a change by somebody else in between must not be lost.
    await this.#call('POST', 'run.googleapis.com', `${path}:setIamPolicy`, {
      policy: { ...policy, bindings: change(policy.bindings ?? []) },
    })
  }

  #knative(name?: string): string {
    const services = `/apis/serving.knative.dev/v1/namespaces/${this.#options.project}/services`
    return name ? `${services}/${name}` : services
  }

  #run<T>(method: string, path: string, body?: object): Promise<T> {
    return this.#call(method, `${this.#options.region}-run.googleapis.com`, path, body)
  }

  async #call<T>(method: string, host: string, path: string, body?: object): Promise<T> {
    const response = await this.fetch(`${this.#url(host)}${path}?alt=json`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    // What Google documents for this call, which the caller names; an error has the one shape that all its APIs share.
    const answer = (await response.json()) as T & { error?: { message?: string } }
    if (!response.ok)
      throw new GoogleError(
        response.status,
        `${method} ${host}${path}`,
        answer.error?.message ?? 'no reason given',
      )
    return answer
  }

  /** Undefined for what is not there. */
  async #orNothing<T>(asked: Promise<T>): Promise<T | undefined> {
    try {
      return await asked
    } catch (error) {
      if (error instanceof GoogleError && error.status === 404) return undefined
      throw error
    }
  }

  #url(host: string): string {
    return `${this.#options.scheme}://${host}`
  }
}

function without(
  bindings: NonNullable<Policy['bindings']>,
  role: string,
  member: string,
): NonNullable<Policy['bindings']> {
  return bindings
    .map((binding) =>
      binding.role === role
        ? { ...binding, members: binding.members.filter((other) => other !== member) }
        : binding,
    )
    .filter(({ members }) => members.length > 0)
}
