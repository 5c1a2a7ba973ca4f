/** The emulator as a container, with real containers beside it; and the example of docs/testing.md, as Vitest under Node.js runs it. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  GenericContainer,
  Network,
  type StartedNetwork,
  type StartedTestContainer,
  Wait,
} from 'testcontainers'
import { CloudRunEmulatorContainer, type StartedCloudRunEmulatorContainer } from './testing.ts'

setDefaultTimeout(60_000)
// Its cleaner is a container from a registry; what is started here is stopped here.
process.env.TESTCONTAINERS_RYUK_DISABLED = 'true'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const IMAGE = 'invoker/emulator'
const BUN = 'oven/bun:1.4.5-slim'
const SSHD = 'invoker-test/sshd'
/** A first build downloads packages. Milliseconds. */
const BUILD = 10 * 60_000

function run(
  command: readonly string[],
  options: { cwd?: string; env?: Record<string, string>; stdin?: string } = {},
) {
  try {
    const { exitCode, stdout, stderr } = Bun.spawnSync([...command], {
      cwd: options.cwd ?? ROOT,
      env: { ...process.env, ...options.env },
      stdin: Buffer.from(options.stdin ?? ''),
      stdout: 'pipe',
      stderr: 'pipe',
    })
    return { code: exitCode, output: `${stdout}${stderr}` }
  } catch (error) {
    return { code: 127, output: String(error) }
  }
}

const engine = run(['docker', 'info']).code === 0
if (!engine) console.log('SKIPPED: the emulator as a container: no Docker engine answers')
const node = Bun.which('node')
if (!node) console.log('SKIPPED: the example of docs/testing.md under Vitest: there is no Node.js')

beforeAll(() => {
  if (!engine) return
  const built = run(['docker', 'build', '--tag', IMAGE, '--file', 'emulator/Dockerfile', '.'], {
    env: { DOCKER_BUILDKIT: '1' },
  })
  if (built.code !== 0) throw new Error(built.output)
}, BUILD)

/** A service in a container: says its name, and calls another one with its own token when it is asked to. */
const SERVICE = `
  Bun.serve({ port: 8080, async fetch(request) {
    const target = new URL(request.url).searchParams.get('call')
    if (!target) return new Response('this is ' + process.env.NAME)
    const identity = 'http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/identity?audience=' + target
    const token = await (await fetch(identity, { headers: { 'Metadata-Flavor': 'Google' } })).text()
    const answer = await fetch(target, { headers: { authorization: 'Bearer ' + token } })
    return new Response(answer.status + ' ' + await answer.text())
  } })
  console.log('listening')
`

describe.skipIf(!engine)('on a network of containers', () => {
  let network: StartedNetwork
  let cloud: StartedCloudRunEmulatorContainer
  const containers: StartedTestContainer[] = []

  const startService = async (name: string, env: Record<string, string> = {}, content?: string) => {
    const container = new GenericContainer(BUN)
      .withCommand(['-e', SERVICE])
      .withEnvironment({ NAME: name, ...env })
      .withNetwork(network)
      .withNetworkAliases(name)
      .withExposedPorts(8080)
      .withWaitStrategy(Wait.forLogMessage('listening'))
    if (content !== undefined) container.withCopyContentToContainer([{ content, target: '/ca.pem' }])
    const started = await container.start()
    containers.push(started)
    return `http://${started.getHost()}:${started.getMappedPort(8080)}`
  }

  beforeAll(async () => {
    network = await new Network().start()
    cloud = await new CloudRunEmulatorContainer()
      .withNetwork(network)
      .withProject('testing-project', '210987654321')
      .withScheme('https')
      .withService('orders', { upstream: 'http://orders:8080', serviceAccount: 'orders-sa' })
      .withService('billing', { upstream: 'http://billing:8080', serviceAccount: 'billing-sa' })
      .withServiceAccount('stranger')
      .start()
  }, BUILD)
  afterAll(async () => {
    for (const container of containers) await container.stop()
    await cloud?.close()
    await network?.stop()
  })

  test('services call each other by their https URLs, as themselves: 403, and 200 once that is granted', async () => {
    const url = cloud.urlOf('billing')
    expect(url).toBe('https://billing-210987654321.us-central1.run.app')
    await startService('billing')
    const orders = await startService('orders', { NODE_EXTRA_CA_CERTS: '/ca.pem' }, cloud.certificate)
    const called = async () => (await fetch(`${orders}/?call=${url}`)).text()

    expect(await called()).toStartWith('403 ')
    const [decision] = (await cloud.decisions('billing')).slice(-1)
    expect(decision?.caller?.email).toBe('orders-sa@testing-project.iam.gserviceaccount.com')
    await cloud.grant('billing', 'orders-sa')
    expect(await called()).toBe('200 this is billing')
  })

  test('has the same face as the one in this process', async () => {
    await cloud.reset()
    const statusOf = async (as: string) => (await cloud.call('billing', { as })).status
    expect(await statusOf('stranger')).toBe(403)
    await cloud.grant('billing', 'stranger')
    expect(await statusOf('stranger')).toBe(200)
    const token = await cloud.token({ as: 'stranger', audience: 'billing' })
    const withToken = async () =>
      (await cloud.call('billing', { headers: { authorization: `Bearer ${token}` } })).status
    expect(await withToken()).toBe(200)
    await cloud.clock.advance(3_660_000)
    expect(await withToken()).toBe(401)
    await cloud.revoke('billing', 'stranger')
    expect(await statusOf('stranger')).toBe(403)
    expect((await cloud.decisions('billing')).map(({ status }) => status)).toEqual([403, 200, 200, 401, 403])
  })

  test('gives a program on this machine the identity of a service, and its way in by TLS', async () => {
    await cloud.reset()
    await cloud.grant('billing', 'orders-sa')
    const program = `
      const base = 'http://' + process.env.GCE_METADATA_HOST + '/computeMetadata/v1/instance/service-accounts/default/'
      const ask = async (path) => (await fetch(base + path, { headers: { 'Metadata-Flavor': 'Google' } })).text()
      const token = await ask('identity?audience=${cloud.urlOf('billing')}')
      const { status } = await fetch('${cloud.urlOf('billing')}', { headers: { authorization: 'Bearer ' + token } })
      console.log(await ask('email'), status)`
    const as = (service: string) =>
      run([process.execPath, '-e', program], { env: { ...cloud.env({ as: service }) } }).output.trim()
    expect(as('orders')).toBe('orders-sa@testing-project.iam.gserviceaccount.com 200')
    expect(as('billing')).toBe('billing-sa@testing-project.iam.gserviceaccount.com 403')
  })
})

describe.skipIf(!engine)('withReuse', () => {
  test('takes up the container of an earlier run, without what that left behind', async () => {
    process.env.TESTCONTAINERS_REUSE_ENABLE = 'true'
    const start = () =>
      new CloudRunEmulatorContainer()
        .withProject(project)
        .withService('billing', { upstream: 'http://billing:8080' })
        .withServiceAccount('orders-sa')
        .withReuse()
        .start()
    const project = `reused-${crypto.randomUUID().slice(0, 8)}`
    const first = await start()
    try {
      await first.grant('billing', 'orders-sa')
      const second = await start()
      expect(second.getId()).toBe(first.getId())
      // Its upstream is nowhere: who gets that far is answered by the ingress, not by IAM.
      expect((await second.call('billing', { as: 'orders-sa' })).status).toBe(403)
      await second.grant('billing', 'orders-sa')
      expect((await second.call('billing', { as: 'orders-sa' })).status).toBe(503)
    } finally {
      run(['docker', 'rm', '--force', '--volumes', first.getId()])
    }
  })
})

/** The newest testcontainers that this Node.js runs: 12 asks for 22.22. */
function testcontainersFor(executable: string): string {
  const [, major = 0, minor = 0] = (/v(\d+)\.(\d+)/.exec(run([executable, '--version']).output) ?? []).map(
    Number,
  )
  return major > 22 || (major === 22 && minor >= 22) ? 'testcontainers' : 'testcontainers-11'
}

describe.skipIf(!engine || !node)('the example of docs/testing.md', () => {
  const EXAMPLE = join(ROOT, 'examples/testing/container.ts')
  const folder = mkdtempSync(join(tmpdir(), 'invoker-vitest-'))
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true })
    const left = run(['docker', 'ps', '--all', '--quiet', '--filter', `ancestor=${SSHD}`]).output.trim()
    if (left) run(['docker', 'rm', '--force', ...left.split('\n')])
  })

  test(
    'passes under Vitest on Node.js, with services on ports of this machine, from the package as it is built',
    () => {
      // An image of our own in place of the one that testcontainers has in a registry.
      const sshd = run(['docker', 'build', '--tag', SSHD, '-'], {
        env: { DOCKER_BUILDKIT: '1' },
        stdin: `FROM debian:bookworm-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends openssh-server && mkdir -p /run/sshd
CMD ["sh", "-c", "echo root:$PASSWORD | chpasswd && exec /usr/sbin/sshd -D -o PermitRootLogin=yes -o GatewayPorts=yes -o AllowTcpForwarding=yes"]
`,
      })
      if (sshd.code !== 0)
        return console.log(
          `SKIPPED: the example of docs/testing.md: no image that forwards ports: ${sshd.output.slice(-300)}`,
        )

      const bun = [process.execPath, 'run', 'build:testing']
      expect(run(bun)).toMatchObject({ code: 0 })
      const modules = join(folder, 'node_modules')
      mkdirSync(join(modules, 'invoker'), { recursive: true })
      cpSync(join(ROOT, 'dist'), join(modules, 'invoker/dist'), { recursive: true })
      cpSync(join(ROOT, 'package.json'), join(modules, 'invoker/package.json'))
      for (const name of ['vitest', 'pkijs', 'asn1js', 'zod'])
        symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
      symlinkSync(join(ROOT, 'node_modules', testcontainersFor(node ?? '')), join(modules, 'testcontainers'))
      cpSync(EXAMPLE, join(folder, 'billing.test.ts'))

      const { code, output } = run(
        [node ?? '', join(modules, 'vitest/vitest.mjs'), 'run', '--root', folder],
        {
          cwd: folder,
          env: { SSHD_CONTAINER_IMAGE: SSHD, NO_COLOR: '1' },
        },
      )
      if (code !== 0) console.log(output)
      expect(code).toBe(0)
      expect(output).toMatch(/Tests +2 passed/)
    },
    BUILD,
  )
})
