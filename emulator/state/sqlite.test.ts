import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSqlite, openWithBun } from './sqlite.ts'

test("a program that Bun runs has Bun's own SQLite", () => {
  expect(openSqlite).toBe(openWithBun)
})

test('what one statement writes another reads, in the types of the columns, and again from the file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'invoker-sqlite-'))
  const file = join(folder, 'a.sqlite')
  try {
    const db = openSqlite(file)
    db.exec('CREATE TABLE t (a TEXT, b TEXT); PRAGMA user_version = 7')
    const put = db.prepare('INSERT INTO t VALUES (?1, ?2)')
    put.run('ÿ → 😀', 'b')
    put.run('c', 'd')
    expect(db.prepare('SELECT * FROM t WHERE a = ?1').all('c')).toEqual([{ a: 'c', b: 'd' }])
    db.close()
    const again = openSqlite(file)
    expect(again.prepare('SELECT a FROM t ORDER BY rowid').all()).toEqual([{ a: 'ÿ → 😀' }, { a: 'c' }])
    expect(again.prepare('PRAGMA user_version').all()).toEqual([{ user_version: 7 }])
    again.close()
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a statement that is wrong, or that breaks a rule of its table, throws', () => {
  const db = openSqlite(':memory:')
  expect(() => db.exec('CREATE')).toThrow()
  expect(() => db.prepare('SELECT * FROM nowhere').all()).toThrow('no such table')
  db.exec('CREATE TABLE t (a TEXT NOT NULL PRIMARY KEY)')
  const put = db.prepare('INSERT INTO t VALUES (?1)')
  put.run('a')
  expect(() => put.run('a')).toThrow('UNIQUE')
  db.close()
})
