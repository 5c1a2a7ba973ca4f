/**
 * One instance of a revision, kept running: started, watched until it listens, started again with growing pauses when it
 * crashes, and ended. What an instance is made of, a process or a container, is the launcher's matter.
 */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Revision } from '../state/resources.ts'
import { cannotStartLine, type Ended, endedLine, probeFailedLine, START_TIME } from './contract.ts'
import type { LogLine } from './runtime.ts'

/** A process or a container that was started. */
export interface Run {
  /** Where it is to listen. */
  readonly url: URL
  /** How it ended; resolves after its last line was given to the log. */
  readonly ended: Promise<Ended>
  /** True when it takes connections now. */
  accepts(): Promise<boolean>
  /** Ends it with SIGTERM, later with SIGKILL, and takes away what is left of it. May be called more than once. */
  stop(): Promise<void>
}

export interface InstanceOptions<Place> {
  readonly revision: Revision
  /** Makes, once, what all its runs share. A rejection is a fault of the emulator's, not of the container. */
  readonly prepare: () => Promise<Place>
  /** Starts it once more. Rejects when the command or the image cannot be started. */
  readonly launch: (place: Place) => Promise<Run>
  readonly onLine: (line: LogLine) => void
  /** Takes back what `prepare` made, when nothing runs any more and nothing will. */
  readonly onEnd: (place: Place) => Promise<void>
  /** How long it may take to listen. Milliseconds, default 240 s. */
  readonly startTime?: number
}

export interface Instance {
  /** Whether it came to listen the first time. False too when it was stopped before; rejects when `prepare` did. */
  readonly listens: Promise<boolean>
  /** Where it listens; undefined before, and between a crash and the next start. */
  readonly url: URL | undefined
  /** Where it has listened last. */
  readonly lastUrl: URL | undefined
  /** Whether it was told to end. */
  readonly ending: boolean
  /** Ends it for good. */
  stop(): Promise<void>
}

/**
 * What an instance of before is to the next one of its revision: one that is ending already has its time to end while the next one starts, any
 * other one is ended first.
 */
export function makeWay(before: Instance | undefined) {
  const atOnce = before === undefined || before.ending
  const ended = before?.stop()
  // Whoever stops the next one is told.
  ended?.catch(() => {})
  return { first: atOnce ? undefined : ended, last: ended }
}

/** Pauses before a crashed instance is started again: doubled each time, and short again once it has run for the longest. Milliseconds. */
const BACK_OFF = { first: 100, most: 10_000 }
/** Between two looks whether it listens. Milliseconds. */
const LOOK = { first: 5, most: 50 }
/** A connection that takes longer than this will not come about. Milliseconds. */
const CONNECT_TIME = 1000

export function keepRunning<Place>(options: InstanceOptions<Place>): Instance {
  const { revision, prepare, launch, onLine, onEnd, startTime = START_TIME } = options
  const stopping = new AbortController()
  const { signal } = stopping
  const first = Promise.withResolvers<boolean>()
  let current: Run | undefined
  let url: URL | undefined
  let lastUrl: URL | undefined
  let stopped: Promise<void> | undefined

  const start = async (place: Place): Promise<Run | undefined> => {
    try {
      return await launch(place)
    } catch (error) {
      if (!signal.aborted)
        onLine(cannotStartLine(error instanceof Error ? error.message.trim() : String(error)))
      return undefined
    }
  }

  /** One run, from its start to its end. True when it listened. */
  const runOnce = async (place: Place): Promise<boolean> => {
    const run = await start(place)
    if (!run) return false
    current = run
    try {
      const outcome = signal.aborted ? 'stopped' : await untilListening(run, startTime, signal)
      if (outcome === 'timeout') onLine(probeFailedLine(revision, 'DEADLINE_EXCEEDED'))
      if (outcome === 'listens') {
        url = lastUrl = run.url
        first.resolve(true)
      }
      if (outcome === 'listens' || outcome === 'ended') {
        const ended = await run.ended
        url = undefined
        if (!signal.aborted) {
          onLine(endedLine(ended))
          if (outcome === 'ended') onLine(probeFailedLine(revision, 'CANCELLED'))
        }
      }
      return outcome === 'listens'
    } finally {
      url = undefined
      // What could not be taken away is told to whoever stops the instance; it is no reason not to start it again.
      await run.stop().catch(() => {})
    }
  }

  const prepared = prepare()
  const living = prepared
    .then((place) => keepAlive(() => runOnce(place), signal))
    .then(() => first.resolve(false), first.reject)

  return {
    listens: first.promise,
    get url() {
      return url
    },
    get lastUrl() {
      return lastUrl
    },
    get ending() {
      return signal.aborted
    },
    stop() {
      stopped ??= (async () => {
        stopping.abort()
        try {
          await Promise.all([current?.stop(), living])
        } finally {
          await prepared.then(onEnd, () => {})
        }
      })()
      return stopped
    },
  }
}

/** Runs it again and again, with pauses, once it has listened. `runOnce` says whether it did. */
async function keepAlive(runOnce: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  let listened = false
  let pause = BACK_OFF.first
  while (!signal.aborted) {
    const started = performance.now()
    listened = (await runOnce()) || listened
    // Before it has listened once, its end is the deployment's answer, not a crash.
    if (!listened) break
    if (performance.now() - started > BACK_OFF.most) pause = BACK_OFF.first
    await sleep(pause, undefined, { signal }).catch(() => {})
    pause = Math.min(pause * 2, BACK_OFF.most)
  }
}

async function untilListening(
  run: Run,
  startTime: number,
  signal: AbortSignal,
): Promise<'listens' | 'ended' | 'timeout' | 'stopped'> {
  // A connection to a container that is gone is not refused: it hangs.
  const given = new AbortController()
  const over = Promise.race([
    run.ended.then(() => 'ended' as const),
    sleep(startTime, 'timeout' as const, { signal: AbortSignal.any([signal, given.signal]) }).catch(
      () => 'stopped' as const,
    ),
  ])
  try {
    for (let pause = LOOK.first; ; pause = Math.min(pause * 1.5, LOOK.most)) {
      const found = await Promise.race([over, run.accepts()])
      if (found === true) return 'listens'
      const end = found === false ? await Promise.race([over, sleep(pause)]) : found
      if (end) return end
    }
  } finally {
    given.abort()
  }
}

/** True when something takes connections there. */
export function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_TIME })
    const settle = (open: boolean) => {
      socket.destroy()
      resolve(open)
    }
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
    socket.once('timeout', () => settle(false))
  })
}
