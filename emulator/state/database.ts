/** One SQLite file, or memory. What has been put is on disk before `put` returns; reads never touch the disk. */
import { chmodSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { InvokerError, isError, reasonOf } from '../errors/errors.ts'
import { Collection, type CollectionDeclaration } from './collection.ts'
import { openSqlite, RESULT, resultCode, type Sqlite, type Statement } from './sqlite.ts'

/** The layout of the file. A file of another layout is refused, not guessed at. */
const LAYOUT = 2
const FILE = 'invoker.sqlite'

export class Store {
  /** Undefined: nothing outlives this object. */
  readonly #file: File | undefined
  readonly #listeners = new Set<() => void>()
  readonly #opened = new Map<string, Opened>()
  /** What the open transactions have done, as the ways back, oldest first. */
  #undo: (() => void)[] | undefined

  /** `folder` undefined: memory. `connect` is how the file is opened. */
  constructor(folder?: string, connect: (file: string) => Sqlite = openSqlite) {
    if (folder !== undefined) this.#file = openFile(folder, connect)
  }

  /** The collection that is declared so; one that is open already is the same again. */
  collection<T extends object, I extends string = never>(
    declaration: CollectionDeclaration<T, I>,
  ): Collection<T, I> {
    const { name } = declaration
    const known = this.#opened.get(name)
    // One declaration, one type: what was opened by it is of its type.
    if (known?.declaration === declaration) return known.collection as Collection<T, I>
    if (known) throw new Error(`two collections are declared as ${name}`)
    const file = declaration.survivesRestart ? this.#file : undefined
    const rows = file === undefined ? [] : readRows<T>(file, name)
    const collection = new Collection<T, I>(declaration, rows, {
      put: (key, value) => file?.put.run(name, key, JSON.stringify(value)),
      delete: (key) => file?.delete.run(name, key),
      clear: () => file?.clear.run(name),
      changed: (undo) => {
        this.#undo?.push(undo)
        this.#changed()
      },
    })
    this.#opened.set(name, { declaration, collection, clear: () => collection.clear() })
    return collection
  }

  /** Either all that `work` puts is kept, or, when it throws, nothing. `work` must not wait. One may stand inside another. */
  transaction<R>(work: () => R): R {
    const outer = this.#undo
    const undo = outer ?? []
    const mark = undo.length
    const name = `nested_${mark}`
    this.#file?.exec(outer ? `SAVEPOINT ${name}` : 'BEGIN')
    this.#undo = undo
    try {
      const result = work()
      this.#file?.exec(outer ? `RELEASE ${name}` : 'COMMIT')
      return result
    } catch (error) {
      this.#undo = undefined
      for (const back of undo.splice(mark).reverse()) back()
      this.#rollBack(outer ? `ROLLBACK TO ${name}; RELEASE ${name}` : 'ROLLBACK')
      this.#changed()
      throw error
    } finally {
      this.#undo = outer
    }
  }

  /** Empties what does not survive a reset. */
  reset(): void {
    for (const { declaration, clear } of this.#opened.values()) if (!declaration.survivesReset) clear()
  }

  /** Calls back after every change. Returns the way to stop it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    this.#listeners.clear()
    this.#file?.close()
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }

  #rollBack(sql: string): void {
    try {
      this.#file?.exec(sql)
    } catch {
      // On a full disk, say, SQLite has rolled back by itself; the error that led here is the one to tell.
    }
  }
}

/** A collection, whatever it holds. */
interface Opened {
  readonly declaration: Pick<CollectionDeclaration<never>, 'survivesReset'>
  readonly collection: unknown
  clear(): void
}

/** The file, and what is done with its one table. */
interface File {
  readonly path: string
  readonly rows: Statement
  readonly put: Statement
  readonly delete: Statement
  readonly clear: Statement
  exec(sql: string): void
  close(): void
}

function prepareFile(path: string, db: Sqlite): File {
  return {
    path,
    rows: db.prepare('SELECT key, value FROM resources WHERE collection = ?1 ORDER BY rowid'),
    put: db.prepare(
      'INSERT INTO resources (collection, key, value) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = ?3',
    ),
    delete: db.prepare('DELETE FROM resources WHERE collection = ?1 AND key = ?2'),
    clear: db.prepare('DELETE FROM resources WHERE collection = ?1'),
    exec: (sql) => db.exec(sql),
    close: () => db.close(),
  }
}

/** @throws {InvokerError} ERR_DATA_FOLDER */
function openFile(folder: string, connect: (file: string) => Sqlite): File {
  const path = join(folder, FILE)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const db = connect(path)
    try {
      chmodSync(path, 0o600) // it holds private keys; SQLite makes its other files alike
      prepare(path, db)
      return prepareFile(path, db)
    } catch (error) {
      db.close() // else a folder that was refused stays locked
      throw error
    }
  } catch (error) {
    throw unusable(folder, path, error)
  }
}

function unusable(folder: string, path: string, error: unknown): InvokerError {
  if (isError(error)) return error
  const code = resultCode(error)
  if (code === RESULT.NOTADB || code === RESULT.CORRUPT) return damaged(path, reasonOf(error), error)
  const mend =
    code === RESULT.BUSY
      ? 'Another emulator is using it: stop that one, or name another folder.'
      : 'Name a folder that can be written.'
  // SQLite does not say which file it could not open.
  const where = code === undefined ? '' : ` (${path})`
  const sentence = `The data folder ${folder} cannot be used: ${reasonOf(error)}${where}.`
  return new InvokerError('ERR_DATA_FOLDER', sentence, { mend, cause: error })
}

function damaged(path: string, reason: string, cause?: unknown): InvokerError {
  const sentence = `The data folder cannot be used: ${path} is damaged (${reason.split('\n')[0]}).`
  const mend = 'Put back a copy of it, or move it away to start anew without what it held.'
  return new InvokerError('ERR_DATA_FOLDER', sentence, { mend, cause })
}

function prepare(path: string, db: Sqlite): void {
  // EXCLUSIVE: a second emulator on the same folder must be told, not raced.
  db.exec('PRAGMA locking_mode = EXCLUSIVE')
  db.exec('PRAGMA journal_mode = WAL')
  db.exec('PRAGMA synchronous = FULL')
  // What is damaged is found now, not by the request that happens to touch it.
  const [check] = db.prepare('PRAGMA quick_check(1)').all()
  if (check?.quick_check !== 'ok') throw damaged(path, String(check?.quick_check))
  const layout = Number(db.prepare('PRAGMA user_version').all()[0]?.user_version ?? 0)
  if (layout !== 0 && layout !== LAYOUT) {
    throw new InvokerError(
      'ERR_DATA_FOLDER',
      `The data folder cannot be used: ${path} has layout ${layout}, this version knows ${LAYOUT}. What one version exports another imports: use the version that made it, or name another folder.`,
    )
  }
  db.exec(
    'CREATE TABLE IF NOT EXISTS resources (collection TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (collection, key))',
  )
  db.exec(`PRAGMA user_version = ${LAYOUT}`)
}

/** The rows of a collection. Whatever is there must at least be what this program writes: an object as JSON. */
function readRows<T extends object>(
  { path, rows }: File,
  collection: string,
): readonly (readonly [string, T])[] {
  return allOf(path, () => rows.all(collection)).map(({ key, value }) => {
    const read = objectOf<T>(String(value))
    if (read === undefined)
      throw damaged(path, `${JSON.stringify(key)} of ${collection} is not what an emulator writes`)
    return [String(key), read] as const
  })
}

function allOf<R>(path: string, read: () => R): R {
  try {
    return read()
  } catch (error) {
    throw unusable(dirname(path), path, error)
  }
}

function objectOf<T extends object>(json: string): T | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? (value as T) : undefined
  } catch {
    return undefined
  }
}
