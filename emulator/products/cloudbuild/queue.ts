/** Work that waits for its turn: so many at once, each of which can be stopped. Nothing of it outlives the process. */

export class BuildQueue<Reason> {
  readonly #atOnce: number
  readonly #work: (key: string, signal: AbortSignal) => Promise<void>
  readonly #waiting: string[] = []
  readonly #running = new Map<string, { readonly abort: AbortController; readonly done: Promise<void> }>()
  #closed = false

  /** `work` must not reject; its signal's reason is what `stop` was given. */
  constructor(atOnce: number, work: (key: string, signal: AbortSignal) => Promise<void>) {
    this.#atOnce = atOnce
    this.#work = work
  }

  add(key: string): void {
    this.#waiting.push(key)
    this.#next()
  }

  /** Stops what runs under this key, or takes it out of the line. */
  stop(key: string, reason: Reason): void {
    const place = this.#waiting.indexOf(key)
    if (place >= 0) this.#waiting.splice(place, 1)
    this.#running.get(key)?.abort.abort(reason)
  }

  /** Resolves when nothing runs and nothing waits. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all([...this.#running.values()].map(({ done }) => done))
  }

  /** Stops what runs. What waits is not begun any more. */
  async close(reason: Reason): Promise<void> {
    this.#closed = true
    for (const { abort } of this.#running.values()) abort.abort(reason)
    await this.idle()
  }

  #next(): void {
    while (!this.#closed && this.#running.size < this.#atOnce) {
      const key = this.#waiting.shift()
      if (key === undefined) return
      const abort = new AbortController()
      const done = this.#work(key, abort.signal).finally(() => {
        this.#running.delete(key)
        this.#next()
      })
      this.#running.set(key, { abort, done })
    }
  }
}
