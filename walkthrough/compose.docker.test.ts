/** The whole of docker-compose.yml as it stands, but for its published ports, which may be taken on this machine. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { fileURLToPath } from 'node:url'
import { decodeJwt } from 'jose'
import { DockerComposeEnvironment, type StartedDockerComposeEnvironment, Wait } from 'testcontainers'
import { ACTS } from './acts.ts'
import { block, commands, page, rows, section } from './pages.fixture.ts'

setDefaultTimeout(60_000)

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** A first build downloads packages. Milliseconds. */
const UP = 15 * 60_000
const PROJECT = `invoker-test-${crypto.randomUUID().slice(0, 8)}`
const SERVING = [
  'receiving-service',
  'sending-service-no-token',
  'sending-service-id-token',
  'sending-service-own-account',
]
const IN_CONTAINERS = section(page('docs/compose.md'), 'The five acts in containers')
const STAYING = ['emulator', ...SERVING]
const COMPUTE = '123456789012-compute@developer.gserviceaccount.com'
const OWN = 'calling-service-sa@demo-project.iam.gserviceaccount.com'
const RECEIVER = 'https://receiving-service-123456789012.us-central1.run.app'
const IDENTITY = '/computeMetadata/v1/instance/service-accounts/default'

// An engine may answer where the two plugins, which are a user's own, are not.
const missing =
  docker('info').code !== 0
    ? 'no Docker engine answers'
    : ['compose', 'buildx']
        .filter((plugin) => docker(plugin, 'version').code !== 0)
        .map((plugin) => `no docker ${plugin} here`)
        .join(', ')
const engine = missing === ''
if (!engine) console.log(`SKIPPED: the compose target: ${missing}`)

function docker(...args: readonly string[]): { readonly code: number; readonly output: string } {
  try {
    const { exitCode, stdout, stderr } = Bun.spawnSync(['docker', ...args], {
      stdout: 'pipe',
      stderr: 'pipe',
    })
    return { code: exitCode, output: `${stdout}${stderr}` }
  } catch {
    return { code: 127, output: 'there is no docker' }
  }
}

const nameOf = (service: string) => `${PROJECT}-${service}-1`

/** What a program in a container prints. */
function inside(service: string, program: string): string {
  const { code, output } = docker('exec', nameOf(service), 'bun', '-e', program)
  if (code !== 0) throw new Error(`in ${service}: ${output}`)
  return output.trim()
}

/** What the metadata server answers to a container, as `STATUS BODY`. */
function metadata(service: string, path: string, host = 'metadata.google.internal'): string {
  const headers = JSON.stringify({ 'Metadata-Flavor': 'Google', host })
  return inside(
    service,
    `const r = await fetch('http://metadata.google.internal${path}', { headers: ${headers} }); console.log(r.status, await r.text())`,
  )
}

describe.skipIf(!engine)('docker compose up', () => {
  let environment: StartedDockerComposeEnvironment | undefined
  const urls = { emulator: '', sender: '', receiver: '' }
  beforeAll(async () => {
    // Its own cleaner is a container from a registry; `down` below does the same.
    process.env.TESTCONTAINERS_RYUK_DISABLED = 'true'
    environment = await new DockerComposeEnvironment(ROOT, 'docker-compose.yml')
      .withProjectName(PROJECT)
      .withBuild()
      .withEnvironment({ EMULATOR_PORT: '0', SENDER_PORT: '0', RECEIVER_PORT: '0' })
      .withWaitStrategy('walkthrough-1', Wait.forLogMessage(/acts as the tutorial says/))
      .up()
    const emulator = environment.getContainer('emulator-1')
    const at = (port: number) => `http://127.0.0.1:${emulator.getMappedPort(port)}`
    Object.assign(urls, { emulator: at(80), sender: at(8081), receiver: at(8082) })
  }, UP)
  afterAll(() => environment?.down({ timeout: 10_000, removeVolumes: true }), 60_000)

  test('shows the five acts in its log, and exit code 0', () => {
    expect(docker('wait', nameOf('walkthrough')).output.trim()).toBe('0')
    const { output } = docker('logs', nameOf('walkthrough'))
    expect(output).toContain('in five acts (compose: containers)')
    for (const { act, title } of ACTS) expect(output).toContain(`\nAct ${act}. ${title}\n`)
    expect([...output.matchAll(/^ {2}GET \/ {3}(.*)$/gm)].map(([, status]) => status)).toEqual(
      ACTS.map(({ expected }) => String(expected.status)),
    )
    expect(output).toEndWith('\n200, 403, 200, 403, 200: 5 of 5 acts as the tutorial says.\n')
  })

  test('then everything stays up, and is healthy', () => {
    for (const service of STAYING) {
      const { output } = docker(
        'inspect',
        '--format',
        '{{.State.Status}} {{.State.Health.Status}}',
        nameOf(service),
      )
      expect([service, output.trim()]).toEqual([service, 'running healthy'])
    }
  })

  test('can be run once more: what the first run left is taken back', () => {
    const { code, output } = docker('start', '--attach', nameOf('walkthrough'))
    expect(output).toEndWith('5 of 5 acts as the tutorial says.\n')
    expect(code).toBe(0)
  })

  describe('from the host', () => {
    test('the sender answers on its published port', async () => {
      const answer = await fetch(urls.sender)
      expect([answer.status, await answer.text()]).toEqual([200, ACTS[4]?.expected.body ?? ''])
    })

    test('facts 1.1, 1.4: the receiver does so through the ingress: 403 without a token, 200 with one', async () => {
      const refused = await fetch(urls.receiver)
      expect(refused.status).toBe(403)
      expect((await refused.text()).length).toBe(295)
      const token = await (
        await fetch(`${urls.emulator}${IDENTITY}/identity?format=full&audience=${RECEIVER}`, {
          headers: { 'Metadata-Flavor': 'Google' },
        })
      ).text()
      const authorization = `Bearer ${token}`
      const answer = await fetch(urls.receiver, { headers: { authorization } })
      expect([answer.status, await answer.text()]).toEqual([200, 'Hello from the receiving service!'])
      const headers = { 'X-Serverless-Authorization': authorization }
      expect(await (await fetch(`${urls.receiver}/whoami`, { headers })).json()).toMatchObject({
        verified_by: 'cloud-run',
        caller: { email: COMPUTE },
      })
    })

    test('the lines of docs/compose.md, typed as they stand there, print what it says', () => {
      const at = { 8080: urls.emulator, 8081: urls.sender, 8082: urls.receiver }
      const type = (line: string) => {
        const here = Object.entries(at).reduce(
          (text, [port, url]) => text.replaceAll(`localhost:${port}`, url.replace('http://', '')),
          line,
        )
        return Bun.spawnSync(['bash', '-c', here], { stdout: 'pipe', stderr: 'ignore' }).stdout.toString()
      }
      const tries = rows(IN_CONTAINERS, '| | where | try |').map(([, , what = '']) => what)
      expect(tries).toHaveLength(3)
      for (const each of tries) {
        const [, line = '', status] = /^`(.+)` (?:answers (\d+)|tells why)$/.exec(each) ?? []
        if (status === undefined) expect(JSON.parse(type(line)).decisions.at(-1).why).toBeString()
        else expect(type(`${line} -s -o /dev/null -w '%{http_code}'`)).toBe(status)
      }
      const typed = commands(block(IN_CONTAINERS, 'TOKEN='))
      expect(type(typed.map(({ line }) => line).join('\n'))).toBe(typed.at(-1)?.prints ?? '')
    })

    test('no other port is published, and only on loopback', () => {
      const published = [...STAYING, 'walkthrough'].map((service) => [
        service,
        docker('port', nameOf(service))
          .output.trim()
          .split('\n')
          .map((line) => line.replace(/\d+$/, 'N'))
          .sort(),
      ])
      expect(Object.fromEntries(published)).toEqual({
        ...Object.fromEntries([...SERVING, 'walkthrough'].map((service) => [service, ['']])),
        emulator: ['80/tcp -> 127.0.0.1:N', '8081/tcp -> 127.0.0.1:N', '8082/tcp -> 127.0.0.1:N'],
      })
    })
  })

  describe('on the network', () => {
    test('no sender reaches the receiver but through the ingress', () => {
      const program = (url: string) =>
        `try { console.log((await fetch('${url}', { signal: AbortSignal.timeout(3000) })).status) } catch { console.log('no way') }`
      const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'
      const address = docker('inspect', '--format', format, nameOf('receiving-service')).output.trim()
      expect(address).toMatch(/^\d+\.\d+\.\d+\.\d+$/)
      expect(inside('sending-service-own-account', program(`http://${address}:8080/`))).toBe('no way')
      for (const service of SERVING.slice(1)) {
        expect(inside(service, program('http://receiving-service:8080/'))).toBe('no way')
        expect(inside(service, program(RECEIVER))).toBe('403')
      }
    })

    test('facts 2.1: each container has the account of its own revision, also when a newer one serves', () => {
      const email = `${IDENTITY}/email`
      expect(SERVING.map((service) => [service, metadata(service, email)])).toEqual([
        ['receiving-service', `200 ${COMPUTE}`],
        ['sending-service-no-token', `200 ${COMPUTE}`],
        ['sending-service-id-token', `200 ${COMPUTE}`],
        ['sending-service-own-account', `200 ${OWN}`],
      ])
    })

    test("a container that asks by another service's name is refused; by its own it is not", () => {
      const email = `${IDENTITY}/email`
      const other = metadata('receiving-service', email, 'sending-service.metadata.google.internal')
      expect(other).toMatch(/^403 .*an identity cannot be asked for/)
      const own = metadata('sending-service-own-account', email, 'sending-service.metadata.google.internal')
      expect(own).toBe(`200 ${OWN}`)
      // Nor does naming the address of the metadata server help.
      expect(metadata('receiving-service', email, '169.254.169.254')).toBe(`200 ${COMPUTE}`)
    })

    test('the files of certificates that docs/compose.md names are there for every service', () => {
      const files = [...new Set(IN_CONTAINERS.match(/\/ca\/[\w.]+/g))]
      expect(files).not.toEqual([])
      const program = `for (const file of ${JSON.stringify(files)}) console.log(await Bun.file(file).exists())`
      expect(inside('sending-service-own-account', program)).toBe(files.map(() => 'true').join('\n'))
    })

    test('facts 2.1, 3: the token that a container gets is of its account, for the audience that it named', () => {
      const [status, token = ''] = metadata(
        'sending-service-own-account',
        `${IDENTITY}/identity?format=full&audience=${RECEIVER}`,
      ).split(' ')
      expect(status).toBe('200')
      expect(decodeJwt(token)).toMatchObject({
        aud: RECEIVER,
        email: OWN,
        email_verified: true,
        iss: 'https://accounts.google.com',
      })
    })
  })

  describe('the containers', () => {
    test.each([...STAYING, 'walkthrough'])('%s: not root, nothing to write to, no capability', (service) => {
      const format =
        '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.CapAdd}} {{.HostConfig.SecurityOpt}} {{.HostConfig.Privileged}}'
      const { output } = docker('inspect', '--format', format, nameOf(service))
      expect(output.trim()).toBe('1000:1000 true [ALL] [] [no-new-privileges:true] false')
    })

    test.each(STAYING)('%s: that is so for the process itself', (service) => {
      const program = `
        const status = await Bun.file('/proc/1/status').text()
        const written = await Bun.write('/app/x', 'x').then(() => 'written', (error) => error.code)
        console.log(/^Uid:\\s+(\\d+)/m.exec(status)[1], /^CapEff:\\s+(\\w+)/m.exec(status)[1], written)`
      expect(inside(service, program)).toBe('1000 0000000000000000 EROFS')
    })

    test.each([
      ['invoker/emulator', 'emulator.js'],
      ['invoker/walkthrough', 'walkthrough.js'],
      ['gcr.io/demo-project/receiving-service', 'receiver.js'],
      ['gcr.io/demo-project/sending-service', 'sender.js'],
    ])('%s holds its bundle and nothing else', (image, bundle) => {
      const list = 'find /app /build /node_modules ! -type d 2>/dev/null; true'
      const { output } = docker('run', '--rm', '--entrypoint', 'sh', image, '-c', list)
      expect(output.trim()).toBe(`/app/${bundle}`)
    })

    test('end on SIGTERM, with exit code 0', () => {
      // One that did not would be killed after half of Cloud Run's ten seconds (facts 1.8), and show 137.
      const senders = STAYING.filter((service) => service !== 'emulator')
      expect(docker('stop', '--time', '5', ...senders.map(nameOf), nameOf('emulator')).code).toBe(0)
      const codes = STAYING.map((service) => [
        service,
        docker('inspect', '--format', '{{.State.ExitCode}}', nameOf(service)).output.trim(),
      ])
      expect(codes).toEqual(STAYING.map((service) => [service, '0']))
    })
  })
})
