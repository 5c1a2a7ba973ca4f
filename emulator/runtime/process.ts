/** Revisions that run as local processes: an image name stands for a command. */
import { createHash } from 'node:crypto'
import { createServer } from 'node:net'
import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { serviceKey } from '../state/names.ts'
import type { Revision } from '../state/resources.ts'
import {
  containerEnvironment,
  didNotListen,
  type Ended,
  imageNotFound,
  ingressContainer,
  instanceOf,
  STOP_TIME,
} from './contract.ts'
import { imageName } from './image-name.ts'
import { accepts, type Instance, keepRunning, makeWay, type Run } from './instance.ts'
import { readLines } from './lines.ts'
import { openLedger, type ProcessLedger } from './process-ledger.ts'
import type { ConnectInstance, LogLine, OnLog, Runtime } from './runtime.ts'

export interface ProcessOptions {
  /** Commands by image name: a full path without tag, or its last part. A string is for the shell. */
  readonly images: Readonly<Record<string, string | readonly string[]>>
  readonly connectInstance: ConnectInstance
  readonly onLog: OnLog
  /** How long a process may take to listen. Milliseconds, default 240 s. */
  readonly startTime?: number
  /** From SIGTERM to SIGKILL. Milliseconds, default 10 s. */
  readonly stopTime?: number
}

export interface ProcessRuntime extends Runtime {
  /** True when a command is known for the image that this revision runs. */
  owns(revision: Pick<Revision, 'template'>): boolean
}

export function createProcessRuntime(options: ProcessOptions): ProcessRuntime {
  const { stopTime = STOP_TIME } = options
  const commands = new Map(Object.entries(options.images))
  const instances = new Map<string, Instance>()
  let ledger: ProcessLedger | undefined
  let closed = false

  const openOnce = () => (ledger ??= openLedger({ end: (pid) => endGroup(pid, stopTime) }))

  const commandFor = (image: string) => {
    const name = imageName(image)
    return commands.get(image) ?? commands.get(name) ?? commands.get(name.slice(name.lastIndexOf('/') + 1))
  }

  return {
    owns: ({ template }) => commandFor(ingressContainer(template).image) !== undefined,

    async start(revision) {
      if (closed) throw new Error('the process runtime is closed')
      const { image } = ingressContainer(revision.template)
      const command = commandFor(image)
      if (command === undefined) return imageNotFound(revision)
      const key = serviceKey(revision)
      const argv = typeof command === 'string' ? ['/bin/sh', '-c', command] : command
      const processes = openOnce()
      const instance = startInstance(options, { revision, argv, processes, before: instances.get(key) })
      instances.set(key, instance)
      if (await instance.listens) return { ready: true, imageDigest: digestOf(image, command) }
      if (instances.get(key) === instance) instances.delete(key)
      await instance.stop()
      return didNotListen(revision)
    },

    async stop(revision) {
      const key = serviceKey(revision)
      const instance = instances.get(key)
      await instance?.stop()
      if (instances.get(key) === instance) instances.delete(key)
    },

    // Between a crash and the next start, too: its port stays its own.
    upstream: (revision) => instances.get(serviceKey(revision))?.lastUrl,
    // Processes share loopback: the listener tells them apart, not the address.
    instanceAt: () => Promise.resolve(undefined),

    async close() {
      closed = true
      await Promise.all([...instances.values()].map((instance) => instance.stop()))
      instances.clear()
      ledger?.close()
    },
  }
}

interface Beginning {
  readonly revision: Revision
  readonly argv: readonly string[]
  readonly processes: ProcessLedger
  /** The instance that this one takes the place of. */
  readonly before: Instance | undefined
}

function startInstance(
  { connectInstance, onLog, startTime, stopTime = STOP_TIME }: ProcessOptions,
  { revision, argv, processes, before }: Beginning,
): Instance {
  const instance = instanceOf(revision)
  const way = makeWay(before)
  const onLine = (line: LogLine) => onLog(instance, line)
  return keepRunning({
    revision,
    onLine,
    ...(startTime === undefined ? {} : { startTime }),
    prepare: async () => {
      await way.first
      const port = await freePort()
      return { port, connection: await connectInstance(instance) }
    },
    launch: async ({ connection, port }) => {
      const own = containerEnvironment(revision, connection.env, port)
      const env = { ...inherited(), HOME: processes.home, ...own }
      return spawn({ argv, env, port, stopTime, onLine, processes })
    },
    onEnd: async ({ connection, port }) => {
      taken.delete(port)
      await Promise.all([connection.close(), way.last])
    },
  })
}

interface Launch {
  readonly argv: readonly string[]
  readonly env: Record<string, string>
  readonly port: number
  readonly stopTime: number
  readonly onLine: (line: LogLine) => void
  readonly processes: ProcessLedger
}

/** How long the last lines of a process that has ended may take: a child that outlives it may hold its output open. Milliseconds. */
const LAST_LINES = 250

/** @throws when there is no such program */
function spawn({ argv, env, port, stopTime, onLine, processes }: Launch): Run {
  // A group of its own, so that a shell's children end with it.
  const child = Bun.spawn([...argv], { env, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe', detached: true })
  processes.add(child.pid)
  const lines = Promise.all(
    (['stdout', 'stderr'] as const).map((log) =>
      readLines(child[log], (text) => onLine({ text, log, severity: 'DEFAULT' })),
    ),
  )
  const ended = (async (): Promise<Ended> => {
    await child.exited
    await Promise.race([lines, sleep(LAST_LINES)])
    const { signalCode } = child
    return typeof signalCode === 'string'
      ? { signal: constants.signals[signalCode] }
      : { exitCode: child.exitCode ?? 0 }
  })()
  let stopped: Promise<void> | undefined
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    ended,
    accepts: () => accepts('127.0.0.1', port),
    stop() {
      stopped ??= endGroup(child.pid, stopTime).then(async () => {
        await ended
        processes.remove(child.pid)
      })
      return stopped
    },
  }
}

/** Between two looks whether a group is gone. Milliseconds. */
const LOOK = 10

/** Resolves when nothing of a process group runs any more: a shell may be gone before what it has started. */
export async function endGroup(pid: number, stopTime: number): Promise<void> {
  if (!signalGroup(pid, 'SIGTERM')) return
  const until = performance.now() + stopTime
  while (signalGroup(pid, 0)) {
    if (performance.now() > until) {
      signalGroup(pid, 'SIGKILL')
      return
    }
    await sleep(LOOK)
  }
}

/** False when there is no such group. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal)
  } catch {
    return false
  }
}

/** What a program needs of this machine, and nothing that could be a credential. */
function inherited(): Record<string, string> {
  const kept = ['PATH', 'LANG', 'TZ', 'TMPDIR', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR']
  return Object.fromEntries(kept.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])))
}

/** Ports that were given to instances: free again only when those have ended. */
const taken = new Set<number>()

async function freePort(): Promise<number> {
  for (;;) {
    const port = await systemsChoice()
    // An instance that is still starting does not hold its port yet, so the system would give it away twice.
    if (taken.has(port)) continue
    taken.add(port)
    return port
  }
}

function systemsChoice(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no free port')),
      )
    })
  })
}

/** A process has no image: its digest stands for the name and the command. */
function digestOf(image: string, command: string | readonly string[]): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([image, command]))
    .digest('hex')
  return `${imageName(image)}@sha256:${hash}`
}
