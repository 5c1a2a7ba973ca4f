/** The last things of a kind, newest last. In memory only: they explain, they are not state. */
export class Ring<T> {
  readonly #size: number
  readonly #kept: T[] = []
  readonly #listeners = new Set<(value: T) => void>()

  constructor(size: number) {
    this.#size = size
  }

  add(value: T): void {
    this.#kept.push(value)
    // Twice the number, then half thrown away: one shift for every addition would be work on the hot path.
    if (this.#kept.length >= 2 * this.#size) this.#kept.splice(0, this.#size)
    for (const listener of this.#listeners) listener(value)
  }

  list(): readonly T[] {
    return this.#kept.slice(-this.#size)
  }

  clear(): void {
    this.#kept.length = 0
  }

  /** Calls back with every later addition. Returns the way to stop it. */
  onAdd(listener: (value: T) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
