/** BuildKit's account of a build, told in the lines that `docker build --progress=plain` prints. Pure. */
import protobuf from 'protobufjs'
import { z } from 'zod'

/** What is read of BuildKit's `moby.buildkit.v1.StatusResponse` (api/services/control/control.proto). */
const StatusResponse = protobuf.Root.fromJSON({
  nested: {
    StatusResponse: {
      fields: {
        vertexes: { rule: 'repeated', type: 'Vertex', id: 1 },
        logs: { rule: 'repeated', type: 'VertexLog', id: 3 },
      },
    },
    Vertex: {
      fields: {
        digest: { type: 'string', id: 1 },
        name: { type: 'string', id: 3 },
        cached: { type: 'bool', id: 4 },
        started: { type: 'Timestamp', id: 5 },
        completed: { type: 'Timestamp', id: 6 },
        error: { type: 'string', id: 7 },
      },
    },
    VertexLog: {
      fields: {
        vertex: { type: 'string', id: 1 },
        timestamp: { type: 'Timestamp', id: 2 },
        msg: { type: 'bytes', id: 4 },
      },
    },
    Timestamp: { fields: { seconds: { type: 'int64', id: 1 }, nanos: { type: 'int32', id: 2 } } },
  },
}).lookupType('StatusResponse')

const time = z
  .object({ seconds: z.number().default(0), nanos: z.number().default(0) })
  .transform(({ seconds, nanos }) => seconds + nanos / 1e9)
  .optional()
const status = z.object({
  vertexes: z
    .array(
      z.object({
        digest: z.string(),
        name: z.string().default(''),
        cached: z.boolean().default(false),
        started: time,
        completed: time,
        error: z.string().default(''),
      }),
    )
    .default([]),
  logs: z.array(z.object({ vertex: z.string(), timestamp: time, msg: z.instanceof(Uint8Array) })).default([]),
})

interface Step {
  readonly number: number
  readonly decoder: TextDecoder
  /** Seconds since the epoch. */
  started: number | undefined
  told: 'nothing' | 'name' | 'end'
  rest: string
}

export class BuildProgress {
  readonly #onLine: (line: string) => void
  readonly #steps = new Map<string, Step>()

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine
  }

  /** Takes one `StatusResponse` as it is on the wire. */
  trace(bytes: Uint8Array): void {
    const decoded = StatusResponse.toObject(StatusResponse.decode(bytes), { longs: Number, arrays: false })
    const { vertexes, logs } = status.parse(decoded)
    for (const { digest, name, started } of vertexes) {
      if (started === undefined) continue
      const step = this.#step(digest)
      step.started = started
      if (step.told !== 'nothing') continue
      this.#onLine(`#${step.number} ${name}`)
      step.told = 'name'
    }
    for (const { vertex, timestamp, msg } of logs) {
      const step = this.#step(vertex)
      const after = Math.max(0, (timestamp ?? 0) - (step.started ?? timestamp ?? 0)).toFixed(3)
      const lines = (step.rest + step.decoder.decode(msg, { stream: true })).split('\n')
      step.rest = lines.pop() ?? ''
      for (const line of lines) this.#onLine(`#${step.number} ${after} ${line.replace(/\r$/, '')}`)
    }
    for (const { digest, cached, started, completed, error } of vertexes) {
      if (completed === undefined) continue
      const step = this.#step(digest)
      if (step.told === 'end') continue
      step.told = 'end'
      if (step.rest) this.#onLine(`#${step.number} ${step.rest}`)
      const took = (completed - (started ?? completed)).toFixed(1)
      this.#onLine(`#${step.number} ${error ? `ERROR: ${error}` : cached ? 'CACHED' : `DONE ${took}s`}`)
    }
  }

  /** Takes a message in words. */
  text(words: string): void {
    for (const line of words.split('\n')) if (line.trim()) this.#onLine(line.trimEnd())
  }

  /** Steps are numbered in the order of their first mention in the log. */
  #step(digest: string): Step {
    const known = this.#steps.get(digest)
    if (known) return known
    const step: Step = {
      number: this.#steps.size + 1,
      decoder: new TextDecoder(),
      started: undefined,
      told: 'nothing',
      rest: '',
    }
    this.#steps.set(digest, step)
    return step
  }
}
