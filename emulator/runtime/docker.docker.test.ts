import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type Docker from 'dockerode'
import { createDockerRuntime, type DockerOptions, type DockerRuntime } from './docker.ts'
import { BuildError, buildImage } from './docker-build.ts'
import { createBridge, LABEL, localImage, openDocker, ownLabels } from './docker-engine.ts'
import { type RevisionSpec, revisionOf, TestGoogle, TestLog, variables } from './runtime.fixture.ts'

const BASE = 'oven/bun:1.4.5-slim'
const docker = await openDocker()
const base = await localImage(docker, [BASE]).catch(() => undefined)
if (!base) console.log(`SKIPPED: the Docker runtime: no engine answers that has ${BASE}`)

/** What a container does is told by the variable MODE. */
const PROGRAM = `
import { connect } from 'node:net'
const { MODE, PORT } = process.env
console.log('begins')
process.on('SIGTERM', async () => {
  console.log('SIGTERM')
  if (MODE === 'stubborn') return
  finish?.('done')
  await server?.stop()
  process.exit(0)
})
const exchange = (host, port, request) => new Promise((resolve) => {
  let answer = ''
  const socket = connect({ host, port: Number(port), timeout: 500 }, () => socket.end(request))
  socket.on('data', (bytes) => { answer += bytes })
  socket.on('timeout', () => { socket.destroy(); resolve('unreachable') })
  socket.on('error', () => resolve('unreachable'))
  socket.on('end', () => resolve(answer.split('\\r\\n\\r\\n')[1]))
})
const get = (host, port) => exchange(host, port, 'GET /who HTTP/1.0\\r\\nHost: ' + host + '\\r\\n\\r\\n')
let finish
const routes = {
  '/env': () => JSON.stringify(process.env),
  '/args': () => JSON.stringify(process.argv.slice(2)),
  '/exit': () => process.exit(3),
  '/metadata': () => get(...process.env.GCE_METADATA_HOST.split(':')),
  '/by-name': () => get('metadata.google.internal', 80),
  '/to': (url) => get(url.searchParams.get('host'), url.searchParams.get('port')),
  '/slow': () => new Promise((resolve) => { finish = resolve; console.log('in hand') }),
}
if (MODE === 'exits') { console.error('what is missing'); process.exit(1) }
const server = MODE === 'silent' ? setInterval(() => {}, 1000) && undefined : Bun.serve({
  port: MODE === 'own port' ? 8080 : Number(PORT),
  idleTimeout: 0,
  fetch: async (request) => { const url = new URL(request.url); return new Response(await routes[url.pathname](url)) },
})
`
const DOCKERFILE = `FROM ${BASE}
COPY program.ts /program.ts
HEALTHCHECK CMD ["false"]
STOPSIGNAL SIGUSR1
ENTRYPOINT ["bun", "/program.ts"]
CMD ["from", "the image"]
`

const tag = `invoker-test-${randomBytes(4).toString('hex')}`
const tagged: string[] = []

async function build(name: string, files: Readonly<Record<string, string>>, lines: string[] = []) {
  const context = await new Bun.Archive({ ...files }, { compress: 'gzip' }).bytes()
  tagged.push(name)
  return buildImage({ docker, context, tag: name, onLine: (line) => lines.push(line) })
}

interface Rig {
  readonly runtime: DockerRuntime
  readonly log: TestLog
  readonly google: TestGoogle
  readonly told: string[]
  readonly owner: string
  close(): Promise<void>
}

const rigs: Rig[] = []

function rig(options: Partial<DockerOptions> = {}): Rig {
  const log = new TestLog()
  const google = new TestGoogle()
  const told: string[] = []
  const owner = `test-${randomBytes(4).toString('hex')}`
  const runtime = createDockerRuntime({
    docker,
    connectInstance: google.connect,
    onLog: log.add,
    owner,
    listenByName: (host) =>
      google.listen(
        { host },
        80,
        async ({ socket }) => (await runtime.instanceAt(socket.remoteAddress ?? ''))?.revision,
      ),
    hosts: () => ['metadata.google.internal'],
    log: (line) => told.push(line),
    stopTime: 1000,
    ...options,
  })
  const made = { runtime, log, google, told, owner, close: () => runtime.close() }
  rigs.push(made)
  return made
}

function spec(mode: string, more: RevisionSpec = {}) {
  return { image: tag, ...more, env: [...variables({ MODE: mode }), ...(more.env ?? [])] }
}

function containersOf(owner: string): Promise<Docker.ContainerInfo[]> {
  return docker.listContainers({ all: true, filters: { label: [`${LABEL.owner}=${owner}`] } })
}

const get = async (at: URL | undefined, path: string): Promise<string> =>
  (await fetch(new URL(path, at))).text()

afterAll(async () => {
  for (const name of tagged)
    await docker
      .getImage(name)
      .remove({ force: true })
      .catch(() => {})
})

describe.skipIf(!base)('the Docker runtime', () => {
  beforeAll(() => build(tag, { 'program.ts': PROGRAM, Dockerfile: DOCKERFILE }), 60_000)
  afterEach(async () => {
    await Promise.all(rigs.splice(0).map((one) => one.close()))
  })

  test('facts 1.8: a container gets the variables of the contract, and its own', async () => {
    const { runtime } = rig()
    const revision = revisionOf(
      'hello',
      spec('', { env: variables({ OWN: 'a=b c', PORT: '1' }), timeoutSeconds: 77 }),
    )
    expect(await runtime.owns(revision)).toBe(true)
    const result = await runtime.start(revision)
    const image = await localImage(docker, [tag])
    expect(result).toEqual({ ready: true, imageDigest: `${tag}@${image?.id}` })
    expect(JSON.parse(await get(runtime.upstream(revision), '/env'))).toMatchObject({
      PORT: '8080',
      K_SERVICE: 'hello',
      K_REVISION: 'hello-00001-abc',
      K_CONFIGURATION: 'hello',
      CLOUD_RUN_TIMEOUT_SECONDS: '77',
      OWN: 'a=b c',
    })
    expect(await get(runtime.upstream(revision), '/args')).toBe('["from","the image"]')
  })

  test('requests go to the port of the container, which may pay no heed to PORT', async () => {
    const { runtime } = rig()
    const chosen = revisionOf('chosen', spec('', { port: 9123 }))
    const fixed = revisionOf('fixed', spec('own port', { port: 8080 }))
    await Promise.all([runtime.start(chosen), runtime.start(fixed)])
    expect(runtime.upstream(chosen)?.port).toBe('9123')
    expect(JSON.parse(await get(runtime.upstream(chosen), '/env'))).toMatchObject({ PORT: '9123' })
    expect(await get(runtime.upstream(fixed), '/args')).toContain('image')
  })

  test('a command takes the place of the entry point and its arguments, arguments only of those', async () => {
    const { runtime } = rig()
    const args = revisionOf('args', spec('', { args: ['one', 'two words'] }))
    const command = revisionOf('command', spec('', { command: ['bun', 'run', '/program.ts', 'mine'] }))
    await Promise.all([runtime.start(args), runtime.start(command)])
    expect(await get(runtime.upstream(args), '/args')).toBe('["one","two words"]')
    expect(await get(runtime.upstream(command), '/args')).toBe('["mine"]')
  })

  test('each instance asks the metadata server as itself, by its variables and by name', async () => {
    const { runtime, told } = rig()
    const [a, b] = [revisionOf('a', spec('')), revisionOf('b', spec(''))]
    await Promise.all([runtime.start(a), runtime.start(b)])
    expect(await get(runtime.upstream(a), '/metadata')).toBe(a.name)
    expect(await get(runtime.upstream(b), '/metadata')).toBe(b.name)
    if (told.length > 0) return console.log(`SKIPPED: by name: ${told.join('; ')}`)
    expect(await get(runtime.upstream(a), '/by-name')).toBe(a.name)
    expect(await get(runtime.upstream(b), '/by-name')).toBe(b.name)
    expect(await runtime.instanceAt('192.0.2.1')).toBeUndefined()
  })

  test('an instance that asks by name before the engine has told its address is known all the same', async () => {
    const { runtime, log, told } = rig()
    // A shell asks sooner than the engine has answered that it has started it.
    const script =
      'exec 3<>/dev/tcp/metadata.google.internal/80; printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3; echo "I am $(tail -n 1 <&3)"'
    await runtime.start(revisionOf('early', spec('', { command: ['bash', '-c', script] })))
    if (told.length > 0) return console.log(`SKIPPED: by name: ${told.join('; ')}`)
    expect(log.texts).toContain('I am early-00001-abc')
  })

  test('where port 80 may not be opened, the log says so once', async () => {
    const { runtime, told } = rig({ listenByName: () => Promise.reject(new Error('EACCES')) })
    const [a, b] = [revisionOf('a', spec('')), revisionOf('b', spec(''))]
    await Promise.all([runtime.start(a), runtime.start(b)])
    expect(told).toHaveLength(1)
    expect(told[0]).toContain('EACCES')
    expect(await get(runtime.upstream(a), '/metadata')).toBe(a.name)
  })

  test('instances do not reach each other past the front door', async () => {
    const { runtime } = rig()
    const [a, b] = [revisionOf('a', spec('')), revisionOf('b', spec(''))]
    await Promise.all([runtime.start(a), runtime.start(b)])
    const there = runtime.upstream(b)
    expect(await get(runtime.upstream(a), `/to?host=${there?.hostname}&port=${there?.port}`)).toBe(
      'unreachable',
    )
  })

  test('facts 6.9: an image that is not there', async () => {
    const { runtime } = rig()
    const revision = revisionOf('none', { image: 'gcr.io/demo-project/not-there' })
    expect(await runtime.owns(revision)).toBe(false)
    expect(await runtime.start(revision)).toEqual({
      ready: false,
      reason: 'ContainerMissing',
      message:
        "Revision 'none-00001-abc' is not ready and cannot serve traffic. Image 'gcr.io/demo-project/not-there' not found.",
    })
  })

  test('facts 6.9: a container that does not listen in time', async () => {
    const { runtime, log, owner, google } = rig({ startTime: 200 })
    const revision = revisionOf('silent', spec('silent', { port: 8081 }))
    const result = await runtime.start(revision)
    expect(result.ready ? '' : result.message).toBe(
      "Revision 'silent-00001-abc' is not ready and cannot serve traffic. The user-provided container failed to start and listen on the port defined provided by the PORT=8081 environment variable within the allocated timeout. This can happen when the container port is misconfigured or if the timeout is too short. The health check timeout can be extended. Logs for this revision might contain more information.",
    )
    expect(log.lines).toContainEqual({
      revision: 'silent-00001-abc',
      text: 'Default STARTUP TCP probe failed 1 time consecutively for container "silent-1" on port 8081. The instance was not started. Connection failed with status DEADLINE_EXCEEDED',
      log: 'varlog/system',
      severity: 'ERROR',
    })
    expect(runtime.upstream(revision)).toBeUndefined()
    expect(await containersOf(owner)).toHaveLength(0)
    expect(google.open.size).toBe(0)
  })

  test('facts 6.9: a container that ends before it listens: its last words come first', async () => {
    const { runtime, log, owner } = rig()
    const result = await runtime.start(revisionOf('exits', spec('exits')))
    expect(result).toMatchObject({ ready: false, reason: 'HealthCheckContainerError' })
    // Which of two streams comes first is nobody's promise.
    expect(log.lines.slice(0, -2)).toContainEqual(
      expect.objectContaining({ text: 'what is missing', log: 'stderr' }),
    )
    expect(log.lines.slice(-2)).toMatchObject([
      { text: 'Container called exit(1).', log: 'varlog/system' },
      { text: expect.stringContaining('Default STARTUP TCP probe failed 1 time'), log: 'varlog/system' },
    ])
    expect(await containersOf(owner)).toHaveLength(0)
  })

  test('a command that is not in the image says so in the log', async () => {
    const { runtime, log } = rig()
    const result = await runtime.start(revisionOf('wrong', spec('', { command: ['/no/such/program'] })))
    expect(result).toMatchObject({ ready: false, reason: 'HealthCheckContainerError' })
    expect(log.texts.join()).toContain('/no/such/program')
  })

  test('a container that crashes is started anew, and is never served from where it was', async () => {
    const { runtime, log, owner } = rig()
    const revision = revisionOf('crash', spec(''))
    await runtime.start(revision)
    const before = runtime.upstream(revision)
    await get(before, '/exit').catch(() => {})
    await log.until('Container called exit(3).')
    expect(runtime.upstream(revision)?.port).toBe('0')
    await log.until('begins', 2)
    while (runtime.upstream(revision)?.port === '0') await Bun.sleep(5)
    expect(await get(runtime.upstream(revision), '/metadata')).toBe(revision.name)
    for (const { Id } of await containersOf(owner)) await docker.getContainer(Id).kill({ signal: 'SIGKILL' })
    await log.until('Container terminated on signal 9.')
  })

  test('facts 1.8: SIGTERM lets a request in hand be answered', async () => {
    const { runtime, log, owner, google } = rig({ stopTime: 10_000 })
    const revision = revisionOf('drains', spec(''))
    await runtime.start(revision)
    const slow = get(runtime.upstream(revision), '/slow')
    await log.until('in hand')
    await runtime.stop(revision)
    expect(await slow).toBe('done')
    expect(await containersOf(owner)).toHaveLength(0)
    expect(google.open.size).toBe(0)
    expect(runtime.upstream(revision)).toBeUndefined()
    expect(log.texts).not.toContain('Container called exit(0).')
  })

  test('facts 1.8: SIGKILL for one that does not heed SIGTERM', async () => {
    const { runtime, log, owner } = rig({ stopTime: 1000 })
    const revision = revisionOf('stubborn', spec('stubborn'))
    await runtime.start(revision)
    await runtime.stop(revision)
    expect(log.texts).toContain('SIGTERM')
    expect(await containersOf(owner)).toHaveLength(0)
  })

  test('closing ends what is still starting, and takes the network away', async () => {
    const { runtime, log, owner } = rig()
    const starting = runtime.start(revisionOf('silent', spec('silent')))
    await log.until('begins')
    await runtime.close()
    expect((await starting).ready).toBe(false)
    expect(await containersOf(owner)).toHaveLength(0)
    const networks = await docker.listNetworks({ filters: { label: [`${LABEL.owner}=${owner}`] } })
    expect(networks).toHaveLength(0)
  })

  test('a revision stays with the image that it was deployed with', async () => {
    const { runtime } = rig()
    const moving = `${tag}-moving`
    const files = { 'program.ts': PROGRAM, Dockerfile: DOCKERFILE }
    const { digest } = await build(moving, { ...files, Dockerfile: `${DOCKERFILE}ENV VERSION=1\n` })
    await build(moving, { ...files, Dockerfile: `${DOCKERFILE}ENV VERSION=2\n` })
    const kept = revisionOf('kept', spec('', { image: moving, imageDigest: digest }))
    const fresh = revisionOf('fresh', spec('', { image: moving }))
    const pinned = revisionOf('pinned', spec('', { image: digest }))
    const all = [kept, fresh, pinned]
    const results = await Promise.all(all.map((revision) => runtime.start(revision)))
    const versions = await Promise.all(all.map((revision) => get(runtime.upstream(revision), '/env')))
    expect(versions.map((text) => JSON.parse(text).VERSION)).toEqual(['1', '2', '1'])
    expect(results[0]).toEqual({ ready: true, imageDigest: digest })
    await runtime.close()
    await docker.getImage(digest.split('@')[1] ?? '').remove({ force: true })
  })

  test('what a crash has left is removed, and nothing of an emulator that lives', async () => {
    const { runtime, owner } = rig()
    const gone = Bun.spawn(['true'])
    await gone.exited
    const dead = `dead-${owner}`
    const living = `living-${owner}`
    const labels: [string, Record<string, string>][] = [
      [owner, { ...ownLabels(owner), [LABEL.machine]: 'another', [LABEL.pid]: '1' }],
      [dead, { ...ownLabels(dead), [LABEL.pid]: String(gone.pid) }],
      [living, ownLabels(living)],
    ]
    for (const [, Labels] of labels) await docker.createContainer({ Image: tag, Labels })
    const bridge = await createBridge(docker, owner)
    expect(await runtime.removeLeftovers()).toBeGreaterThanOrEqual(2)
    expect(await containersOf(owner)).toHaveLength(0)
    expect(await containersOf(dead)).toHaveLength(0)
    expect(
      await docker
        .getNetwork(bridge.networkId)
        .inspect()
        .catch(() => 'gone'),
    ).toBe('gone')
    const left = await containersOf(living)
    expect(left).toHaveLength(1)
    expect(left[0]?.Labels[LABEL.machine]).toBe(hostname())
    await docker.getContainer(left[0]?.Id ?? '').remove()
  })

  test('through published ports: the engine takes connections before the container does', async () => {
    const { runtime, log, told } = rig({ direct: false, startTime: 1500 })
    const silent = await runtime.start(revisionOf('silent', spec('silent')))
    expect(silent.ready).toBe(false)
    const revision = revisionOf('hello', spec(''))
    expect(await runtime.start(revision)).toMatchObject({ ready: true })
    expect(runtime.upstream(revision)?.hostname).toBe('127.0.0.1')
    expect(JSON.parse(await get(runtime.upstream(revision), '/env')).GCE_METADATA_HOST).toStartWith(
      'host.docker.internal:',
    )
    expect(told).toHaveLength(1)
    expect(log.texts).toContain('begins')
  })

  test('an engine that does not answer owns nothing', async () => {
    const { default: Engine } = await import('dockerode')
    const { runtime } = rig({ docker: new Engine({ socketPath: '/nonexistent/docker.sock' }) })
    expect(await runtime.owns(revisionOf('hello', spec('')))).toBe(false)
    expect(await runtime.removeLeftovers()).toBe(0)
  })
})

describe.skipIf(!base)('building an image', () => {
  test('sources become a tagged image; the log says each step', async () => {
    const lines: string[] = []
    const salt = randomBytes(8).toString('hex')
    const name = `gcr.io/demo-project/${tag}`
    const Dockerfile = `FROM ${BASE}\nRUN --mount=type=cache,target=/cache echo höhe ${salt}; printf unended\nCOPY a b /\n`
    const built = await build(name, { Dockerfile, a: 'A', b: 'B' }, lines)
    expect(built.digest).toBe(`${name}@${built.imageId}`)
    expect((await docker.getImage(name).inspect()).Id).toBe(built.imageId)
    const run = lines.find((line) => line.includes('RUN --mount'))
    const number = /^#\d+/.exec(run ?? '')?.[0]
    expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^${number} \\d+\\.\\d{3} höhe ${salt}$`)))
    expect(lines).toContain(`${number} unended`)
    expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^${number} DONE \\d+\\.\\ds$`)))
  })

  test('a step that fails is the reason', async () => {
    const lines: string[] = []
    const failing = build(`${tag}-fails`, { Dockerfile: `FROM ${BASE}\nRUN echo bad; exit 7\n` }, lines)
    const error = await failing.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(BuildError)
    expect(error).toHaveProperty('message', expect.stringContaining('exit code: 7'))
    expect(lines.at(-1)).toContain('ERROR: ')
  })

  test('a tag that is none is refused by the engine', async () => {
    const error = await build('UPPER', { Dockerfile: `FROM ${BASE}\n` }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(BuildError)
    expect(error).toHaveProperty('message', expect.stringMatching(/^invalid reference format/))
  })

  test('a build that is cancelled ends at once', async () => {
    const cancel = new AbortController()
    const context = await new Bun.Archive({
      Dockerfile: `FROM ${BASE}\nRUN echo ${Math.random()}; sleep 60\n`,
    }).bytes()
    const building = buildImage({
      docker,
      context,
      tag: `${tag}-cancelled`,
      onLine: (line) => {
        if (/#\d+ 0\./.test(line)) cancel.abort(new Error('cancelled by the caller'))
      },
      signal: cancel.signal,
    })
    expect(await building.catch((reason: unknown) => String(reason))).toBe('Error: cancelled by the caller')
  })
})
