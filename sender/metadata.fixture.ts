/** For tests: a metadata server that mints ID tokens as facts 2.1 and 2.2 tell, and counts what it is asked. */
import { randomUUID } from 'node:crypto'
import { generateKeyPair, SignJWT } from 'jose'

export interface MetadataServer {
  /** `host:port`, for `GCE_METADATA_HOST`. */
  readonly host: string
  /** The audiences of the identity requests so far, in order. */
  readonly asked: string[]
  /** The URLs of all requests so far, in order; absolute ones where it was taken for a proxy. */
  readonly requests: string[]
  /** The tokens handed out so far, in order. */
  readonly tokens: string[]
  /** How long the next tokens live, in seconds. */
  life: number
  /** When set, what identity requests are answered instead of a token. */
  answer: (() => Response | Promise<Response>) | undefined
  stop(): Promise<void>
}

export async function startMetadataServer(): Promise<MetadataServer> {
  const { privateKey } = await generateKeyPair('RS256')
  const headers = { 'metadata-flavor': 'Google', server: 'Metadata Server for Serverless' }

  async function mint(audience: string): Promise<string> {
    const token = await new SignJWT({
      email: 'sender@demo-project.iam.gserviceaccount.com',
      email_verified: true,
    })
      .setProtectedHeader({ alg: 'RS256', kid: 'a'.repeat(40), typ: 'JWT' })
      .setIssuer('https://accounts.google.com')
      .setAudience(audience)
      .setSubject('112233445566778899001')
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime(`${state.life}s`)
      .sign(privateKey)
    state.tokens.push(token)
    return token
  }

  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const url = new URL(request.url)
      state.requests.push(request.url)
      if (request.headers.get('metadata-flavor') !== 'Google') return new Response(null, { status: 403 })
      if (url.pathname === '/computeMetadata/v1/instance') return new Response('id\nregion\n', { headers })
      if (url.pathname !== '/computeMetadata/v1/instance/service-accounts/default/identity') {
        return new Response('Not found', { status: 404, headers })
      }
      const audience = url.searchParams.get('audience') ?? ''
      state.asked.push(audience)
      return state.answer?.() ?? new Response(await mint(audience), { headers })
    },
  })
  const state: MetadataServer = {
    host: `127.0.0.1:${server.port}`,
    asked: [],
    requests: [],
    tokens: [],
    life: 3600,
    answer: undefined,
    stop: () => server.stop(true),
  }
  return state
}

/** Points this process at a metadata server and away from any credentials of the machine's own; returns what undoes it. */
export function useMetadataServer(host: string): () => void {
  const changes: Record<string, string | undefined> = {
    GCE_METADATA_HOST: host,
    GCE_METADATA_IP: undefined,
    GOOGLE_APPLICATION_CREDENTIALS: undefined,
    METADATA_SERVER_DETECTION: undefined,
    CLOUDSDK_CONFIG: '/nonexistent',
    K_SERVICE: 'sending-service',
  }
  const before = Object.keys(changes).map((name): [string, string | undefined] => [name, process.env[name]])
  set(Object.entries(changes))
  return () => set(before)
}

function set(variables: Iterable<[string, string | undefined]>): void {
  for (const [name, value] of variables) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
}
