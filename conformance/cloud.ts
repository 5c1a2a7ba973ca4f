/** One emulator with what the programs need in it: all of it made with Google's REST calls, as a person's scripts would. */
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { z } from 'zod'
import { Google } from '../emulator/client/google.ts'
import { throughEmulator } from '../emulator/client/http.ts'
import { signIn } from '../emulator/client/sign-in.ts'
import { startEmulator } from '../emulator/emulator.ts'
import { type Task, WAYS, type Way } from './steps.ts'

const PROJECT = 'demo-project'
const NUMBER = '123456789012'
const REGION = 'us-central1'
const LOCATION = `projects/${PROJECT}/locations/${REGION}`
const COMPUTE = `${NUMBER}-compute@developer.gserviceaccount.com`
const IAM = 'iam.googleapis.com'
const RESOURCE_MANAGER = 'cloudresourcemanager.googleapis.com'
const RUN = 'run.googleapis.com'
const IMPERSONATED = account('impersonated')
const KEYED = account('with-key')
const POOL = `projects/${NUMBER}/locations/global/workloadIdentityPools/conformance`
const PROVIDER = 'issuer'
const ISSUER = 'https://issuer.example.com'
const SUBJECT = 'someone'

export interface Cloud {
  readonly url: string
  /** Deploys a private service for one program, and says what the program has to know. */
  prepare(client: string, way: Way): Promise<Prepared>
  close(): Promise<void>
}

export interface Prepared {
  readonly task: Task
  /** Lets the metadata server's account call the service. */
  grant(): Promise<void>
}

/** Starts the emulator. `clients` will be asked for; files go into `folder`. */
export async function openCloud(clients: readonly string[], folder: string): Promise<Cloud> {
  const upstream = await listen(createServer(echo))
  const names = clients.flatMap((client) => WAYS.map((way) => serviceName(client, way)))
  const emulator = await startEmulator({
    port: 0,
    project: PROJECT,
    projectNumber: NUMBER,
    region: REGION,
    upstream: Object.fromEntries(names.map((name) => [name, upstream.url])),
  })
  const close = async () => {
    await emulator.close()
    await upstream.close()
  }
  try {
    const google = new Owner(emulator.url)
    await google.prepareProject()
    const credentials = await google.createCredentials(folder)
    return {
      url: emulator.url,
      async prepare(client, way) {
        const name = serviceName(client, way)
        await google.deploy(name)
        await google.letCall(name, [IMPERSONATED, KEYED])
        const task: Task = {
          way,
          projectId: PROJECT,
          email: COMPUTE,
          service: `${way === 'override' ? 'http' : 'https'}://${name}-${NUMBER}.${REGION}.run.app`,
          api: `${way === 'override' ? emulator.url : 'https://cloudresourcemanager.googleapis.com'}/v1/projects/${PROJECT}`,
          impersonate: IMPERSONATED,
          ...credentials[way],
          endpoint: way === 'override' ? emulator.url : null,
        }
        return { task, grant: () => google.letCall(name, [IMPERSONATED, KEYED, COMPUTE]) }
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

type CredentialFiles = Pick<Task, 'keyFile' | 'federationFile' | 'federationAsAccountFile'>

/** The project's owner, at Google's APIs. */
class Owner {
  readonly #url: string
  readonly #google: Google

  constructor(url: string) {
    this.#url = url
    const fetch = throughEmulator(url)
    const accessToken = async () => (await signIn(fetch)).accessToken
    this.#google = new Google({ project: PROJECT, region: REGION, fetch, accessToken })
  }

  /** Accounts, and who may act as whom. */
  async prepareProject(): Promise<void> {
    for (const accountId of ['impersonated', 'with-key']) await this.#google.createServiceAccount(accountId)
    // The default account would be an Editor, who may call every service of the project (facts 1.7): only reading is left.
    const readers = [COMPUTE, IMPERSONATED, KEYED].map(member)
    await this.#post(RESOURCE_MANAGER, `/v1/projects/${PROJECT}:setIamPolicy`, {
      policy: {
        bindings: [
          { role: 'roles/owner', members: ['user:developer@example.com'] },
          { role: 'roles/viewer', members: readers },
        ],
      },
    })
    await this.#post(IAM, `/v1/projects/${PROJECT}/serviceAccounts/${IMPERSONATED}:setIamPolicy`, {
      policy: {
        bindings: [
          { role: 'roles/iam.serviceAccountTokenCreator', members: [member(COMPUTE)] },
          {
            role: 'roles/iam.workloadIdentityUser',
            members: [`principal://iam.googleapis.com/${POOL}/subject/${SUBJECT}`],
          },
        ],
      },
    })
  }

  async deploy(name: string): Promise<void> {
    await this.#post(RUN, `/v2/${LOCATION}/services?serviceId=${name}`, {
      template: { containers: [{ image: 'gcr.io/demo-project/echo' }] },
    })
  }

  /** Replaces whoever may call a service. */
  async letCall(name: string, accounts: readonly string[]): Promise<void> {
    await this.#post(RUN, `/v2/${LOCATION}/services/${name}:setIamPolicy`, {
      policy: { bindings: [{ role: 'roles/run.invoker', members: accounts.map(member) }] },
    })
  }

  /** A service account's key and an outside identity, as the credential files that Google's tools write. */
  async createCredentials(folder: string): Promise<Readonly<Record<Way, CredentialFiles>>> {
    const file = (name: string, content: string) => {
      const path = join(folder, name)
      writeFileSync(path, content, { mode: 0o600 })
      return path
    }
    const key = await this.#createKey()
    const subjectToken = file('subject-token', await this.#createProvider())
    const filesFor = (way: Way): CredentialFiles => {
      const at = (host: string) => (way === 'override' ? this.#url : `https://${host}`)
      const federation = {
        universe_domain: 'googleapis.com',
        type: 'external_account',
        audience: `//iam.googleapis.com/${POOL}/providers/${PROVIDER}`,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        token_url: `${at('sts.googleapis.com')}/v1/token`,
        token_info_url: `${at('sts.googleapis.com')}/v1/introspect`,
        credential_source: { file: subjectToken, format: { type: 'text' } },
      }
      const impersonation = `${at('iamcredentials.googleapis.com')}/v1/projects/-/serviceAccounts/${IMPERSONATED}:generateAccessToken`
      return {
        keyFile: file(
          `${way}-key.json`,
          JSON.stringify({ ...key, token_uri: `${at('oauth2.googleapis.com')}/token` }),
        ),
        federationFile: file(`${way}-federation.json`, JSON.stringify(federation)),
        federationAsAccountFile: file(
          `${way}-federation-as-account.json`,
          JSON.stringify({ ...federation, service_account_impersonation_url: impersonation }),
        ),
      }
    }
    return { override: filesFor('override'), intercept: filesFor('intercept') }
  }

  async #createKey(): Promise<object> {
    const { privateKeyData } = keyReply.parse(
      await this.#post(IAM, `/v1/projects/${PROJECT}/serviceAccounts/${KEYED}/keys`, {}),
    )
    return keyFile.parse(JSON.parse(Buffer.from(privateKeyData, 'base64').toString()))
  }

  /** A pool that trusts an issuer of ours, and a token of that issuer. */
  async #createProvider(): Promise<string> {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
    const jwk = { ...(await exportJWK(publicKey)), alg: 'RS256', kid: 'conformance', use: 'sig' }
    const pools = `/v1/projects/${PROJECT}/locations/global/workloadIdentityPools`
    await this.#post(IAM, `${pools}?workloadIdentityPoolId=conformance`, {})
    await this.#post(IAM, `${pools}/conformance/providers?workloadIdentityPoolProviderId=${PROVIDER}`, {
      attributeMapping: { 'google.subject': 'assertion.sub' },
      oidc: { issuerUri: ISSUER, jwksJson: JSON.stringify({ keys: [jwk] }) },
    })
    return new SignJWT()
      .setProtectedHeader({ alg: 'RS256', kid: jwk.kid, typ: 'JWT' })
      .setIssuer(ISSUER)
      .setSubject(SUBJECT)
      .setAudience(`https://iam.googleapis.com/${POOL}/providers/${PROVIDER}`)
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(privateKey)
  }

  #post(host: string, path: string, body: object): Promise<unknown> {
    return this.#google.call('POST', host, path, body)
  }
}

const keyReply = z.object({ privateKeyData: z.string() })
const keyFile = z.looseObject({ type: z.literal('service_account'), token_uri: z.string() })

function serviceName(client: string, way: Way): string {
  return `${client}-${way}`
}

function account(accountId: string): string {
  return `${accountId}@${PROJECT}.iam.gserviceaccount.com`
}

function member(email: string): string {
  return `serviceAccount:${email}`
}

/** The private services: what reached them. */
function echo(incoming: IncomingMessage, outgoing: ServerResponse): void {
  outgoing.writeHead(200, { 'content-type': 'application/json' })
  outgoing.end(JSON.stringify(incoming.headers))
}

function listen(server: Server): Promise<{ readonly url: string; close(): Promise<void> }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      resolve({
        url: `http://127.0.0.1:${port}`,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed())
            server.closeAllConnections()
          }),
      })
    })
  })
}
