/** Listening, and ending well: on SIGTERM the requests in flight are answered first, and their callers told to go elsewhere. */
import { createServer, type Server } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { ConfigError } from './environment.ts'

/** Cloud Run kills 10 s after SIGTERM (facts 1.8); what is left is for the last log line. Milliseconds. */
const DRAIN = 9_500
/**
 * How long a drain goes on listening: a server that closes takes its idle connections along, and the requests that are on
 * their way on them. In this time whoever asks is answered, and told not to ask here again. Milliseconds.
 */
const LAST_CALL = 300
/** Longer than a front end keeps a connection that it may send the next request on. Milliseconds. */
const IDLE = 120_000

export interface Listener {
  readonly port: number
  /**
   * Answers with `Connection: close` from now on, refuses new connections a moment later, and waits for the requests in flight;
   * false when some had to be cut.
   */
  drain(milliseconds?: number): Promise<boolean>
}

/** Rejects with {@link ConfigError} when the port cannot be had. */
export async function listen(
  fetch: (request: Request) => Response | Promise<Response>,
  hostname: string,
  port: number,
): Promise<Listener> {
  let draining = false
  // Only the request: the second argument would reach Hono as the bindings of another platform.
  const answer = getRequestListener(
    async (request) => {
      const response = await fetch(request)
      if (draining || leavesBody(request)) response.headers.set('connection', 'close')
      return response
    },
    { overrideGlobalObjects: false },
  )
  const server = createServer({ keepAliveTimeout: IDLE, requestTimeout: 0 }, (incoming, outgoing) => {
    void answer(incoming, outgoing)
  })
  // A caller that has said all it has to say may close its half of the connection, and wait. Node's types lack this.
  Object.assign(server, { httpAllowHalfOpen: true })
  const bound = await bind(server, hostname, port)
  return {
    port: bound,
    async drain(milliseconds = DRAIN) {
      draining = true
      const { promise: ended, resolve: end } = Promise.withResolvers<boolean>()
      const late = setTimeout(end, milliseconds, false)
      await Promise.race([Bun.sleep(Math.min(LAST_CALL, milliseconds)), ended])
      server.close(() => end(true))
      const drained = await ended
      clearTimeout(late)
      if (!drained) server.closeAllConnections()
      return drained
    },
  }
}

/** A body that nobody will read, for which the caller could hold the connection as long as it likes. */
function leavesBody({ body, bodyUsed }: Request): boolean {
  return body !== null && !bodyUsed
}

/** The port that it has, which is another where any free one was asked for. */
async function bind(server: Server, hostname: string, port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(port, hostname, resolve)
  try {
    await promise
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ConfigError(
      `cannot listen on ${hostname}:${port}: ${reason}. Set PORT to a free port and the host to an address of this machine.`,
    )
  }
  const address = server.address()
  return typeof address === 'object' && address ? address.port : port
}
