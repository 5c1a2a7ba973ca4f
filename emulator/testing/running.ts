/** An emulator that someone else has started, by compose or on the command line. */
import { instanceEnvironment } from '../runtime/environment.ts'
import { connect } from './client.ts'
import type { CloudRun } from './cloud-run.ts'

/**
 * Connects to a running emulator. Nothing is deployed, and `close()` leaves it as it is; its services' programs are told who
 * they are by whoever runs them, so `env` knows no `as`.
 *
 * @param url such as `http://127.0.0.1:8080`
 */
export function connectEmulator(url: string): Promise<CloudRun> {
  const { origin, hostname, port } = new URL(url)
  return connect({
    url: origin,
    services: {},
    serviceAccounts: [],
    env: () => instanceEnvironment(hostname, Number(port || 80)),
    close: () => Promise.resolve(),
  })
}
