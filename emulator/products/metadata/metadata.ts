/** The metadata server of Cloud Run, as the workload that asks sees it (facts 2). */
import { type Context, Hono } from 'hono'
import type { RoomEnv } from '../../front/request.ts'
import type { Runtime } from '../../runtime/runtime.ts'
import type {
  AccessTokens,
  Accounts,
  Decisions,
  Placed,
  Projects,
  Read,
  Services,
  SigningKeys,
  Timed,
} from '../../state/parts.ts'
import type { ServiceAccount } from '../../state/resources.ts'
import { identify, type Workload } from './caller.ts'
import {
  createRecorder,
  FORWARDED,
  NO_AUDIENCE,
  noAccount,
  noFlavor,
  noMethod,
  noPath,
  noWorkload,
  type Refusal,
} from './refusals.ts'
import { createWorkloadTokens, type WorkloadTokens } from './tokens.ts'
import {
  type Directory,
  find,
  listing,
  listingNames,
  metadataTree,
  recursiveJson,
  recursiveText,
  type TokenKind,
  type Value,
} from './tree.ts'

export type MetadataState = Read<
  AccessTokens & Accounts & Decisions & Placed & Projects & Services & SigningKeys & Timed
>

export interface MetadataOptions {
  readonly state: MetadataState
  /** Tells whose address on the network a connection comes from. */
  readonly runtime: Runtime
}

const TEXT = 'application/text'
const JSON_TYPE = 'application/json'
const HTML = 'text/html; charset=UTF-8'
/** For lines of our own. */
const PLAIN = 'text/plain; charset=UTF-8'
/** facts 2.1 */
const SERVER = { Server: 'Metadata Server for Serverless' }
const FLAVOR = { 'Metadata-Flavor': 'Google' }

export function createMetadata({ state, runtime }: MetadataOptions): Hono<RoomEnv> {
  const tokens = createWorkloadTokens(state)
  const record = createRecorder(state, runtime)
  /** The decision first: who reads the answer finds it there. */
  const refuse = async (c: Context<RoomEnv>, response: Response, refusal: Refusal) => {
    await record(c.req.raw, c.env, response.status, refusal)
    return response
  }
  const app = new Hono<RoomEnv>()

  app.use(async function guard(c, next) {
    // facts 2.2: a request that was forwarded did not come from the workload.
    if (c.req.header('X-Forwarded-For') !== undefined) return refuse(c, refused('Forbidden\n'), FORWARDED)
    // facts 2.2: `GET /` is how libraries find the server, so it is exempt.
    // facts 6.6: Cloud Run answers 403 without the header; an empty body, and the same for another value: inferred.
    const flavor = c.req.header('Metadata-Flavor')
    if (c.req.path !== '/' && flavor !== 'Google') return refuse(c, refused(''), noFlavor(flavor))
    return next()
  })

  app.get('*', async function read(c) {
    const caller = await identify(state, runtime, c.env.host, c.env.peer)
    if (!caller.known) {
      const line = `${caller.message}\n`
      const response = caller.status === 403 ? refused(line, PLAIN) : reply(404, PLAIN, line)
      return refuse(c, response, noWorkload(caller.message))
    }
    const { workload } = caller
    const path = pathOf(c)
    const node = path && find(metadataTree(workload), path.names)
    // facts 2.1: a bare 404. Node's library wants the flavor on it all the same (facts 6.6).
    const missing = () =>
      refuse(c, reply(404, HTML, ''), noPath(new URL(c.req.url).pathname, workload.serviceAccount))
    if (!node) return missing()
    if (node.kind === 'directory') return path.slash ? showDirectory(c, node) : redirect(new URL(c.req.url))
    if (path.slash) return missing()
    if (node.kind === 'value') return showValue(c, node)
    const shown = await showToken(c, node.kind, state, workload, tokens)
    return 'refusal' in shown ? refuse(c, shown.response, shown.refusal) : shown.response
  })

  // Not seen on Cloud Run: inferred.
  app.all('*', (c) => refuse(c, reply(405, HTML, '', { Allow: 'GET, HEAD' }), noMethod(c.req.method)))

  return app
}

function showDirectory(c: Context<RoomEnv>, node: Directory): Response {
  const alt = c.req.query('alt')
  if (c.req.query('recursive')?.toLowerCase() === 'true') {
    return alt === 'text' ? reply(200, TEXT, recursiveText(node)) : json(recursiveJson(node))
  }
  return alt === 'json' ? json(listingNames(node.entries)) : reply(200, TEXT, listing(node))
}

function showValue(c: Context<RoomEnv>, node: Value): Response {
  return c.req.query('alt') === 'json' ? json(node.json) : reply(200, TEXT, node.text)
}

async function showToken(
  c: Context<RoomEnv>,
  kind: TokenKind,
  state: MetadataState,
  workload: Workload,
  tokens: WorkloadTokens,
): Promise<{ readonly response: Response } | { readonly response: Response; readonly refusal: Refusal }> {
  const { searchParams, pathname, search } = new URL(c.req.url)
  // Some clients send the audience unescaped (facts 2.3); what follows an `&` in such a one cannot be told from a parameter.
  const audience = searchParams.get('audience') ?? ''
  // facts 2.2
  if (kind === 'identity' && audience === '')
    return {
      response: reply(400, 'text/html', 'non-empty audience parameter required'),
      refusal: NO_AUDIENCE,
    }
  const found = state.serviceAccount(workload.serviceAccount)
  const account = usable(found)
  // facts 6.6: path and query echoed.
  if (!account) {
    const response = reply(500, HTML, `Could not fetch URI ${pathname}${search}\n`)
    return { response, refusal: noAccount(workload.serviceAccount, found !== undefined) }
  }

  if (kind === 'identity') {
    const full = searchParams.get('format') === 'full'
    const { token } = await tokens.idToken({ instanceId: workload.instanceId, account, audience, full })
    // facts 2.3: exactly this type, no charset.
    return { response: reply(200, TEXT, token) }
  }
  const scopes = searchParams
    .getAll('scopes')
    .flatMap((list) => list.split(','))
    .map((scope) => scope.trim())
    .filter((scope) => scope !== '')
  const { token, expireTime } = tokens.accessToken(account, scopes)
  // facts 2.1: a new token has 3599 seconds.
  const left = Math.ceil((expireTime - state.clock()) / 1000) - 1
  return { response: json({ access_token: token, expires_in: left, token_type: 'Bearer' }) }
}

function usable(account: ServiceAccount | undefined): ServiceAccount | undefined {
  return account?.disabled ? undefined : account
}

/** The names of a path, or undefined where it is not one of ours. */
function pathOf(c: Context): { readonly names: readonly string[]; readonly slash: boolean } | undefined {
  const { pathname } = new URL(c.req.url)
  const slash = pathname.endsWith('/')
  const inner = pathname.slice(1, slash ? -1 : undefined)
  try {
    return { names: inner === '' ? [] : inner.split('/').map(decodeURIComponent), slash }
  } catch {
    return undefined // a broken escape
  }
}

/** facts 2.2: 301, the path with its slash as body. Location without a host: the port that was asked is not known here. */
function redirect({ pathname, search }: URL): Response {
  return reply(301, 'text/html', `${pathname}/\n`, { Location: `${pathname}/${search}` })
}

function json(value: unknown): Response {
  return reply(200, JSON_TYPE, JSON.stringify(value))
}

function reply(status: number, type: string, body: string, more: Record<string, string> = {}): Response {
  const length = String(Buffer.byteLength(body))
  const headers = { 'Content-Type': type, ...FLAVOR, ...SERVER, 'Content-Length': length, ...more }
  return new Response(body, { status, headers })
}

/** facts 6.6: on Cloud Run a 403 comes without `Metadata-Flavor`. */
function refused(body: string, type = HTML): Response {
  const headers = { 'Content-Type': type, ...SERVER, 'Content-Length': String(Buffer.byteLength(body)) }
  return new Response(body, { status: 403, headers })
}
