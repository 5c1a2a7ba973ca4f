/** What has been started, each part with the way to end it. */
export interface Part {
  close(): unknown
}

export class Started {
  readonly #parts: Part[] = []
  #closed: Promise<void> | undefined

  /** Takes a part that runs from now on. Gives it back. */
  add<P extends Part>(part: P): P {
    this.#parts.push(part)
    return part
  }

  /** Ends them one by one, the last one first: nothing loses what it stands on. A second call waits for the first. */
  close(): Promise<void> {
    this.#closed ??= this.#closeAll()
    return this.#closed
  }

  async #closeAll(): Promise<void> {
    const troubles: unknown[] = []
    for (const part of this.#parts.splice(0).reverse()) {
      try {
        await part.close()
      } catch (error) {
        troubles.push(error) // the others are ended all the same
      }
    }
    if (troubles.length > 0) throw troubles.length === 1 ? troubles[0] : new AggregateError(troubles)
  }
}
