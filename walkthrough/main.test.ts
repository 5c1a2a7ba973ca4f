import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, request, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { throughEmulator } from '../emulator/client/http.ts'
import { type Emulator, startEmulator } from '../emulator/emulator.ts'
import { ACTS } from './acts.ts'
import { createEmulatedTarget } from './emulated.ts'
import { type Outcome, runActs } from './run.ts'

setDefaultTimeout(30_000)

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))

interface Run {
  readonly code: number
  readonly output: string
  readonly errors: string
}

async function walk(flags: readonly string[], variables: Record<string, string> = {}): Promise<Run> {
  const child = Bun.spawn([process.execPath, MAIN, ...flags], {
    // A proxy of this machine must not come between, unless a test puts one there.
    env: { ...process.env, http_proxy: '', HTTP_PROXY: '', https_proxy: '', HTTPS_PROXY: '', ...variables },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { code, output, errors }
}

function outcomesOf({ output }: Run): Outcome[] {
  return output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

describe('on the embedded target', () => {
  test('five acts, each as the tutorial says, for a reason; exit 0', async () => {
    const { code, output, errors } = await walk([])
    expect(errors).toBe('')
    expect(code).toBe(0)
    expect(output).toEndWith('\n200, 403, 200, 403, 200: 5 of 5 acts as the tutorial says.\n')
    for (const { act, title } of ACTS) expect(output).toContain(`\nAct ${act}. ${title}\n`)
    expect(output.match(/^ {2}did {5}/gm)).toHaveLength(ACTS.flatMap(({ changes }) => changes).length)
    expect(output).not.toContain('EXPECTED')
    expect(output.match(/^ {2}why {5}.*$/gm)).toEqual([
      expect.stringContaining('allUsers holds roles/run.invoker on'),
      expect.stringContaining('credential: expected one bearer token, got no Authorization header'),
      expect.stringContaining(
        '123456789012-compute@developer.gserviceaccount.com holds roles/editor on projects/',
      ),
      expect.stringContaining('binding: expected run.routes.invoke for serviceAccount:calling-service-sa@'),
      expect.stringContaining(
        'calling-service-sa@demo-project.iam.gserviceaccount.com holds roles/run.invoker on',
      ),
    ])
  })

  test('--json is one object an act, of seven members and no others', async () => {
    const run = await walk(['--json'])
    expect(run.errors).toBe('')
    expect(run.code).toBe(0)
    const outcomes = outcomesOf(run)
    expect(outcomes.map((outcome) => Object.keys(outcome))).toEqual(
      ACTS.map(() => ['act', 'title', 'status', 'body', 'expected', 'ok', 'why']),
    )
    expect(
      outcomes.map(({ act, title, status, body, expected, ok }) => ({
        act,
        title,
        status,
        body,
        expected,
        ok,
      })),
    ).toEqual(ACTS.map(({ act, title, expected }) => ({ act, title, ...expected, expected, ok: true })))
    for (const { why } of outcomes) expect(why).toMatch(/^\S.{20,}\.?$/)
  })

  test('an unknown target or flag is one line and exit 1', async () => {
    for (const flags of [['--target', 'moon'], ['--jsno']]) {
      const { code, output, errors } = await walk(flags)
      expect([code, output]).toEqual([1, ''])
      expect(errors).toMatch(/^error: [^\n]+\n/)
    }
  })
})

describe('what the acts do to an emulator', () => {
  const seen: string[] = []
  const outcomes: Outcome[] = []
  let emulator: Emulator
  let recorder: Server
  beforeAll(async () => {
    emulator = await startEmulator({ port: 0 })
    recorder = createServer((incoming, outgoing) => {
      pass(incoming, emulator.url, seen).then(
        (answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
          answer.pipe(outgoing)
        },
        (error: unknown) => outgoing.destroy(error instanceof Error ? error : undefined),
      )
    })
    await new Promise<void>((resolve) => recorder.listen(0, '127.0.0.1', () => resolve()))
    const address = recorder.address()
    const { project, region } = emulator.config
    const target = createEmulatedTarget({
      name: 'recorded',
      project,
      region,
      fetch: throughEmulator(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`),
      control: emulator.url,
    })
    for await (const outcome of runActs(target)) outcomes.push(outcome)
  })
  afterAll(async () => {
    recorder.closeAllConnections()
    recorder.close()
    await emulator.close()
  })

  test("every change is a REST call that gcloud makes, to Google's own hosts", () => {
    expect(outcomes.map(({ status, ok }) => [status, ok])).toEqual(
      ACTS.map(({ expected }) => [expected.status, true]),
    )
    const knative =
      'us-central1-run.googleapis.com/apis/serving.knative.dev/v1/namespaces/demo-project/services'
    const policies = 'run.googleapis.com/v1/projects/demo-project/locations/us-central1/services'
    // The requests that change something, each kind once.
    const changes = new Set(seen.filter((line) => !line.startsWith('GET ')))
    expect([...changes].sort()).toEqual(
      [
        'POST oauth2.googleapis.com/token',
        `DELETE ${knative}/sending-service`,
        `DELETE ${knative}/receiving-service`,
        `POST ${knative}`,
        `PUT ${knative}/sending-service`,
        `PUT ${knative}/receiving-service`,
        `POST ${policies}/sending-service:setIamPolicy`,
        `POST ${policies}/receiving-service:setIamPolicy`,
        'POST iam.googleapis.com/v1/projects/demo-project/serviceAccounts',
      ].sort(),
    )
    // A policy is read, with its etag, before it is written.
    const times = (suffix: string) => seen.filter((line) => line.endsWith(suffix)).length
    expect(times(':getIamPolicy')).toBe(times(':setIamPolicy'))
    expect(times('GET sending-service-123456789012.us-central1.run.app/')).toBe(5)
  })

  test("a sender never goes on using an earlier revision's token: each act's caller is that revision's account", () => {
    const callers = emulator.state.decisions
      .list()
      .filter(({ service }) => service === 'receiving-service')
      .map(({ caller }) => caller?.member)
    const own = 'serviceAccount:calling-service-sa@demo-project.iam.gserviceaccount.com'
    expect(callers).toEqual([
      undefined,
      undefined,
      'serviceAccount:123456789012-compute@developer.gserviceaccount.com',
      own,
      own,
    ])
  })
})

describe('on the compose target, which goes by name', () => {
  const folder = mkdtempSync(join(tmpdir(), 'invoker-walkthrough-'))
  const ca = join(folder, 'ca.pem')
  const liar = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: () => new Response('Hello from a liar!'),
  })
  let emulator: Emulator
  beforeAll(async () => {
    emulator = await startEmulator({
      port: 0,
      scheme: 'https',
      upstream: { 'receiving-service': liar.url.href, 'sending-service': liar.url.href },
    })
    writeFileSync(ca, await (await fetch(`${emulator.url}/_emulator/ca.pem`)).text())
  })
  afterAll(async () => {
    await Promise.all([emulator.close(), liar.stop(true)])
    rmSync(folder, { recursive: true })
  })

  test('acts that come out otherwise are not ok, and exit is 1', async () => {
    const variables = {
      https_proxy: emulator.url,
      no_proxy: '127.0.0.1',
      NODE_EXTRA_CA_CERTS: ca,
      EMULATOR_URL: emulator.url,
    }
    const json = await walk(['--target', 'compose', '--json'], variables)
    expect([json.code, json.errors]).toEqual([1, ''])
    expect(outcomesOf(json).map(({ body, ok }) => [body, ok])).toEqual(
      ACTS.map(() => ['Hello from a liar!', false]),
    )
    // A second time: what the first left is taken back.
    const told = await walk(['--target', 'compose'], variables)
    expect(told.code).toBe(1)
    expect(told.output).toMatch(/GET \/ {3}200 {3}EXPECTED 403\n/)
    expect(told.output).toMatch(/EXPECTED BODY "Response from receiving service: Hello/)
    expect(told.output).toEndWith('\n200, 200, 200, 200, 200: 0 of 5 acts as the tutorial says.\n')
  })

  test('where no emulator answers, it is one line and exit 1', async () => {
    const nowhere = 'http://127.0.0.1:9'
    const { code, output, errors } = await walk(['--target', 'compose', '--json'], {
      https_proxy: nowhere,
      EMULATOR_URL: nowhere,
    })
    expect([code, output]).toEqual([1, ''])
    expect(errors).toMatch(/^walkthrough: [^\n]+\n$/)
  })
})

/** Passes a request on to the emulator as its proxy would get it, and writes down its first line. */
function pass(incoming: IncomingMessage, to: string, seen: string[]): Promise<IncomingMessage> {
  const target = new URL(incoming.url ?? '')
  seen.push(`${incoming.method} ${target.host}${target.pathname}`)
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(to)
    const outgoing = request(
      { hostname, port, method: incoming.method, path: incoming.url, headers: incoming.headers },
      resolve,
    )
    outgoing.on('error', reject)
    incoming.pipe(outgoing)
  })
}
