/** One SQLite file, or memory. What has been put is on disk before `put` returns; reads never touch the disk. */
import { Database } from 'bun:sqlite'
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'

/** The layout of the file. A file of another layout is refused, not guessed at. */
const LAYOUT = 1
const FILE = 'invoker.sqlite'

/** A data folder that cannot be used. The message is one line for a person. */
export class DataFolderError extends Error {
  readonly code = 'ERR_DATA_FOLDER'
}

export class Store {
  readonly #db: Database
  readonly #put
  readonly #delete
  readonly #listeners = new Set<() => void>()
  readonly #collections: Revertible[] = []

  /** `folder` undefined: memory. */
  constructor(folder?: string) {
    this.#db = open(folder)
    this.#put = this.#db.query<null, [string, string, string]>(
      'INSERT INTO resources (collection, key, value) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = ?3',
    )
    this.#delete = this.#db.query<null, [string, string]>(
      'DELETE FROM resources WHERE collection = ?1 AND key = ?2',
    )
  }

  /** The collection of this name. Call once a name: the type is the caller's word for what the file holds. */
  collection<T extends object>(name: string): Collection<T> {
    const rows = this.#db
      .query<{ key: string; value: string }, [string]>(
        'SELECT key, value FROM resources WHERE collection = ?1 ORDER BY rowid',
      )
      .all(name)
    const collection = new Collection<T>(
      new Map(rows.map(({ key, value }) => [key, JSON.parse(value) as T])),
      {
        put: (key, value) => this.#put.run(name, key, JSON.stringify(value)),
        delete: (key) => this.#delete.run(name, key),
        changed: () => this.#changed(),
      },
    )
    this.#collections.push(collection)
    return collection
  }

  /** Either all that `work` puts is kept, or, when it throws, nothing. `work` must not wait. */
  transaction<R>(work: () => R): R {
    const undo = this.#collections.map((collection) => collection.checkpoint())
    try {
      return this.#db.transaction(work)()
    } catch (error) {
      for (const revert of undo) revert()
      this.#changed()
      throw error
    }
  }

  /** Calls back after every change. Returns the way to stop it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    this.#listeners.clear()
    this.#db.close()
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}

interface Revertible {
  checkpoint(): () => void
}

interface Writer<T> {
  put(key: string, value: T): void
  delete(key: string): void
  /** Called when what can be read has changed. */
  changed(): void
}

/** Values by key, in the order of their making. Values are immutable: change one by putting another. */
export class Collection<T extends object> implements Revertible {
  #values: Map<string, T>
  readonly #writer: Writer<T>

  constructor(values: Map<string, T>, writer: Writer<T>) {
    this.#values = values
    this.#writer = writer
  }

  get(key: string): T | undefined {
    return this.#values.get(key)
  }

  has(key: string): boolean {
    return this.#values.has(key)
  }

  list(): readonly T[] {
    return [...this.#values.values()]
  }

  get size(): number {
    return this.#values.size
  }

  put(key: string, value: T): void {
    // The file first: what fails to be written must not be seen.
    this.#writer.put(key, value)
    this.#values.set(key, value)
    this.#writer.changed()
  }

  delete(key: string): boolean {
    if (!this.#values.has(key)) return false
    this.#writer.delete(key)
    this.#values.delete(key)
    this.#writer.changed()
    return true
  }

  snapshot(): ReadonlyMap<string, T> {
    return new Map(this.#values)
  }

  /** Remembers the values there are. Returns the way back to them. */
  checkpoint(): () => void {
    const values = new Map(this.#values)
    return () => {
      this.#values = new Map(values)
    }
  }
}

function open(folder: string | undefined): Database {
  if (folder === undefined) return prepare(new Database(':memory:'))
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const file = join(folder, FILE)
    const db = new Database(file, { create: true })
    try {
      chmodSync(file, 0o600) // it holds private keys; SQLite makes its other files alike
      return prepare(db)
    } catch (error) {
      db.close() // else a folder that was refused stays locked
      throw error
    }
  } catch (error) {
    if (error instanceof DataFolderError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    const mend = /locked/i.test(reason)
      ? 'Another emulator is using it: stop that one, or name another folder.'
      : 'Name a folder that can be written.'
    throw new DataFolderError(`The data folder ${folder} cannot be used: ${reason}. ${mend}`, {
      cause: error,
    })
  }
}

function prepare(db: Database): Database {
  // EXCLUSIVE: a second emulator on the same folder must be told, not raced.
  db.exec('PRAGMA locking_mode = EXCLUSIVE')
  db.exec('PRAGMA journal_mode = WAL')
  db.exec('PRAGMA synchronous = FULL')
  const layout = db.query<{ user_version: number }, []>('PRAGMA user_version').get()?.user_version ?? 0
  if (layout !== 0 && layout !== LAYOUT) {
    throw new DataFolderError(
      `The data folder has layout ${layout}, this version knows ${LAYOUT}: use the version that made it, or name another folder.`,
    )
  }
  db.exec(
    'CREATE TABLE IF NOT EXISTS resources (collection TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (collection, key))',
  )
  db.exec(`PRAGMA user_version = ${LAYOUT}`)
  return db
}
