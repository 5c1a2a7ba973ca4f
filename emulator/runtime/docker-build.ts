/**
 * Builds an image of uploaded sources with the Docker engine.
 *
 * With BuildKit, as `RUN --mount` needs it, and over the engine's own API: so it is the engine that runs the image
 * afterwards, and no command-line client is needed. Base images that need a login have to be pulled before.
 */
import { Readable } from 'node:stream'
import type Docker from 'dockerode'
import { z } from 'zod'
import { type ErrorDetails, InvokerError } from '../errors/errors.ts'
import { BuildProgress } from './build-progress.ts'
import { isRefusal, localImage, reasonOf } from './docker-engine.ts'

export interface BuildOptions {
  readonly docker: Docker
  /** A tar archive of the sources, plain or compressed. */
  readonly context: Readable | Uint8Array
  /** The name to give the image. */
  readonly tag: string
  /** Path within the sources. Default `Dockerfile`. */
  readonly dockerfile?: string
  /** Called with every line of the build's log. */
  readonly onLine: (line: string) => void
  /** Ends the build; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

export interface BuiltImage {
  /** `sha256:…`. */
  readonly imageId: string
  /** `NAME@sha256:…`, by which it can be deployed. */
  readonly digest: string
}

/** The sources could not be made into an image. The message is the builder's last word. */
export class BuildError extends InvokerError {
  constructor(sentence: string, details?: ErrorDetails) {
    super('ERR_BUILD', sentence, details)
  }
}

/** @throws {BuildError} for what is wrong with the sources; other errors when the engine does not answer */
export async function buildImage(options: BuildOptions): Promise<BuiltImage> {
  const { docker, context, tag, dockerfile, onLine, signal } = options
  signal?.throwIfAborted()
  const lines = new BuildProgress(onLine)
  try {
    const output = await docker.buildImage(context instanceof Readable ? context : Readable.from([context]), {
      t: tag,
      version: '2',
      rm: true,
      forcerm: true,
      ...(dockerfile === undefined ? {} : { dockerfile }),
      ...(signal ? { abortSignal: signal } : {}),
    })
    for await (const event of events(output)) {
      if (event.error !== undefined) throw new BuildError(event.error)
      if (event.id === TRACE && typeof event.aux === 'string') lines.trace(Buffer.from(event.aux, 'base64'))
      else if (event.stream) lines.text(event.stream)
    }
  } catch (error) {
    signal?.throwIfAborted()
    // Refused at once, before there is a log: a tag that is none, say.
    if (isRefusal(error)) throw new BuildError(reasonOf(error), { cause: error })
    throw error
  }
  const image = await localImage(docker, [tag])
  if (!image) throw new BuildError(`The build ended without an image ${tag}.`)
  return { imageId: image.id, digest: image.digest }
}

const TRACE = 'moby.buildkit.trace'

/** One message of the engine; what else it holds is passed over. */
const message = z.object({
  id: z.string().optional(),
  aux: z.unknown().optional(),
  stream: z.string().optional(),
  error: z.string().optional(),
})

/** The engine sends one JSON value a line. */
async function* events(output: AsyncIterable<string | Uint8Array>): AsyncGenerator<z.infer<typeof message>> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of output) {
    rest += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim()) yield message.parse(JSON.parse(line))
  }
  if (rest.trim()) yield message.parse(JSON.parse(rest))
}
