/** The few calls of Google's APIs that a test helper makes, as the project's owner. */
import { createHash, randomBytes } from 'node:crypto'
import { send } from './http.ts'

/** An answer that was not a success, in Google's own words. */
export class GoogleError extends Error {
  readonly code = 'ERR_GOOGLE'
  readonly status: number
  constructor(status: number, request: string, message: string) {
    super(`${request} answered ${status}: ${message}`)
    this.status = status
  }
}

export interface Binding {
  readonly role: string
  readonly members?: readonly string[]
  readonly condition?: unknown
}

interface Policy {
  readonly version?: number
  readonly etag?: string
  readonly bindings?: readonly Binding[]
}

/** The part of a Knative service that says whether it serves. */
interface Deployed {
  readonly status?: {
    readonly latestReadyRevisionName?: string
    readonly conditions?: readonly {
      readonly type: string
      readonly status: string
      readonly message?: string
    }[]
  }
}

export interface GoogleOptions {
  /** Where the emulator is. */
  readonly url: string
  readonly project: string
  readonly region: string
}

/** gcloud's own client. */
const CLIENT = '32555940559.apps.googleusercontent.com'
const SCOPES =
  'openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/cloud-platform'

export class Google {
  readonly #options: GoogleOptions
  #token: Promise<string> | undefined

  constructor(options: GoogleOptions) {
    this.#options = options
  }

  /** Creates a service, or deploys it anew. Resolves with the name of the revision that serves. */
  async deploy(name: string, serviceAccount: string | undefined): Promise<string> {
    const { project } = this.#options
    const service = {
      apiVersion: 'serving.knative.dev/v1',
      kind: 'Service',
      metadata: { name, namespace: project },
      spec: {
        template: {
          spec: {
            containers: [{ image: `gcr.io/${project}/${name}` }],
            ...(serviceAccount ? { serviceAccountName: serviceAccount } : {}),
          },
        },
      },
    }
    const all = `/apis/serving.knative.dev/v1/namespaces/${project}/services`
    const known = await this.#unlessAbsent(this.#run('GET', `${all}/${name}`))
    const deployed = (
      known ? await this.#run('PUT', `${all}/${name}`, service) : await this.#run('POST', all, service)
    ) as Deployed
    const ready = deployed.status?.conditions?.find(({ type }) => type === 'Ready')
    if (ready?.status !== 'True')
      throw new GoogleError(200, `deploying ${name}`, ready?.message ?? 'the service is not ready')
    return deployed.status?.latestReadyRevisionName ?? ''
  }

  async createServiceAccount(accountId: string): Promise<void> {
    const path = `/v1/projects/${this.#options.project}/serviceAccounts`
    try {
      await this.#call('POST', 'iam.googleapis.com', path, { accountId, serviceAccount: {} })
    } catch (error) {
      if (!(error instanceof GoogleError && error.status === 409)) throw error
    }
  }

  /** Replaces the bindings of a service by what `change` makes of them. */
  async changePolicy(
    service: string,
    change: (bindings: readonly Binding[]) => readonly Binding[],
  ): Promise<void> {
    const { project, region } = this.#options
    const path = `/v1/projects/${project}/locations/${region}/services/${service}`
    // Version 3, or conditions would be lost on their way there and back.
    const read = `${path}:getIamPolicy?options.requestedPolicyVersion=3`
    const policy = (await this.#call('GET', 'run.googleapis.com', read)) as Policy
    await this.#call('POST', 'run.googleapis.com', `${path}:setIamPolicy`, {
      policy: { ...policy, version: 3, bindings: change(policy.bindings ?? []) },
    })
  }

  #run(method: string, path: string, body?: object): Promise<unknown> {
    return this.#call(method, `${this.#options.region}-run.googleapis.com`, path, body)
  }

  async #call(method: string, host: string, path: string, body?: object, again = false): Promise<unknown> {
    this.#token ??= signIn(this.#options.url)
    const response = await send(this.#options.url, `https://${host}${path}`, {
      method,
      headers: { authorization: `Bearer ${await this.#token}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    // Time has passed, or the emulator has begun anew: who signed in has to do so again.
    if (response.status === 401 && !again) {
      this.#token = undefined
      return this.#call(method, host, path, body, true)
    }
    const answer = (await response.json()) as { readonly error?: { readonly message?: string } }
    if (!response.ok)
      throw new GoogleError(
        response.status,
        `${method} ${host}${path}`,
        answer.error?.message ?? 'no reason given',
      )
    return answer
  }

  async #unlessAbsent<T>(asked: Promise<T>): Promise<T | undefined> {
    try {
      return await asked
    } catch (error) {
      if (error instanceof GoogleError && error.status === 404) return undefined
      throw error
    }
  }
}

/** Signs the project's owner in as `gcloud auth login` does: the consent page sends a code back, which buys a token. */
export async function signIn(url: string): Promise<string> {
  const verifier = randomBytes(32).toString('base64url')
  const redirectUri = 'http://localhost:8085/'
  const consent = new URLSearchParams({
    response_type: 'code',
    client_id: CLIENT,
    redirect_uri: redirectUri,
    scope: SCOPES,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  })
  const redirect = await send(url, `https://accounts.google.com/o/oauth2/auth?${consent}`)
  const code = new URL(redirect.headers.get('location') ?? redirectUri).searchParams.get('code') ?? ''
  const answer = await send(url, 'https://oauth2.googleapis.com/token', {
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      client_id: CLIENT,
      client_secret: '',
      redirect_uri: redirectUri,
      code_verifier: verifier,
    }).toString(),
  })
  const { access_token: token } = (await answer.json()) as { readonly access_token?: string }
  if (!token) throw new GoogleError(answer.status, 'signing in', 'no token came back')
  return token
}
