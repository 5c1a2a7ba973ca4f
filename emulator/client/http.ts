/** Requests to an emulator by the names that it stands for, on Node.js and Bun alike. */
import { type IncomingMessage, request } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { InvokerError, reasonOf } from '../errors/errors.ts'

export interface SendOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** How long the answer may take to begin, milliseconds. Default: for ever. */
  readonly timeout?: number
}

/** One request for a URL of Google's, or of a service. Redirects are not followed. */
export type Fetch = (
  url: string,
  init: {
    readonly method?: string
    readonly headers?: Record<string, string>
    readonly body?: string
    readonly redirect?: 'manual'
  },
) => Promise<Response>

/**
 * Google's names lead to the emulator that listens there.
 *
 * @throws {InvokerError} ERR_NO_EMULATOR where nothing does
 */
export function throughEmulator(emulator: string): Fetch {
  return (url, { redirect: _, ...options }) =>
    send(emulator, url, options).catch((cause: unknown) => {
      throw noEmulator(emulator, cause)
    })
}

/** Google's names mean what this machine or network says. */
export const byName: Fetch = (url, init) => fetch(url, { ...init, redirect: 'manual' })

/**
 * Sends one request through the emulator as a proxy: `url` is the whole of what is asked for, whatever its scheme, and
 * neither DNS nor a certificate has a part in it. Redirects are not followed.
 */
export async function send(emulator: string, url: string, options: SendOptions = {}): Promise<Response> {
  return responseOf(await exchange(emulator, url, options))
}

/** The same, with an answer that is still to be read. */
export function exchange(emulator: string, url: string, options: SendOptions = {}): Promise<IncomingMessage> {
  const { hostname, port } = new URL(emulator)
  const { host, origin, pathname, search } = new URL(url)
  const { body, method = body === undefined ? 'GET' : 'POST', headers = {}, timeout } = options
  return new Promise((resolve, reject) => {
    const sent = request({
      host: hostname.replace(/^\[|\]$/g, ''),
      port,
      method,
      // Its own API is not asked for as of a proxy.
      path: origin === new URL(emulator).origin ? `${pathname}${search}` : url,
      headers: {
        ...headers,
        host,
        connection: 'close',
        // Node.js gives a length to the bodies of some methods only.
        ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
      },
      agent: false,
      ...(timeout === undefined ? {} : { timeout }),
    })
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${(timeout ?? 0) / 1000} s`)))
    sent.on('error', reject)
    sent.on('response', (incoming) => {
      sent.setTimeout(0)
      resolve(incoming)
    })
    sent.end(body)
  })
}

/** An answer, read to its end. */
export async function responseOf(incoming: IncomingMessage): Promise<Response> {
  const bytes = await buffer(incoming)
  const headers = new Headers()
  for (let at = 0; at + 1 < incoming.rawHeaders.length; at += 2)
    headers.append(incoming.rawHeaders[at] ?? '', incoming.rawHeaders[at + 1] ?? '')
  const { statusCode: status = 0, statusMessage: statusText = '' } = incoming
  const empty = status === 204 || status === 304
  return new Response(empty ? null : new Uint8Array(bytes), { status, statusText, headers })
}

/** The value of a JSON text; the text itself where it is none, undefined for nothing. */
export function parsed(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

export function noEmulator(emulator: string, cause: unknown): InvokerError {
  const { origin } = new URL(emulator)
  return new InvokerError('ERR_NO_EMULATOR', `no emulator answers at ${origin} (${reasonOf(cause)}).`, {
    mend: 'Start it with "bun run emulator", or say where it is with --url.',
    cause,
  })
}
