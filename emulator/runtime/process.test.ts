import { afterEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createProcessRuntime, type ProcessOptions, type ProcessRuntime } from './process.ts'
import { revisionOf, TestGoogle, TestLog, variables } from './runtime.fixture.ts'

const folder = mkdtempSync(join(tmpdir(), 'invoker-test-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const program = join(folder, 'program.ts')
await Bun.write(
  program,
  `
const { MODE, PORT, GCE_METADATA_HOST } = process.env
console.log('begins')
if (MODE === 'exits') { console.error('what is missing'); process.exit(1) }
let finish
process.on('SIGTERM', async () => {
  console.log('SIGTERM')
  if (MODE === 'stubborn') return
  await Bun.sleep(300) // what is in hand takes its time
  // What Google knows is still to be had: the instance is not gone yet.
  finish?.(await (await fetch('http://' + GCE_METADATA_HOST)).text())
  await server?.stop()
  process.exit(0)
})
const routes = {
  '/env': () => JSON.stringify(process.env),
  '/exit': () => { console.error('the last words'); process.exit(3) },
  '/abort': () => process.kill(process.pid, 'SIGKILL'),
  '/metadata': async () => (await fetch('http://' + GCE_METADATA_HOST)).text(),
  '/slow': () => new Promise((resolve) => { finish = resolve; console.log('in hand') }),
}
const server = MODE === 'silent' ? setInterval(() => {}, 1000) && undefined : Bun.serve({
  hostname: '127.0.0.1', port: Number(PORT), idleTimeout: 0,
  fetch: async (request) => new Response(await routes[new URL(request.url).pathname]()),
})
`,
)

const IMAGE = 'gcr.io/demo-project/hello'
const run = [process.execPath, program]

interface Rig {
  readonly runtime: ProcessRuntime
  readonly log: TestLog
  readonly google: TestGoogle
}

const rigs: Rig[] = []

function rig(options: Partial<ProcessOptions> = {}): Rig {
  const log = new TestLog()
  const google = new TestGoogle()
  const runtime = createProcessRuntime({
    images: { hello: run },
    connectInstance: google.connect,
    onLog: log.add,
    ...options,
  })
  const made = { runtime, log, google }
  rigs.push(made)
  return made
}

function revision(mode: string, spec: Parameters<typeof revisionOf>[1] = {}) {
  return revisionOf('hello', { image: IMAGE, env: variables({ MODE: mode }), ...spec })
}

const get = async (at: URL | undefined, path: string): Promise<string> =>
  (await fetch(new URL(path, at))).text()

afterEach(async () => {
  await Promise.all(rigs.splice(0).map(({ runtime }) => runtime.close()))
})

describe('which images are commands', () => {
  const owns = (image: string, images: ProcessOptions['images']) =>
    rig({ images }).runtime.owns(revisionOf('hello', { image }))

  test.each([
    ['hello', true],
    ['hello:latest', true],
    ['gcr.io/demo-project/hello', true],
    ['us-docker.pkg.dev/demo-project/repository/hello:v1', true],
    [`gcr.io/demo-project/hello@sha256:${'0'.repeat(64)}`, true],
    ['localhost:5000/hello', true],
    ['gcr.io/demo-project/hello-2', false],
    ['gcr.io/hello/other', false],
  ])('%s: %p, where hello is one', (image, expected) => {
    expect(owns(image, { hello: run })).toBe(expected)
  })

  test('a full path names no other image of the same last part', () => {
    const images = { 'gcr.io/a/hello': run }
    expect(owns('gcr.io/a/hello:v2', images)).toBe(true)
    expect(owns('gcr.io/b/hello', images)).toBe(false)
  })

  test('what every object has is not an image', () => {
    expect(owns('gcr.io/demo-project/constructor', { hello: run })).toBe(false)
  })
})

describe('a process', () => {
  test('facts 1.8: gets the variables of the contract and its own, and nothing that is the developer’s', async () => {
    const before = process.env.GOOGLE_APPLICATION_CREDENTIALS
    process.env.GOOGLE_APPLICATION_CREDENTIALS = '/home/developer/key.json'
    const { runtime } = rig()
    const hello = revision('', {
      env: variables({ OWN: 'a=b c', PORT: '1' }),
      timeoutSeconds: 77,
      port: 9000,
    })
    const result = await runtime.start(hello)
    if (before === undefined) delete process.env.GOOGLE_APPLICATION_CREDENTIALS
    else process.env.GOOGLE_APPLICATION_CREDENTIALS = before
    expect(result).toEqual({
      ready: true,
      imageDigest: expect.stringMatching(/^gcr\.io\/demo-project\/hello@sha256:[0-9a-f]{64}$/),
    })
    const env: Record<string, string> = JSON.parse(await get(runtime.upstream(hello), '/env'))
    expect(env).toMatchObject({
      PORT: String(runtime.upstream(hello)?.port),
      K_SERVICE: 'hello',
      K_REVISION: 'hello-00001-abc',
      K_CONFIGURATION: 'hello',
      CLOUD_RUN_TIMEOUT_SECONDS: '77',
      OWN: 'a=b c',
    })
    expect(env).not.toHaveProperty('GOOGLE_APPLICATION_CREDENTIALS')
    expect(env.HOME).not.toBe(process.env.HOME)
    expect(existsSync(env.HOME ?? '')).toBe(true)
    await runtime.close()
    expect(existsSync(env.HOME ?? '')).toBe(false)
  })

  test('each asks the metadata server as itself', async () => {
    const { runtime } = rig()
    const [one, two] = [revision(''), revision('', { revision: 'hello-00002-def' })]
    await Promise.all([runtime.start(one), runtime.start(two)])
    expect(await get(runtime.upstream(one), '/metadata')).toBe('hello-00001-abc')
    expect(await get(runtime.upstream(two), '/metadata')).toBe('hello-00002-def')
  })

  test('facts 6.9: that does not listen in time', async () => {
    const { runtime, log, google } = rig({ startTime: 300 })
    const silent = revision('silent', { port: 8081 })
    expect(await runtime.start(silent)).toEqual({
      ready: false,
      reason: 'HealthCheckContainerError',
      message:
        "Revision 'hello-00001-abc' is not ready and cannot serve traffic. The user-provided container failed to start and listen on the port defined provided by the PORT=8081 environment variable within the allocated timeout. This can happen when the container port is misconfigured or if the timeout is too short. The health check timeout can be extended. Logs for this revision might contain more information.",
    })
    expect(log.lines).toContainEqual({
      revision: 'hello-00001-abc',
      text: 'Default STARTUP TCP probe failed 1 time consecutively for container "hello-1" on port 8081. The instance was not started. Connection failed with status DEADLINE_EXCEEDED',
      log: 'varlog/system',
      severity: 'ERROR',
    })
    expect(runtime.upstream(silent)).toBeUndefined()
    expect(google.open.size).toBe(0)
  })

  test('facts 6.9: that ends before it listens: its last words come first', async () => {
    const { runtime, log, google } = rig()
    expect(await runtime.start(revision('exits', { name: 'worker' }))).toMatchObject({ ready: false })
    // Which of two streams comes first is nobody's promise.
    expect(log.lines.slice(0, -2)).toContainEqual(
      expect.objectContaining({ text: 'what is missing', log: 'stderr', severity: 'DEFAULT' }),
    )
    expect(log.lines.slice(-2)).toMatchObject([
      { text: 'Container called exit(1).', log: 'varlog/system', severity: 'WARNING' },
      { text: expect.stringContaining('container "worker" on port 8080'), log: 'varlog/system' },
    ])
    expect(google.open.size).toBe(0)
  })

  test('all that it has written is in the log before its end is', async () => {
    const { runtime, log } = rig({ images: { hello: 'seq 1 200000; exit 4' } })
    await runtime.start(revision(''))
    expect(log.texts.slice(199_999, 200_001)).toEqual(['200000', 'Container called exit(4).'])
  })

  test('a command that does not exist is the revision’s failure, not a fault', async () => {
    const { runtime, log, google } = rig({ images: { hello: ['/no/such/program'] } })
    expect(await runtime.start(revision(''))).toMatchObject({
      ready: false,
      reason: 'HealthCheckContainerError',
    })
    expect(log.texts.join()).toContain('/no/such/program')
    expect(google.open.size).toBe(0)
  })

  test('a listener that cannot be opened is a fault', async () => {
    const { runtime } = rig({ connectInstance: () => Promise.reject(new Error('no more ports')) })
    await expect(runtime.start(revision(''))).rejects.toThrow('no more ports')
  })

  test('that crashes is started anew at the same place', async () => {
    const { runtime, log } = rig()
    const hello = revision('')
    await runtime.start(hello)
    const at = runtime.upstream(hello)
    await get(at, '/exit').catch(() => {})
    await log.until('begins', 2)
    expect(log.texts).toEqual(['begins', 'the last words', 'Container called exit(3).', 'begins'])
    expect(runtime.upstream(hello)?.href).toBe(at?.href)
    while ((await get(at, '/metadata').catch(() => '')) === '') await Bun.sleep(5)
    await get(at, '/abort').catch(() => {})
    await log.until('Container terminated on signal 9.')
    await runtime.stop(hello)
    expect(log.texts.filter((text) => text === 'begins')).toHaveLength(2)
  })

  test.each([
    ['alone', run],
    ['behind a shell', `cd / && "${process.execPath}" "${program}"; true`],
  ])(
    'facts 1.8: SIGTERM lets a request in hand be answered, Google still at hand: %s',
    async (_, command) => {
      const { runtime, log, google } = rig({ images: { hello: command } })
      const hello = revision('')
      await runtime.start(hello)
      const slow = get(runtime.upstream(hello), '/slow')
      await log.until('in hand')
      await runtime.stop(hello)
      expect(await slow).toBe('hello-00001-abc')
      expect(runtime.upstream(hello)).toBeUndefined()
      expect(google.open.size).toBe(0)
      expect(log.texts.join()).not.toContain('Container called exit')
    },
  )

  test('facts 1.8: SIGKILL for one that does not heed SIGTERM', async () => {
    const { runtime, log } = rig({ stopTime: 200 })
    const hello = revision('stubborn')
    await runtime.start(hello)
    const at = runtime.upstream(hello)
    await runtime.stop(hello)
    expect(log.texts).toContain('SIGTERM')
    await expect(get(at, '/env')).rejects.toThrow()
  })

  test('a revision that is started again while it ends is up at once', async () => {
    const { runtime, log, google } = rig({ stopTime: 3000 })
    const hello = revision('stubborn')
    await runtime.start(hello)
    const stopping = runtime.stop(hello)
    const began = performance.now()
    expect((await runtime.start(hello)).ready).toBe(true)
    expect(performance.now() - began).toBeLessThan(2500)
    await stopping
    // What ended was the earlier one.
    expect(await get(runtime.upstream(hello), '/metadata')).toBe('hello-00001-abc')
    await runtime.stop(hello)
    expect(google.open.size).toBe(0)
    expect(log.texts.filter((text) => text === 'begins')).toHaveLength(2)
  })

  test('a revision that is started again takes the place of its earlier self', async () => {
    const { runtime, log, google } = rig()
    const hello = revision('')
    await runtime.start(hello)
    await runtime.start(hello)
    expect(log.texts).toEqual(['begins', 'SIGTERM', 'begins'])
    expect(google.open.size).toBe(1)
  })

  test('closing ends what is still starting', async () => {
    const { runtime, log, google } = rig()
    const starting = runtime.start(revision('silent'))
    await log.until('begins')
    await runtime.close()
    expect((await starting).ready).toBe(false)
    expect(google.open.size).toBe(0)
    await expect(runtime.start(revision(''))).rejects.toThrow('closed')
  })

  test('closing before a process is there leaves none', async () => {
    const { runtime, log, google } = rig()
    const starting = runtime.start(revision(''))
    await runtime.close()
    expect((await starting).ready).toBe(false)
    expect(log.texts).not.toContain('begins')
    expect(google.open.size).toBe(0)
  })
})
