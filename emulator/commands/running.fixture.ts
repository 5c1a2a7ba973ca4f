/** For tests of commands: an emulator of this process, two services, and the command line. */
import { fileURLToPath } from 'node:url'
import { Google } from '../client/google.ts'
import { throughEmulator } from '../client/http.ts'
import { signIn } from '../client/sign-in.ts'
import { type Emulator, startEmulator } from '../emulator.ts'

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url))

export interface Running {
  readonly emulator: Emulator
  readonly google: Google
  /** Starts the command line against it. */
  spawn(...args: string[]): Bun.Subprocess<'ignore', 'pipe', 'pipe'>
  command(
    ...args: string[]
  ): Promise<{ readonly stdout: string; readonly stderr: string; readonly exitCode: number }>
  close(): Promise<void>
}

/** `billing` and `orders`, which runs as `orders-sa`: each answers with its name. */
export async function startRunning(variables: Readonly<Record<string, string>> = {}): Promise<Running> {
  const upstream = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request) =>
      new Response(`${request.method} ${new URL(request.url).pathname} ${await request.text()}\n`),
  })
  const { href } = upstream.url
  const emulator = await startEmulator({ port: 0, upstream: { billing: href, orders: href } })
  const { project, region } = emulator.config
  const fetch = throughEmulator(emulator.url)
  const accessToken = async () => (await signIn(fetch)).accessToken
  const google = new Google({ project, region, fetch, accessToken })
  const { email } = await google.createServiceAccount('orders-sa')
  await google.deploy({ name: 'billing', image: 'gcr.io/demo-project/billing' })
  await google.deploy({ name: 'orders', image: 'gcr.io/demo-project/orders', serviceAccount: email })
  const spawn = (...args: string[]) =>
    Bun.spawn([process.execPath, MAIN, ...args], {
      env: { PATH: process.env.PATH ?? '', INVOKER_PORT: new URL(emulator.url).port, ...variables },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
  return {
    emulator,
    google,
    spawn,
    async command(...args) {
      const child = spawn(...args)
      const [stdout, stderr, exitCode] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ])
      return { stdout, stderr, exitCode }
    },
    async close() {
      await emulator.close()
      await upstream.stop(true)
    },
  }
}
