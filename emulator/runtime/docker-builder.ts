/** The Docker engine as Cloud Build's builder. The engine is the registry, too: pushing an image is having it there. */
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type Docker from 'dockerode'
import type { Builder } from './builder.ts'
import { BuildError, buildImage } from './docker-build.ts'
import { openDocker } from './docker-engine.ts'
import { imageName } from './image-name.ts'

/** An engine that does not answer a ping in this time is not there. Milliseconds. */
const PING_TIME = 2000

export interface DockerBuilderOptions {
  /** Default: the engine that the environment names. */
  readonly open?: () => Promise<Docker>
}

export function createDockerBuilder({ open = openDocker }: DockerBuilderOptions = {}): Builder {
  let engine: Promise<Docker> | undefined
  const docker = () => {
    engine ??= open()
    return engine
  }

  return {
    async available() {
      try {
        const answered = (await docker()).ping().then(() => true)
        return await Promise.race([answered, sleep(PING_TIME, false, { ref: false })])
      } catch {
        return false
      }
    },
    async build({ source, tags: [tag = '', ...others], dockerfile, onLine, signal }) {
      const built = await docker()
      try {
        const { imageId, digest } = await buildImage({
          docker: built,
          context: Readable.from(source()),
          tag,
          onLine,
          signal,
          ...(dockerfile === undefined ? {} : { dockerfile }),
        })
        for (const other of others) await built.getImage(imageId).tag(repoAndTag(other))
        const sum = digest.slice(digest.indexOf('@') + 1)
        return { ok: true, images: [tag, ...others].map((name) => ({ name, digest: sum })) }
      } catch (error) {
        signal.throwIfAborted()
        if (error instanceof BuildError) return { ok: false, message: error.message }
        const reason = error instanceof Error ? error.message : String(error)
        return { ok: false, message: `the Docker engine did not go on: ${reason}` }
      }
    },
  }
}

function repoAndTag(reference: string): { repo: string; tag: string } {
  const repo = imageName(reference)
  return { repo, tag: reference.slice(repo.length + 1) || 'latest' }
}
