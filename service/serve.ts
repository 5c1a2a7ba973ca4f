/** Listening, and ending well: on SIGTERM the requests in flight are answered first. */
import { ConfigError } from './environment.ts'

/** Cloud Run kills 10 s after SIGTERM (facts 1.8); what is left is for the last log line. Milliseconds. */
const DRAIN = 9_500
/** Longer than any request here may take, so that a slow answer is never cut for silence. Seconds. */
const IDLE = 120

export interface Listener {
  readonly port: number
  /** Refuses new connections and waits for the requests in flight; false when some had to be cut. */
  drain(milliseconds?: number): Promise<boolean>
}

/** @throws {ConfigError} when the port cannot be had */
export function listen(
  fetch: (request: Request) => Response | Promise<Response>,
  hostname: string,
  port: number,
): Listener {
  const server = bind(fetch, hostname, port)
  return {
    port: server.port ?? port,
    async drain(milliseconds = DRAIN) {
      const { promise: late, resolve: giveUp } = Promise.withResolvers<'late'>()
      const timer = setTimeout(giveUp, milliseconds, 'late')
      const outcome = await Promise.race([server.stop(), late])
      clearTimeout(timer)
      if (outcome !== 'late') return true
      await server.stop(true)
      return false
    },
  }
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
