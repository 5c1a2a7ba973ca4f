/** For tests: a compose file of the examples, brought up as it stands. */
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Runs a command of Docker's, and resolves with what it said. Rejects when it fails. */
async function docker(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const child = Bun.spawn(['docker', ...args], {
    cwd: ROOT,
    env: { ...process.env, DOCKER_BUILDKIT: '1', ...env },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  if ((await child.exited) !== 0) throw new Error(`docker ${args.join(' ')}: ${errors}${output}`)
  return output.trim()
}

/** True when an engine answers that has these images. Otherwise says, by name, what is not tested. */
export async function engineHas(what: string, ...images: readonly string[]): Promise<boolean> {
  for (const image of images) {
    const found = await docker(['image', 'inspect', '--format', '{{.Id}}', image]).catch(() => undefined)
    if (found) continue
    const answers = await docker(['info']).then(
      () => true,
      () => false,
    )
    console.log(`SKIPPED: ${what}: ${answers ? `there is no image ${image}` : 'no Docker engine answers'}`)
    return false
  }
  // Both are plugins of a user's own: an engine may answer where they are not.
  for (const plugin of ['compose', 'buildx']) {
    const there = await docker([plugin, 'version']).catch(() => undefined)
    if (there) continue
    console.log(`SKIPPED: ${what}: no docker ${plugin} here`)
    return false
  }
  return true
}

export interface Up {
  /** `http://127.0.0.1:PORT` of a published port. */
  url(service: string, port: number): Promise<string>
  /** What a command in a service's container prints. */
  exec(service: string, ...command: readonly string[]): Promise<string>
  down(): Promise<void>
}

/** Brings a folder's compose file up under a name of its own, on ports that are free. */
export async function composeUp(folder: string, ports: Readonly<Record<string, string>>): Promise<Up> {
  const file = `examples/${folder}/docker-compose.yml`
  const compose = (...args: readonly string[]) =>
    docker(['compose', '--file', file, '--project-name', project, ...args], ports)
  const project = `invoker-test-${crypto.randomUUID().slice(0, 8)}`
  const down = async () => {
    await compose('down', '--volumes', '--rmi', 'local', '--timeout', '2')
  }
  await docker(['build', '--tag', 'invoker/emulator', '--file', 'emulator/Dockerfile', '.'])
  try {
    await compose('up', '--detach', '--build', '--wait')
  } catch (error) {
    await down()
    throw error
  }
  return {
    url: async (service, port) => `http://${await compose('port', service, String(port))}`,
    exec: (service, ...command) => compose('exec', '-T', service, ...command),
    down,
  }
}
