/** Listening, and ending well: on SIGTERM the requests in flight are answered first, and their callers told to go elsewhere. */
import { ConfigError } from './environment.ts'

/** Cloud Run kills 10 s after SIGTERM (facts 1.8); what is left is for the last log line. Milliseconds. */
const DRAIN = 9_500
/**
 * How long a drain goes on listening: Bun closes kept connections when it stops, and with them the requests that are on their
 * way. In this time whoever asks is answered, and told not to ask here again. Milliseconds.
 */
const LAST_CALL = 300
/** Longer than any request here may take, so that a slow answer is never cut for silence. Seconds. */
const IDLE = 120

export interface Listener {
  readonly port: number
  /**
   * Answers with `Connection: close` from now on, refuses new connections a moment later, and waits for the requests in flight;
   * false when some had to be cut.
   */
  drain(milliseconds?: number): Promise<boolean>
}

/** @throws {ConfigError} when the port cannot be had */
export function listen(
  fetch: (request: Request) => Response | Promise<Response>,
  hostname: string,
  port: number,
): Listener {
  let draining = false
  const server = bind(
    async (request) => {
      const response = await fetch(request)
      if (draining || leavesBody(request)) response.headers.set('connection', 'close')
      return response
    },
    hostname,
    port,
  )
  return {
    port: server.port ?? port,
    async drain(milliseconds = DRAIN) {
      draining = true
      const { promise: late, resolve: giveUp } = Promise.withResolvers<'late'>()
      const timer = setTimeout(giveUp, milliseconds, 'late')
      const stopped = Bun.sleep(Math.min(LAST_CALL, milliseconds)).then(() => server.stop())
      const outcome = await Promise.race([stopped, late])
      clearTimeout(timer)
      if (outcome !== 'late') return true
      await server.stop(true)
      return false
    },
  }
}

/** A body that nobody will read, for which the caller could hold the connection as long as it likes. */
function leavesBody({ body, bodyUsed }: Request): boolean {
  return body !== null && !bodyUsed
}

function bind(fetch: (request: Request) => Response | Promise<Response>, hostname: string, port: number) {
  try {
    // Only the request: Bun's second argument would reach Hono as the bindings of another platform.
    return Bun.serve({ hostname, port, idleTimeout: IDLE, fetch: (request) => fetch(request) })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ConfigError(
      `cannot listen on ${hostname}:${port}: ${reason}. Set PORT to a free port and the host to an address of this machine.`,
    )
  }
}
