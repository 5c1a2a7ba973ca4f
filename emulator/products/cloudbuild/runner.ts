/** Runs builds, a few at a time, and tells their log and their record how they go. */

import type { CallerState } from '../../rest/caller.ts'
import type { Log } from '../../rest/route.ts'
import type { Builder, BuiltImage } from '../../runtime/builder.ts'
import { imageName } from '../../runtime/image-name.ts'
import type { Collection } from '../../state/collection.ts'
import type { ObjectStore } from '../../state/objects.ts'
import type { Stored } from '../../state/parts.ts'
import type { Repositories } from '../../state/repositories.ts'
import { builds } from './builds.ts'
import { BuildLog } from './log.ts'
import type { Step } from './message.ts'
import { BuildQueue } from './queue.ts'
import { type Build, buildKey, type Failure, isOngoing, logName, type StepState } from './record.ts'
import { pushRefusal } from './registry.ts'

export interface RunnerOptions {
  readonly state: CallerState & Stored
  readonly objects: ObjectStore
  readonly repositories: Repositories
  readonly builder: Builder
  readonly log: Log
}

/** As many as build at once; Google's default is more, but this is one machine. */
const AT_ONCE = 2

/** Why a build stops before its end. The reason of its signal. */
type Stop = 'cancelled' | 'closing'

/** A build that ends as it should not. */
class Failed extends Error {
  readonly failure: Failure

  constructor(type: Failure['type'], message: string) {
    super(message)
    this.failure = { type, detail: message }
  }
}

export class BuildRunner {
  readonly builds: Collection<Build, 'id'>
  readonly #options: RunnerOptions
  readonly #queue: BuildQueue<Stop>

  constructor(options: RunnerOptions) {
    this.#options = options
    this.builds = options.state.store.collection(builds)
    this.#queue = new BuildQueue(AT_ONCE, (key, signal) => this.#run(key, signal))
  }

  /** Takes in a build: from here on it survives a restart. */
  submit(build: Build): void {
    const key = buildKey(build)
    this.builds.put(key, build)
    this.#queue.add(key)
  }

  /** Ends a build that is not over. Its record says so at once. */
  cancel(build: Build): Build {
    const cancelled = this.#end(build, { status: 'CANCELLED' })
    this.#queue.stop(buildKey(build), 'cancelled')
    return cancelled
  }

  /** After a restart: what was waiting is built; what was being built has failed, as whatever it had done is gone. */
  async restore(): Promise<void> {
    for (const build of this.builds.list()) {
      if (build.status === 'QUEUED') this.#queue.add(buildKey(build))
      else if (isOngoing(build)) await this.#interrupted(build, this.#logOf(build))
    }
  }

  /** Breaks off what is being built. */
  close(): Promise<void> {
    return this.#queue.close('closing')
  }

  /** Resolves when nothing is being built. */
  idle(): Promise<void> {
    return this.#queue.idle()
  }

  async #run(key: string, stop: AbortSignal): Promise<void> {
    const { state } = this.#options
    const queued = this.builds.get(key)
    if (!queued || !isOngoing(queued)) return
    const build = this.#put({ ...queued, status: 'WORKING', startTime: state.timestamp() })
    const log = this.#logOf(build)
    const limit = AbortSignal.timeout(build.plan.timeout)
    try {
      log.line(`starting build "${build.id}"`)
      log.line('')
      const results = await this.#perform(build, log, AbortSignal.any([stop, limit]))
      log.line('DONE')
      await log.flush()
      this.#endIfOngoing(key, { status: 'SUCCESS', results })
    } catch (error) {
      if (stop.aborted) await this.#stopped(key, log, stop.reason)
      else await this.#failed(key, log, limit.aborted ? 'timeout' : error)
    }
  }

  /** Source, steps, images. @throws {Failed}, or the signal's reason */
  async #perform(build: Build, log: BuildLog, signal: AbortSignal): Promise<Build['results']> {
    const key = buildKey(build)
    const { plan } = build
    const source = await this.#phase(key, 'FETCHSOURCE', () => this.#fetch(build, log))
    const made = new Map<string, BuiltImage>()
    await this.#phase(key, 'BUILD', async () => {
      log.line('BUILD')
      for (const [index, step] of plan.steps.entries()) {
        const prefix = plan.steps.length === 1 ? '' : `Step #${index}${step.id ? ` - "${step.id}"` : ''}`
        if (prefix) log.line(`Starting ${prefix}`)
        const onLine = prefix ? (line: string) => log.line(`${prefix}: ${line}`) : log.line
        const run = () => this.#step(build, step, index, source, made, onLine, signal)
        await this.#recordStep(key, index, run)
        if (prefix) log.line(`Finished ${prefix}`)
      }
    })
    if (plan.images.length === 0) return []
    return this.#phase(key, 'PUSH', () => Promise.resolve(this.#push(build, made, log)))
  }

  #fetch({ plan }: Build, log: BuildLog): Promise<() => ReadableStream<Uint8Array>> {
    const { bucket, object: name, generation } = plan.source
    const object = this.#options.objects.object(bucket, name)
    const at = `gs://${bucket}/${name}${generation ? `#${generation}` : ''}`
    log.line('FETCHSOURCE')
    log.line(`Fetching storage object: ${at}`)
    if (!object || (generation && object.generation !== generation))
      throw new Failed('FETCH_SOURCE_FAILED', `could not resolve source: No such object: ${bucket}/${name}`)
    const size = humanSize(object.size)
    log.line(`Copying ${at}...`)
    log.line(`/ [1 files][${size.padStart(10)}/${size.padStart(10)}]`)
    log.line(`Operation completed over 1 objects/${size}.`)
    return Promise.resolve(() => this.#options.objects.read(object))
  }

  async #step(
    build: Build,
    { name, action }: Step,
    index: number,
    source: () => ReadableStream<Uint8Array>,
    made: Map<string, BuiltImage>,
    onLine: (line: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted()
    onLine(`Already have image (with digest): ${name}`)
    const failed = (reason: string) => {
      onLine(reason)
      const what = `build step ${index} "${name}" failed: step exited with non-zero status: 1`
      return new Failed('USER_BUILD_STEP', what)
    }
    if (action.does === 'push') {
      const image = made.get(withTag(action.tag))
      if (!image) throw failed(`An image does not exist locally with the tag: ${imageName(action.tag)}`)
      const refusal = this.#pushRefusal(build, action.tag)
      if (refusal !== undefined) throw failed(refusal)
      onLine(pushed(image))
      return
    }
    const { tags, dockerfile } = action
    const result = await this.#options.builder.build({
      source,
      tags,
      onLine,
      signal,
      ...(dockerfile === undefined ? {} : { dockerfile }),
    })
    signal.throwIfAborted()
    if (!result.ok) throw failed(result.message)
    for (const image of result.images) made.set(withTag(image.name), image)
  }

  #push(build: Build, made: ReadonlyMap<string, BuiltImage>, log: BuildLog): Build['results'] {
    log.line('PUSH')
    const startTime = this.#options.state.timestamp()
    return build.plan.images.flatMap((wanted) => {
      const image = made.get(withTag(wanted))
      if (!image) {
        throw new Failed(
          'PUSH_IMAGE_NOT_FOUND',
          `failed to find one or more images after execution of build steps: ["${wanted}"]`,
        )
      }
      log.line(`Pushing ${wanted}`)
      const refusal = this.#pushRefusal(build, wanted)
      if (refusal !== undefined) {
        log.line(refusal)
        throw new Failed('PUSH_FAILED', `failed to push because we ran out of retries. ${refusal}`)
      }
      log.line(pushed(image))
      const pushTiming = { startTime, endTime: this.#options.state.timestamp() }
      const digest = image.digest === undefined ? {} : { digest: image.digest }
      // Google lists an image that was asked for without a tag under both names.
      const names = [...new Set([wanted, withTag(wanted)])]
      return names.map((name) => ({ name, ...digest, pushTiming }))
    })
  }

  #pushRefusal(build: Build, image: string): string | undefined {
    const { state, repositories } = this.#options
    return pushRefusal(state, repositories, build, image)
  }

  /** Runs a part of a build and records how long it took. */
  async #phase<T>(key: string, name: string, work: () => Promise<T>): Promise<T> {
    const startTime = this.#options.state.timestamp()
    try {
      return await work()
    } finally {
      const endTime = this.#options.state.timestamp()
      this.#update(key, ({ timing }) => ({ timing: { ...timing, [name]: { startTime, endTime } } }))
    }
  }

  async #recordStep(key: string, index: number, run: () => Promise<void>): Promise<void> {
    const startTime = this.#options.state.timestamp()
    const record = (state: StepState) =>
      this.#update(key, ({ steps }) => ({ steps: steps.map((old, at) => (at === index ? state : old)) }))
    record({ status: 'WORKING', timing: { startTime } })
    const endTime = () => this.#options.state.timestamp()
    try {
      await run()
    } catch (error) {
      const status = error instanceof Failed ? 'FAILURE' : 'CANCELLED'
      record({ status, timing: { startTime, endTime: endTime() } })
      throw error
    }
    record({ status: 'SUCCESS', timing: { startTime, endTime: endTime() } })
  }

  async #failed(key: string, log: BuildLog, error: unknown): Promise<void> {
    if (error === 'timeout') {
      await this.#close(log, 'TIMEOUT', 'context deadline exceeded')
      this.#endIfOngoing(key, { status: 'TIMEOUT', lastLines: log.lastLines })
      return
    }
    if (error instanceof Failed) {
      await this.#close(log, 'ERROR', error.message)
      const { failure } = error
      const shown =
        failure.type === 'USER_BUILD_STEP' ? `Build step failure: ${failure.detail}` : failure.detail
      this.#endIfOngoing(key, {
        status: 'FAILURE',
        statusDetail: failure.detail,
        failure: { ...failure, detail: shown },
        lastLines: log.lastLines,
      })
      return
    }
    this.#options.log(`build ${key} failed: ${error instanceof Error ? error.stack : String(error)}`)
    await this.#close(log, 'ERROR', 'internal error')
    this.#endIfOngoing(key, {
      status: 'INTERNAL_ERROR',
      failure: { type: 'FAILURE_TYPE_UNSPECIFIED', detail: 'Internal error encountered.' },
      lastLines: log.lastLines,
    })
  }

  async #stopped(key: string, log: BuildLog, reason: Stop): Promise<void> {
    const build = this.builds.get(key)
    if (reason === 'cancelled' || !build) return this.#close(log, 'CANCELLED', 'context canceled')
    await this.#interrupted(build, log)
  }

  async #interrupted(build: Build, log: BuildLog): Promise<void> {
    const detail = 'The emulator was stopped while it built. Submit the build again.'
    await this.#close(log, 'ERROR', detail)
    this.#endIfOngoing(buildKey(build), {
      status: 'INTERNAL_ERROR',
      statusDetail: detail,
      failure: { type: 'FAILURE_TYPE_UNSPECIFIED', detail },
    })
  }

  /** The log is whole before the record says that the build is over: clients then read it for the last time. */
  async #close(log: BuildLog, word: string, detail: string): Promise<void> {
    log.line(word)
    log.line(`ERROR: ${detail}`)
    try {
      await log.flush()
    } catch (error) {
      this.#options.log(`the log of a build could not be written: ${String(error)}`)
    }
  }

  #logOf(build: Build): BuildLog {
    return new BuildLog(this.#options.objects, build.log.bucket, logName(build))
  }

  #endIfOngoing(key: string, end: Partial<Build>): void {
    const build = this.builds.get(key)
    if (build && isOngoing(build)) this.#end(build, end)
  }

  #end(build: Build, end: Partial<Build>): Build {
    return this.#put({ ...build, ...end, finishTime: this.#options.state.timestamp() })
  }

  #update(key: string, change: (build: Build) => Partial<Build>): void {
    const build = this.builds.get(key)
    if (build) this.#put({ ...build, ...change(build) })
  }

  #put(build: Build): Build {
    this.builds.put(buildKey(build), build)
    return build
  }
}

function withTag(image: string): string {
  return imageName(image) === image ? `${image}:latest` : image
}

function pushed({ name, digest }: BuiltImage): string {
  const tag = withTag(name).slice(imageName(name).length + 1)
  return digest === undefined ? `${name}: nothing to push` : `${tag}: digest: ${digest}`
}

/** gsutil's way of writing sizes. */
function humanSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB']
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), units.length - 1)
  return `${(bytes / 1024 ** power).toFixed(1)} ${units[power]}`
}
