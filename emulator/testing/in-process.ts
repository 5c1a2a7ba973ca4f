/** The emulator inside the test's own process: for `bun test`, without Docker. */
import type { ConfigInput } from '../config/schema.ts'
import { startEmulator as start } from '../emulator.ts'
import type { InstanceConnection } from '../runtime/runtime.ts'
import { connect } from './client.ts'
import type { CloudRun, ServiceOptions } from './cloud-run.ts'

/** The emulator's settings, and the services of the test. */
export interface EmulatorOptions extends Omit<ConfigInput, 'upstream' | 'port' | 'host'> {
  readonly services?: Readonly<Record<string, ServiceOptions>>
  /** Account ids of service accounts beside those that services run as. */
  readonly serviceAccounts?: readonly string[]
  /** Lines about what the emulator itself does or could not do. Default: none. */
  readonly log?: (line: string) => void
}

/**
 * Starts an emulator on a free port and deploys the services.
 *
 * @example
 * const cloud = await startEmulator({ services: { billing: { upstream: 3000 } }, serviceAccounts: ['orders-sa'] })
 * expect((await cloud.call('billing', { as: 'orders-sa' })).status).toBe(403)
 */
export async function startEmulator(options: EmulatorOptions = {}): Promise<CloudRun> {
  const { services = {}, serviceAccounts = [], log, ...config } = options
  const upstream = Object.fromEntries(
    Object.entries(services).map(([name, service]) => [name, upstreamUrl(service.upstream).href]),
  )
  const emulator = await start({ ...config, upstream, port: 0 }, log ? { log } : {})
  try {
    const instances = new Map<string | undefined, InstanceConnection>()
    instances.set(undefined, await emulator.connect())
    for (const name of Object.keys(services)) instances.set(name, await emulator.connect(name))
    return await connect({
      url: emulator.url,
      services,
      serviceAccounts,
      env: (service) => instances.get(service)?.env ?? {},
      close: () => emulator.close(),
    })
  } catch (error) {
    await emulator.close()
    throw error
  }
}

function upstreamUrl(upstream: string | URL | number): URL {
  return new URL(typeof upstream === 'number' ? `http://127.0.0.1:${upstream}` : upstream)
}
