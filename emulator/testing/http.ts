/** Requests to an emulator by the names that it stands for, on Node.js and Bun alike. */
import { request } from 'node:http'
import { buffer } from 'node:stream/consumers'

export interface SendOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/**
 * Sends one request through the emulator as a proxy: `url` is the whole of what is asked for, whatever its scheme, and
 * neither DNS nor a certificate has a part in it. Redirects are not followed.
 */
export function send(emulator: string, url: string, options: SendOptions = {}): Promise<Response> {
  const { hostname, port } = new URL(emulator)
  const { host, origin, pathname, search } = new URL(url)
  const { body, method = body === undefined ? 'GET' : 'POST', headers = {} } = options
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
    })
    sent.on('error', reject)
    sent.on('response', (incoming) => {
      buffer(incoming).then((bytes) => {
        const received = new Headers()
        for (let at = 0; at + 1 < incoming.rawHeaders.length; at += 2)
          received.append(incoming.rawHeaders[at] ?? '', incoming.rawHeaders[at + 1] ?? '')
        const { statusCode: status = 0, statusMessage: statusText = '' } = incoming
        const empty = status === 204 || status === 304
        resolve(new Response(empty ? null : new Uint8Array(bytes), { status, statusText, headers: received }))
      }, reject)
    })
    sent.end(body)
  })
}
