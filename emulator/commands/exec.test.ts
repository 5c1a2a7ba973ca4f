import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Running, startRunning } from './running.fixture.ts'

setDefaultTimeout(20_000)

const home = mkdtempSync(join(tmpdir(), 'invoker-exec-'))
let running: Running
beforeAll(async () => {
  running = await startRunning({
    HOME: home,
    GOOGLE_APPLICATION_CREDENTIALS: '/home/me/key.json',
    CLOUDSDK_CORE_ACCOUNT: 'me@example.com',
  })
})
afterAll(async () => {
  await running.close()
  rmSync(home, { recursive: true, force: true })
})

/** A program of JavaScript, as the words of a command line. */
const program = (source: string) => [process.execPath, '-e', source]
const VARIABLES = program('console.log(JSON.stringify(process.env))')

describe('exec', () => {
  test('the program is pointed at the emulator, and has nothing of what would lead it elsewhere', async () => {
    const { stdout, stderr, exitCode } = await running.command('exec', '--', ...VARIABLES)
    const env = JSON.parse(stdout)
    expect(env).toMatchObject({ http_proxy: running.emulator.url, HOME: home })
    expect(env.GOOGLE_APPLICATION_CREDENTIALS).toBe(
      join(env.CLOUDSDK_CONFIG, 'application_default_credentials.json'),
    )
    expect(env).not.toHaveProperty('CLOUDSDK_CORE_ACCOUNT')
    expect([stderr, exitCode]).toEqual(['', 0])
  })

  test('its exit code is the program’s own, and its arguments arrive as they are', async () => {
    const words = ['$HOME', "it's", '--', '--help', '']
    const echo = program('console.log(JSON.stringify(process.argv.slice(1))); process.exit(7)')
    const { stdout, exitCode } = await running.command('exec', '--', ...echo, ...words)
    expect([JSON.parse(stdout), exitCode]).toEqual([words, 7])
    const killed = await running.command('exec', '--', ...program('process.kill(process.pid, "SIGKILL")'))
    expect(killed.exitCode).toBe(137)
  })

  test('a signal is passed on', async () => {
    const source =
      'process.on("SIGTERM", () => process.exit(5)); console.log("ready"); setInterval(() => {}, 9999)'
    const child = running.spawn('exec', '--', ...program(source))
    await child.stdout.getReader().read()
    child.kill('SIGTERM')
    expect(await child.exited).toBe(5)
  })

  test.each([
    [['--', '/no/such/program'], /^emulator exec: \/no\/such\/program does not start: .*\n$/],
    [['--'], /^emulator exec: expected a program, as in: emulator exec -- node app\.js\n$/],
    [['node', 'app.js'], /^emulator exec: expected -- before the program: emulator exec -- node app\.js\n$/],
  ])('%j is one line, exit 1', async (args, line) => {
    const { stderr, exitCode } = await running.command('exec', ...args)
    expect(stderr).toMatch(line)
    expect(exitCode).toBe(1)
  })
})

describe('run', () => {
  const IDENTITY = `
    const audience = 'http://billing-123456789012.us-central1.run.app'
    const at = 'http://' + process.env.GCE_METADATA_HOST + '/computeMetadata/v1/instance/service-accounts/default/'
    const headers = { 'Metadata-Flavor': 'Google' }
    const email = await (await fetch(at + 'email', { headers })).text()
    const token = await (await fetch(at + 'identity?audience=' + audience, { headers })).text()
    const { status } = await fetch(audience, { headers: { authorization: 'Bearer ' + token } })
    const { K_SERVICE, K_REVISION, GOOGLE_APPLICATION_CREDENTIALS, GCE_METADATA_HOST } = process.env
    console.log(JSON.stringify({ email, status, K_SERVICE, K_REVISION, GOOGLE_APPLICATION_CREDENTIALS, GCE_METADATA_HOST }))
    process.exit(3)`

  test('the program is the service: to the metadata server, and to the other services', async () => {
    const asOrders = () => running.command('run', '--service', 'orders', '--', ...program(IDENTITY))
    const { stdout, stderr, exitCode } = await asOrders()
    const seen = JSON.parse(stdout)
    expect(seen).toMatchObject({
      email: 'orders-sa@demo-project.iam.gserviceaccount.com',
      status: 403,
      K_SERVICE: 'orders',
      K_REVISION: expect.stringMatching(/^orders-00001-/),
    })
    expect(seen).not.toHaveProperty('GOOGLE_APPLICATION_CREDENTIALS')
    expect([stderr, exitCode]).toEqual(['', 3])
    await running.google.grant('billing', `serviceAccount:${seen.email}`, 'roles/run.invoker')
    expect(JSON.parse((await asOrders()).stdout).status).toBe(200)
  })

  test('what was opened for it is closed when it ends, also by a kill of the command', async () => {
    const { stdout } = await running.command('run', '--service', 'orders', '--', ...VARIABLES)
    const { GCE_METADATA_HOST: ended } = JSON.parse(stdout)
    await closes(ended)
    const source = 'console.log(process.env.GCE_METADATA_HOST); setTimeout(() => {}, 3000)'
    const child = running.spawn('run', '--service', 'orders', '--', ...program(source))
    const { value } = await child.stdout.getReader().read()
    const host = new TextDecoder().decode(value).trim()
    expect((await fetch(`http://${host}/`, { headers: { connection: 'close' } })).status).toBeGreaterThan(0)
    child.kill('SIGKILL')
    await closes(host)
  })
})

/** Resolves once nothing listens there. */
async function closes(host: string): Promise<void> {
  const headers = { connection: 'close' }
  while (await fetch(`http://${host}/`, { headers }).catch(() => undefined)) await Bun.sleep(20)
}
