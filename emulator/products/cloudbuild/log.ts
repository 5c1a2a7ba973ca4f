/** The log of one build: an object in a bucket that grows while the build runs. */
import type { ObjectStore } from '../../state/objects.ts'
import type { StoredObject } from '../../state/stored-objects.ts'

/** How many lines are kept for `failureInfo`. */
const LAST_LINES = 20

export class BuildLog {
  readonly #objects: ObjectStore
  readonly #bucket: string
  readonly #name: string
  readonly #lastLines: string[] = []
  #waiting = ''
  #writing: Promise<void> | undefined
  #failure: unknown

  constructor(objects: ObjectStore, bucket: string, name: string) {
    this.#objects = objects
    this.#bucket = bucket
    this.#name = name
  }

  readonly line = (text: string): void => {
    this.#waiting += `${text}\n`
    this.#lastLines.push(text)
    if (this.#lastLines.length > LAST_LINES) this.#lastLines.shift()
    // What comes while one write is under way goes with the next one.
    this.#writing ??= this.#write()
  }

  get lastLines(): readonly string[] {
    return [...this.#lastLines]
  }

  /** Resolves when all lines are in the bucket. Rejects when they cannot be put there. */
  async flush(): Promise<void> {
    await this.#writing
    if (this.#failure !== undefined) throw this.#failure
  }

  async #write(): Promise<void> {
    try {
      while (this.#waiting) {
        const text = this.#waiting
        this.#waiting = ''
        const bytes = Buffer.from(text)
        const object = this.#objects.object(this.#bucket, this.#name) ?? (await this.#create())
        await this.#objects.append(object, bytes)
      }
    } catch (error) {
      this.#failure ??= error
    } finally {
      // At once, not later: a line that comes in between would wait for ever.
      this.#writing = undefined
    }
  }

  #create(): Promise<StoredObject> {
    return this.#objects.insert(this.#bucket, this.#name, { contentType: 'text/plain' }, [])
  }
}
