/**
 * `POST /_emulator/push`: one request to a service as Google's products make it, with an ID token of a service account, through
 * the same door as every other.
 */
import { randomBytes } from 'node:crypto'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'
import type { Context } from 'hono'
import { type Decision, why } from '../decision/decision.ts'
import type { RoomEnv } from '../front/request.ts'
import { serviceKey, serviceUrl } from '../state/names.ts'
import type { Accounts, Decisions, Placed, Read, Services, SigningKeys, Timed } from '../state/parts.ts'
import { mintIdToken } from '../tokens/mint.ts'
import { guarded } from '../wire/guard.ts'
import { systemTimer } from '../wire/timer.ts'
import { type Push, type PushRequest, pushRequest, pushSchema } from './push-requests.ts'

type PushState = Read<Accounts & Decisions & Placed & Services & SigningKeys & Timed>

export interface PushOptions {
  readonly state: PushState
  /** The port on this machine by which Google's own products come in. */
  readonly googlePort: () => Promise<number>
}

export interface PushReport {
  readonly request: {
    readonly method: string
    readonly url: string
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
    /** Of the token that was sent; none was sent where this is absent. */
    readonly audience?: string
  }
  readonly response: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
  }
  readonly decision: Decision & { readonly why: string }
}

/** What a person can mend: the message is one line. */
class PushError extends Error {}
/** The connection ended before the answer did. */
class BrokenOff extends Error {}

/** Answers with a {@link PushReport}, or `{"error"}`: 400, or 502 when the answer broke off. */
export function createPush({ state, googlePort }: PushOptions): (c: Context<RoomEnv>) => Promise<Response> {
  async function push(asked: Push): Promise<PushReport> {
    const now = state.clock()
    const made = pushRequest(asked, targetOf(state, asked), state.place, now)
    const idToken = asked.serviceAccount && (await tokenOf(state, asked.serviceAccount, made.audience))
    const trace = randomBytes(16).toString('hex')
    const decided = decisionOf(state, trace)
    const more = [
      ...(idToken ? ['Authorization', `Bearer ${idToken}`] : []),
      'X-Cloud-Trace-Context',
      `${trace}/${BigInt(`0x${randomBytes(8).toString('hex')}`)};o=1`,
    ]
    try {
      const { response, body } = await send(made, await googlePort(), more)
      const decision = await decided.decision
      return {
        request: {
          method: made.method,
          url: made.url.href,
          headers: lowerCase(made.headers),
          body: made.body,
          ...(idToken ? { audience: made.audience } : {}),
        },
        response: { status: response.statusCode ?? 0, headers: lowerCase(response.rawHeaders), body },
        decision: { ...decision, why: why(decision) },
      }
    } catch (cause) {
      const what = cause instanceof Error ? cause.message : String(cause)
      throw new BrokenOff(
        `The answer broke off: ${what}. /_emulator/decisions tells what became of the request.`,
        { cause },
      )
    } finally {
      decided.stop()
    }
  }

  return async function answerPush(c) {
    // A page on the web can send a form to this machine, but not JSON.
    if (!c.req.header('Content-Type')?.toLowerCase().startsWith('application/json'))
      return c.json({ error: 'Content-Type: expected application/json.' }, 400)
    try {
      const asked = pushSchema.safeParse(await readJson(c))
      if (!asked.success) throw new PushError(sentence(asked.error.issues[0]))
      return c.json(await push(asked.data))
    } catch (error) {
      if (error instanceof PushError) return c.json({ error: error.message }, 400)
      if (error instanceof BrokenOff) return c.json({ error: error.message }, 502)
      throw error
    }
  }
}

function targetOf(state: PushState, { url, service: name, region = state.region, path = '/' }: Push): URL {
  if ((url === undefined) === (name === undefined)) throw new PushError('Expected one of url and service.')
  if (url !== undefined) {
    const target = new URL(url)
    // Another host would be somebody else's.
    if (!target.hostname.endsWith('.run.app'))
      throw new PushError(`url: expected the URL of a service, at run.app, got ${JSON.stringify(url)}.`)
    return target
  }
  const service = state.services.get(serviceKey({ project: state.place.projectId, region, name: name ?? '' }))
  if (!service) {
    const known = state.services.list().map((each) => each.name)
    throw new PushError(
      `service: ${name} is not deployed in ${region}. Deployed are: ${known.join(', ') || 'none'}.`,
    )
  }
  return new URL(`${serviceUrl(service, state.place)}${path}`)
}

async function tokenOf(state: PushState, email: string, audience: string): Promise<string> {
  const account = state.serviceAccount(email)
  if (!account) throw new PushError(`serviceAccount: ${email} does not exist.`)
  // Google mints nothing for a disabled account; the products then send nothing (inferred).
  if (account.disabled) throw new PushError(`serviceAccount: ${email} is disabled.`)
  return (await mintIdToken(state.keys, state.clock(), { subject: account, audience })).token
}

/** How long after a whole answer its decision may be in coming; the front refuses some requests without one. Milliseconds. */
const PATIENCE = 5000

/** The decision on the request of a trace, once it has been made. */
function decisionOf(state: PushState, trace: string) {
  const { promise, resolve } = Promise.withResolvers<Decision>()
  const stop = state.decisions.onAdd((decision) => {
    if (decision.trace === trace) resolve(decision)
  })
  return {
    stop,
    get decision(): Promise<Decision> {
      return new Promise((found, reject) => {
        const end = systemTimer(() => reject(new Error('it is no request of a service')), PATIENCE)
        void promise.then((decision) => {
          end()
          found(decision)
        })
      })
    },
  }
}

/** The largest answer that is kept for a report: the front door's own limit. Bytes, before and after it is decompressed. */
const LIMIT = 32 * 1024 * 1024

function send(
  { method, url, headers, body }: PushRequest,
  port: number,
  more: readonly string[],
): Promise<{ readonly response: IncomingMessage; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const bare = method === 'GET' || method === 'HEAD'
    const length = bare && body === '' ? [] : ['Content-Length', String(Buffer.byteLength(body))]
    const request = httpRequest({
      host: '127.0.0.1',
      port,
      method,
      // The whole URL, as towards a proxy: it says which scheme the caller meant.
      path: url.href,
      agent: false,
      setHost: false,
      headers: ['Host', url.host, ...headers, ...more, ...length],
    })
    const fail = (error: unknown) => {
      reject(error)
      request.destroy()
    }
    request.on('error', guarded(fail, fail))
    request.on(
      'response',
      guarded(fail, (response) => {
        const chunks: Buffer[] = []
        let size = 0
        const take = (chunk: Buffer) => {
          size += chunk.length
          if (size > LIMIT) fail(new Error(`it has more than ${LIMIT} bytes`))
          else chunks.push(chunk)
        }
        const end = () => {
          if (response.complete) resolve({ response, body: decoded(Buffer.concat(chunks), response) })
        }
        const close = () => {
          if (!response.complete) fail(new Error('the connection was closed'))
        }
        response.on('error', guarded(fail, fail))
        response.on('data', guarded(fail, take))
        response.on('end', guarded(fail, end))
        response.on('close', guarded(fail, close))
      }),
    )
    request.end(body)
  })
}

const DECODERS: ReadonlyMap<string, (bytes: Buffer, options: { maxOutputLength: number }) => Buffer> =
  new Map([
    ['gzip', gunzipSync],
    ['deflate', inflateSync],
    ['br', brotliDecompressSync],
  ])

function decoded(bytes: Buffer, { headers }: IncomingMessage): string {
  const decode = DECODERS.get(headers['content-encoding'] ?? '')
  return (decode && bytes.length > 0 ? decode(bytes, { maxOutputLength: LIMIT }) : bytes).toString()
}

/** Header names as they are compared; values of one name joined. */
function lowerCase(raw: readonly string[]): Readonly<Record<string, string>> {
  const joined: Record<string, string> = {}
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const [name = '', value = ''] = raw.slice(index, index + 2)
    const key = name.toLowerCase()
    joined[key] = key in joined ? `${joined[key]}, ${value}` : value
  }
  return joined
}

async function readJson(c: Context): Promise<unknown> {
  try {
    return await c.req.json()
  } catch {
    throw new PushError('The body is not JSON.')
  }
}

function sentence(
  issue: { readonly path: readonly PropertyKey[]; readonly message: string } | undefined,
): string {
  const at = issue?.path.map(String).join('.')
  return `${at ? `${at}: ` : ''}${issue?.message ?? 'not understood'}.`
}
