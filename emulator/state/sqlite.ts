/** SQLite as the store speaks it, by what the running program brings along: Bun's own, or Node's (22 and later). */
import { createRequire } from 'node:module'

export interface Sqlite {
  /** Runs statements that give nothing back. */
  exec(sql: string): void
  prepare(sql: string): Statement
  close(): void
}

/** One statement, made once and run often. Its parameters are `?1`, `?2`, … */
export interface Statement {
  run(...parameters: readonly string[]): void
  all(...parameters: readonly string[]): readonly Readonly<Record<string, unknown>>[]
}

const require = createRequire(import.meta.url)

/** Opens a file, made where there is none. @throws what SQLite says: no database, no permission, no space */
export const openSqlite: (file: string) => Sqlite = 'bun' in process.versions ? openWithBun : openWithNode

/** Whether another program holds the file: SQLITE_BUSY, 5, which Bun calls `errno` and Node.js `errcode`. */
export function isBusy(error: unknown): boolean {
  const { errno, errcode } = Object(error) as { readonly errno?: unknown; readonly errcode?: unknown }
  return errno === 5 || errcode === 5
}

export function openWithBun(file: string): Sqlite {
  const { Database }: typeof import('bun:sqlite') = require('bun:sqlite')
  const db = new Database(file, { create: true })
  return {
    exec: (sql) => void db.exec(sql),
    prepare(sql) {
      const statement = db.query<Record<string, unknown>, string[]>(sql)
      return {
        run: (...parameters) => void statement.run(...parameters),
        all: (...parameters) => statement.all(...parameters),
      }
    },
    close: () => db.close(),
  }
}

export function openWithNode(file: string): Sqlite {
  const { DatabaseSync }: typeof import('node:sqlite') = require('node:sqlite')
  const db = new DatabaseSync(file)
  return {
    exec: (sql) => db.exec(sql),
    prepare(sql) {
      const statement = db.prepare(sql)
      return {
        run: (...parameters) => void statement.run(...parameters),
        all: (...parameters) => statement.all(...parameters),
      }
    },
    close: () => db.close(),
  }
}
