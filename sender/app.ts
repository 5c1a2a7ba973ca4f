/** The calling service: `GET /` calls the receiver, with an ID token for it, and answers with what it said. */
import type { Hono } from 'hono'
import { createServiceApp, type ServiceEnv } from '../service/app.ts'
import type { Logger } from '../service/logger.ts'
import { traceHeaders } from '../service/trace.ts'
import type { SenderConfig } from './config.ts'
import { type IdTokenSource, TokenError } from './tokens.ts'

export interface SenderDeps {
  readonly logger: Logger
  readonly tokens: IdTokenSource
  /** Aborts when a request has taken as long as it may: made once a request. Default 10 s. */
  readonly deadline?: () => AbortSignal
}

const PREFIX = new TextEncoder().encode('Response from receiving service: ')
/** facts 6.3: the most that Cloud Run lets a response hold that is not streamed. Bytes. */
const MOST = 32 * 1024 * 1024

/** The receiver answered, and then its body could not be had. */
class BodyError extends Error {
  override readonly name = 'BodyError'
}

export function createApp(config: SenderConfig, deps: SenderDeps): Hono<ServiceEnv> {
  const { logger, tokens, deadline = () => AbortSignal.timeout(10_000) } = deps
  const app = createServiceApp(logger)

  app.get('/', async function callReceiver(c) {
    const signal = deadline()
    try {
      const headers = traceHeaders(c.req.raw.headers)
      if (config.audience !== undefined) {
        headers.set('authorization', await tokens.authorization(config.audience))
      }
      // A redirect is passed on, not followed: the token is for this receiver, and must not reach another host.
      const response = await fetch(config.receiver, { headers, signal, redirect: 'manual' })
      // Read whole before the first byte is answered, as the tutorial does: a body that breaks off or is late still gets its status.
      return answer(response, await readBody(response), config.receiver)
    } catch (error) {
      const { status, text } = failure(error, signal)
      logger.error({ err: error, receiver: config.receiver.origin }, text)
      return c.text(text, status)
    }
  })

  return app
}

/** The receiver's status, and its body to the byte. The tutorial's Go sender has the type sniffed, which gives this one for any text. */
function answer(response: Response, body: readonly Uint8Array<ArrayBuffer>[], receiver: URL): Response {
  const { status } = response
  const headers = new Headers({
    'content-type': 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
  })
  // Only what the status means little without.
  for (const name of ['retry-after', 'www-authenticate']) {
    const value = response.headers.get(name)
    if (value !== null) headers.set(name, value)
  }
  const location = URL.parse(response.headers.get('location') ?? '', receiver.href)
  if (location && response.headers.has('location')) headers.set('location', location.href)
  const bodiless = status === 204 || status === 205 || status === 304
  return new Response(bodiless ? null : new Blob([PREFIX, ...body]), { status, headers })
}

async function readBody(response: Response): Promise<Uint8Array<ArrayBuffer>[]> {
  const chunks: Uint8Array<ArrayBuffer>[] = []
  let size = 0
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.byteLength
      if (size > MOST) throw new Error(`the body is longer than ${MOST} bytes`)
      chunks.push(chunk)
    }
  } catch (cause) {
    throw new BodyError('The response body could not be read', { cause })
  }
  return chunks
}

function failure(error: unknown, deadline: AbortSignal): { status: 500 | 502 | 504; text: string } {
  if (deadline.aborted) return { status: 504, text: 'Failed to make request: no answer in time' }
  if (error instanceof TokenError) return { status: 500, text: 'Failed to create authenticated client' }
  if (error instanceof BodyError) return { status: 502, text: 'Failed to read response body' }
  return { status: 502, text: 'Failed to make request' }
}
