/** What was decided, newest last: each under an id that no other has, so that it can be named, found, and read on from. */
import { type Decision, weightOf } from '../decision/decision.ts'
import { Ring } from './ring.ts'

/** A decision that has not been kept yet. */
export type NewDecision = Omit<Decision, 'id'>

/** What came after a decision. */
export interface Following {
  readonly decisions: readonly Decision[]
  /** How many came between and are not kept any more; undefined where nobody can say: the id is of an earlier emulator. */
  readonly missed: number | undefined
}

const MIB = 1024 * 1024
const ID = /^([0-9a-z]+)-(\d{1,15})$/

export class DecisionLog {
  readonly #kept = new Ring<Decision>({ size: 1000, bytes: 16 * MIB, weigh: weightOf })
  /** Tells the ids of this emulator from those of one before it. */
  readonly #life: string
  #count = 0

  /** `started` in milliseconds since the epoch. */
  constructor(started: number) {
    this.#life = Math.floor(started / 1000).toString(36)
  }

  add(found: NewDecision): Decision {
    this.#count += 1
    const decision: Decision = { id: this.last, ...found }
    this.#kept.add(decision)
    return decision
  }

  /** The id of the newest; where there is none, an id to read on from all the same. */
  get last(): string {
    return `${this.#life}-${this.#count}`
  }

  list(): readonly Decision[] {
    return this.#kept.list()
  }

  find(id: string): Decision | undefined {
    return this.#kept.list().find((decision) => decision.id === id)
  }

  /** Those made after the one of an id, whether or not that one is kept. Undefined where it is no id. */
  after(id: string): Following | undefined {
    const [, life, digits] = ID.exec(id) ?? []
    if (life === undefined || digits === undefined) return undefined
    const kept = this.#kept.list()
    const place = Number(digits)
    if (life !== this.#life || place > this.#count) return { decisions: kept, missed: undefined }
    const decisions = kept.slice(Math.max(0, kept.length - (this.#count - place)))
    return { decisions, missed: this.#count - place - decisions.length }
  }

  clear(): void {
    this.#kept.clear()
  }

  /** Calls back with every later decision. Returns the way to stop it. */
  onAdd(listener: (decision: Decision) => void): () => void {
    return this.#kept.onAdd(listener)
  }
}
