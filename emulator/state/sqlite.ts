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

/** SQLite's own number for what a call threw (https://sqlite.org/rescode.html); undefined where it was not SQLite that threw. */
export function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined
  const told =
    'code' in error && 'errno' in error && /^SQLITE_/.test(String(error.code))
      ? error.errno // Bun
      : 'errcode' in error
        ? error.errcode // Node
        : undefined
  // The upper bytes of some say more; the lowest is one of the list.
  return typeof told === 'number' ? told & 0xff : undefined
}

export const RESULT = { BUSY: 5, CORRUPT: 11, NOTADB: 26 } as const

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

function openWithNode(file: string): Sqlite {
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
