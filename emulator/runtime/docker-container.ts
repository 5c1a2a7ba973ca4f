/** One container: started with what Cloud Run would give it, its output followed, and ended. */
import { connect } from 'node:net'
import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type Docker from 'dockerode'
import type { Container } from '../state/resources.ts'
import type { Ended } from './contract.ts'
import { isRefusal, orNothing, reasonOf, removeContainer } from './docker-engine.ts'
import { accepts, type Run } from './instance.ts'
import { readLines } from './lines.ts'
import type { LogLine } from './runtime.ts'

export interface ContainerSpec {
  /** Id of the image. */
  readonly image: string
  readonly container: Pick<Container, 'command' | 'args'>
  readonly name: string
  readonly env: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly networkId: string
  /** `NAME:ADDRESS`. */
  readonly extraHosts: readonly string[]
  /** Folders of this machine that it reads, at the same path. */
  readonly folders: readonly string[]
  readonly port: number
  /** Whether it is reached at its own address; otherwise a port of this machine's loopback is published for it. */
  readonly direct: boolean
  /** From SIGTERM to SIGKILL. Milliseconds. */
  readonly stopTime: number
  readonly onLine: (line: LogLine) => void
}

export interface ContainerRun extends Run {
  /** Its address on the network; undefined when it has ended already. */
  readonly address: string | undefined
}

/** A port on which nothing can ever listen. */
export const NOWHERE = new URL('http://127.0.0.1:0')

/** @throws when the engine cannot make or start it */
export async function runContainer(docker: Docker, spec: ContainerSpec): Promise<ContainerRun> {
  const container = await docker.createContainer(creation(spec))
  try {
    // Both before it starts, so that neither its first line nor its end can be missed.
    const output = await container.attach({ stream: true, stdout: true, stderr: true })
    const lines = followLines(docker, output, spec.onLine)
    const firstWait = container.wait({ condition: 'next-exit' })
    firstWait.catch(() => {})
    await container.start()
    const { NetworkSettings } = await container.inspect()
    const address =
      Object.values(NetworkSettings.Networks).find(({ IPAddress }) => IPAddress)?.IPAddress || undefined
    const published = NetworkSettings.Ports?.[`${spec.port}/tcp`]?.[0]?.HostPort
    return started(container, spec, { lines, firstWait, address, published })
  } catch (error) {
    await removeContainer(container).catch(() => {})
    if (isRefusal(error)) throw new Error(reasonOf(error), { cause: error })
    throw error
  }
}

function creation(spec: ContainerSpec): Docker.ContainerCreateOptions {
  const { command, args } = spec.container
  const port = `${spec.port}/tcp`
  return {
    name: spec.name,
    Image: spec.image,
    // As in Kubernetes: a command takes the place of the image's entry point and of its arguments.
    ...(command.length ? { Entrypoint: [...command] } : {}),
    ...(args.length ? { Cmd: [...args] } : {}),
    Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
    Labels: { ...spec.labels },
    // Cloud Run pays no heed to what an image says of these two.
    Healthcheck: { Test: ['NONE'] },
    StopSignal: 'SIGTERM',
    ...(spec.direct ? {} : { ExposedPorts: { [port]: {} } }),
    HostConfig: {
      NetworkMode: spec.networkId,
      ExtraHosts: [...spec.extraHosts],
      Binds: spec.folders.map((folder) => `${folder}:${folder}:ro`),
      ...(spec.direct ? {} : { PortBindings: { [port]: [{ HostIp: '127.0.0.1', HostPort: '' }] } }),
    },
  }
}

interface Started {
  readonly lines: Promise<unknown>
  readonly firstWait: Promise<unknown>
  readonly address: string | undefined
  readonly published: string | undefined
}

/** How long the last lines of a container that has ended may take. Milliseconds. */
const LAST_LINES = 1000

function started(container: Docker.Container, spec: ContainerSpec, found: Started): ContainerRun {
  const { lines, firstWait, address, published } = found
  const url = urlOf(spec, found)
  let stopping = false
  const ended = (async (): Promise<Ended> => {
    const code = await exitCode(container, firstWait, () => stopping)
    await Promise.race([lines, sleep(LAST_LINES)])
    return code > SIGNALLED && code < SIGNALLED + 65 ? { signal: code - SIGNALLED } : { exitCode: code }
  })()
  const end = async () => {
    stopping = true
    await orNothing(container.stop({ t: Math.ceil(spec.stopTime / 1000) }))
    await removeContainer(container)
    await ended
  }
  let stopped: Promise<void> | undefined
  return {
    url,
    address,
    ended,
    accepts() {
      if (spec.direct) return address ? accepts(address, spec.port) : Promise.resolve(false)
      return published ? answersThrough(Number(published)) : Promise.resolve(false)
    },
    stop() {
      stopped ??= end()
      return stopped
    },
  }
}

function urlOf({ direct, port }: ContainerSpec, { address, published }: Started): URL {
  if (direct) return address ? new URL(`http://${address}:${port}`) : NOWHERE
  return published ? new URL(`http://127.0.0.1:${published}`) : NOWHERE
}

/** The engine reports 128 and the signal's number for a container that a signal has ended. */
const SIGNALLED = 128
const SIGKILL = 9
/** Pause before an engine that does not answer is asked again. Milliseconds. */
const ASK_AGAIN = 1000

/** A connection to the engine that breaks says nothing of the container: it is asked for again. */
async function exitCode(
  container: Docker.Container,
  firstWait: Promise<unknown>,
  stopping: () => boolean,
): Promise<number> {
  for (let waiting = firstWait; ; waiting = container.wait()) {
    const result = await waiting.catch(() => undefined)
    if (isExit(result)) return result.StatusCode
    const state = await orNothing(container.inspect()).then(
      (found) => found?.State ?? 'gone',
      () => undefined,
    )
    if (state === 'gone') return SIGNALLED + SIGKILL
    if (state && !state.Running) return state.ExitCode
    if (!state && stopping()) return SIGNALLED + SIGKILL
    await sleep(ASK_AGAIN)
  }
}

function isExit(result: unknown): result is { readonly StatusCode: number } {
  return (
    typeof result === 'object' &&
    result !== null &&
    'StatusCode' in result &&
    typeof result.StatusCode === 'number'
  )
}

function followLines(
  docker: Docker,
  output: NodeJS.ReadableStream,
  onLine: (line: LogLine) => void,
): Promise<unknown> {
  const streams = { stdout: new PassThrough(), stderr: new PassThrough() }
  docker.modem.demuxStream(output, streams.stdout, streams.stderr)
  const finish = () => {
    streams.stdout.end()
    streams.stderr.end()
  }
  output.once('end', finish)
  output.once('close', finish)
  output.once('error', finish)
  return Promise.all(
    (['stdout', 'stderr'] as const).map((log) =>
      readLines(streams[log], (text) => onLine({ text, log, severity: 'DEFAULT' })),
    ),
  )
}

/** How long a program may think about the question before it counts as listening. Milliseconds. */
const THINKING = 1000

/**
 * True when something behind a published port answers. The engine itself takes every connection and closes those that the
 * container refuses, so it takes a question; this one is addressed to the server as a whole and asks for no page of it.
 */
function answersThrough(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: THINKING })
    const settle = (listens: boolean) => {
      socket.destroy()
      resolve(listens)
    }
    socket.once('connect', () =>
      socket.write('OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'),
    )
    socket.once('data', () => settle(true))
    socket.once('timeout', () => settle(!socket.connecting))
    socket.once('end', () => settle(false))
    socket.once('error', () => settle(false))
  })
}
