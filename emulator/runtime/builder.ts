/** How uploaded sources become images, as Cloud Build needs it. Where the images then are is the builder's own matter. */
import { imageName } from './image-name.ts'

export interface BuildRequest {
  /** A tar archive of the sources, plain or compressed; a new stream of it every time it is called. */
  readonly source: () => ReadableStream<Uint8Array>
  /** The names to give the image; at least one. */
  readonly tags: readonly string[]
  /** Path within the sources. Default `Dockerfile`. */
  readonly dockerfile?: string
  /** Called with every line of the build's log. */
  readonly onLine: (line: string) => void
  readonly signal: AbortSignal
}

export interface BuiltImage {
  readonly name: string
  /** `sha256:…`; none where there is no image but a command that stands for it. */
  readonly digest?: string
}

export type BuildResult =
  | { readonly ok: true; readonly images: readonly BuiltImage[] }
  /** For whoever submitted the build: what was wrong with the sources, or what is missing here. */
  | { readonly ok: false; readonly message: string }

export interface Builder {
  /** True when something is there that builds. */
  available(): Promise<boolean>
  /** Never rejects for what is wrong with the sources; rejects with the signal's reason once that is aborted. */
  build(request: BuildRequest): Promise<BuildResult>
}

export interface BuilderOptions {
  readonly engine: Builder
  /** Image names that stand for a command, such as `--image` maps; a full name, or its last part. */
  readonly commands: Iterable<string>
  /** Names for which a command stands only where nothing can be built: the emulator's own guesses. */
  readonly fallbacks: Iterable<string>
}

/** Builds with the engine, save where a local process is what will run: then building is none of it. */
export function createBuilder({ engine, commands, fallbacks }: BuilderOptions): Builder {
  const mapped = new Set(commands)
  const guessed = new Set(fallbacks)
  const among = (names: ReadonlySet<string>) => (tag: string) =>
    spellings(tag).some((name) => names.has(name))

  return {
    available: () => engine.available(),
    async build(request) {
      const { tags, onLine } = request
      const isMapped = among(mapped)
      const isGuessed = among(guessed)
      if (!tags.every(isMapped)) {
        if (await engine.available()) return engine.build(request)
        const tag = tags.find((name) => !isMapped(name) && !isGuessed(name))
        if (tag !== undefined) {
          return {
            ok: false,
            message: `no Docker engine answers: start one, or run the emulator with --image ${imageName(tag)}='COMMAND', which then runs where this image is deployed.`,
          }
        }
      }
      for (const tag of tags) onLine(`${tag} is run as a local process here: nothing was built.`)
      return { ok: true, images: tags.map((name) => ({ name })) }
    },
  }
}

/** The names under which a command may stand for an image. */
function spellings(tag: string): readonly string[] {
  const name = imageName(tag)
  return [tag, name, name.slice(name.lastIndexOf('/') + 1)]
}
