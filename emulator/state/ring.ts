/** The last things of a kind, newest last. In memory only: they explain, they are not state. */
export interface RingLimits<T> {
  /** The most that are kept. */
  readonly size: number
  /** The most that they may weigh together. Bytes. */
  readonly bytes: number
  /** What one weighs, about. Bytes. */
  readonly weigh: (value: T) => number
}

export class Ring<T> {
  readonly #limits: RingLimits<T>
  /** What was kept once and is no more stands at the front, emptied. */
  readonly #kept: (T | undefined)[] = []
  readonly #weights: number[] = []
  #first = 0
  #bytes = 0
  readonly #listeners = new Set<(value: T) => void>()

  constructor(limits: RingLimits<T>) {
    this.#limits = limits
  }

  add(value: T): void {
    const { size, bytes, weigh } = this.#limits
    const weight = weigh(value)
    this.#kept.push(value)
    this.#weights.push(weight)
    this.#bytes += weight
    while (this.#kept.length - this.#first > size || this.#bytes > bytes) this.#drop()
    // As many empty places as there may be kept ones, then all of them at once: a shift for every addition would be work on the hot path.
    if (this.#first >= size) {
      this.#kept.splice(0, this.#first)
      this.#weights.splice(0, this.#first)
      this.#first = 0
    }
    for (const listener of this.#listeners) listener(value)
  }

  list(): readonly T[] {
    return this.#kept.slice(this.#first).filter((value) => value !== undefined)
  }

  clear(): void {
    this.#kept.length = 0
    this.#weights.length = 0
    this.#first = 0
    this.#bytes = 0
  }

  /** Calls back with every later addition. Returns the way to stop it. */
  onAdd(listener: (value: T) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #drop(): void {
    this.#bytes -= this.#weights[this.#first] ?? 0
    this.#kept[this.#first] = undefined
    this.#first += 1
  }
}
