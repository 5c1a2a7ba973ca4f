/** Bodies that nobody will read: a caller has its answer, and is still sending. */
import type { IncomingMessage } from 'node:http'
import { guarded } from './guard.ts'
import type { Timer } from './timer.ts'

/**
 * How long. A connection that is closed while the caller sends may take the answer with it; one that is kept open until the
 * caller is done can be kept open for ever. Milliseconds.
 */
const LINGER = 10_000

/** Reads and forgets what still comes, and calls `done` once: at the body's end, or when it has lasted too long. */
export function lingering(incoming: IncomingMessage, timer: Timer, done: () => void): void {
  let over = false
  const end = guarded(
    () => incoming.destroy(),
    () => {
      if (over) return
      over = true
      stop()
      done()
    },
  )
  const stop = timer(end, LINGER)
  incoming.on('end', end)
  incoming.on('error', end)
  incoming.on('close', end)
  incoming.resume()
}
