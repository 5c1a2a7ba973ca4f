/** One kind of thing that the emulator remembers: values by key, found by what else they are asked for, kept as its declaration says. */

import type { CollectionDeclaration as Kept } from '../catalogue/product.ts'

/** What is said of a collection before it is opened. `T` is the caller's word for what the file holds. */
export interface CollectionDeclaration<T extends object, I extends string = never> extends Kept {
  /** What values are found by beside their key; a value of which this is undefined is not found by it. */
  readonly indexes?: Readonly<Record<I, (value: T) => string | undefined>>
}

/** Takes what is put before it can be read, and throws where it cannot keep it. */
export interface Journal<T> {
  put(key: string, value: T): void
  delete(key: string): void
  clear(): void
  /** Called when what can be read has changed, with the way back. */
  changed(undo: () => void): void
}

interface Entry<T> {
  readonly key: string
  readonly value: T
  /** Grows in the order of making. */
  readonly place: number
}

type Entries<T> = Map<string, Entry<T>>

/**
 * Values by key, in the order of their making. Values are immutable: change one by putting another. A write costs the same
 * however many values there are; a list is made when it is asked for and shared until the next write.
 */
export class Collection<T extends object, I extends string = never> {
  readonly declaration: CollectionDeclaration<T, I>
  readonly #journal: Journal<T>
  readonly #indexes: readonly Index<T>[]
  readonly #listeners = new Set<(key: string) => void>()
  #entries: Entries<T> = new Map()
  #lastPlace = 0
  /** Set while the order of the map is not that of making: a deletion has been undone. */
  #disordered = false
  #list: readonly T[] | undefined

  constructor(
    declaration: CollectionDeclaration<T, I>,
    kept: Iterable<readonly [string, T]>,
    journal: Journal<T>,
  ) {
    this.declaration = declaration
    this.#journal = journal
    this.#indexes = Object.entries<(value: T) => string | undefined>(declaration.indexes ?? {}).map(
      ([name, keyOf]) => new Index(name, keyOf),
    )
    for (const [key, value] of kept) this.#set(key, { key, value, place: this.#nextPlace() })
  }

  get(key: string): T | undefined {
    return this.#entries.get(key)?.value
  }

  has(key: string): boolean {
    return this.#entries.has(key)
  }

  get size(): number {
    return this.#entries.size
  }

  /** Every value there is now: what is put later does not change the list. */
  list(): readonly T[] {
    this.#list ??= Array.from(this.#ordered().values(), ({ value }) => value)
    return this.#list
  }

  /** Every key and value there is now. */
  entries(): readonly (readonly [string, T])[] {
    return Array.from(this.#ordered().values(), ({ key, value }) => [key, value] as const)
  }

  /** The values that an index has under a key, in the order of their making. */
  listBy(index: I, key: string): readonly T[] {
    return this.#indexOf(index).find(key)
  }

  /** The first of {@link listBy}: for what only one value has. */
  getBy(index: I, key: string): T | undefined {
    return this.listBy(index, key)[0]
  }

  put(key: string, value: T): void {
    // The file first: what fails to be written must not be seen.
    this.#journal.put(key, value)
    const before = this.#entries.get(key)
    this.#set(key, { key, value, place: before?.place ?? this.#nextPlace() })
    this.#journal.changed(() => this.#restore(key, before))
  }

  delete(key: string): boolean {
    const before = this.#entries.get(key)
    if (!before) return false
    this.#journal.delete(key)
    this.#set(key, undefined)
    this.#journal.changed(() => this.#restore(key, before))
    return true
  }

  clear(): void {
    if (this.#entries.size === 0) return
    this.#journal.clear()
    const before = this.#ordered()
    this.#entries = new Map()
    this.#replaced(before.keys())
    this.#journal.changed(() => {
      const since = this.#entries
      this.#entries = before
      this.#replaced(new Set([...before.keys(), ...since.keys()]))
    })
  }

  /** Calls back with the key of every value that was put, deleted or put back. Returns the way to stop it. */
  onChange(listener: (key: string) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #set(key: string, entry: Entry<T> | undefined): void {
    for (const index of this.#indexes) index.move(this.#entries.get(key), entry)
    if (entry) this.#entries.set(key, entry)
    else this.#entries.delete(key)
    this.#list = undefined
    this.#tell(key)
  }

  #restore(key: string, before: Entry<T> | undefined): void {
    if (before && !this.#entries.has(key)) this.#disordered = true
    this.#set(key, before)
  }

  #replaced(keys: Iterable<string>): void {
    this.#list = undefined
    for (const index of this.#indexes) index.fill(this.#entries.values())
    for (const key of keys) this.#tell(key)
  }

  #tell(key: string): void {
    for (const listener of this.#listeners) listener(key)
  }

  #ordered(): Entries<T> {
    if (this.#disordered) {
      this.#entries = new Map([...this.#entries].sort(([, a], [, b]) => a.place - b.place))
      this.#disordered = false
    }
    return this.#entries
  }

  #nextPlace(): number {
    this.#lastPlace += 1
    return this.#lastPlace
  }

  #indexOf(name: I): Index<T> {
    const index = this.#indexes.find((candidate) => candidate.name === name)
    if (!index) throw new Error(`the collection ${this.declaration.name} declares no index ${name}`)
    return index
  }
}

/** A collection for whoever only reads. */
export type ReadableCollection<T extends object, I extends string = never> = Pick<
  Collection<T, I>,
  'get' | 'has' | 'size' | 'list' | 'entries' | 'listBy' | 'getBy' | 'onChange'
>

/** Entries by something other than their key. */
class Index<T> {
  readonly name: string
  readonly #keyOf: (value: T) => string | undefined
  readonly #groups = new Map<string, Entries<T>>()

  constructor(name: string, keyOf: (value: T) => string | undefined) {
    this.name = name
    this.#keyOf = keyOf
  }

  find(key: string): readonly T[] {
    const group = this.#groups.get(key)
    if (!group) return []
    return [...group.values()].sort((a, b) => a.place - b.place).map(({ value }) => value)
  }

  move(before: Entry<T> | undefined, after: Entry<T> | undefined): void {
    const from = before && this.#keyOf(before.value)
    const to = after && this.#keyOf(after.value)
    if (before && from !== undefined && from !== to) {
      const group = this.#groups.get(from)
      group?.delete(before.key)
      if (group?.size === 0) this.#groups.delete(from)
    }
    if (!after || to === undefined) return
    const group = this.#groups.get(to)
    if (group) group.set(after.key, after)
    else this.#groups.set(to, new Map([[after.key, after]]))
  }

  fill(entries: Iterable<Entry<T>>): void {
    this.#groups.clear()
    for (const entry of entries) this.move(undefined, entry)
  }
}
