import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openSqlite, openWithBun } from './sqlite.ts'

/** Node.js with an SQLite of its own. The first time it is fetched. */
const installed = Bun.spawnSync([
  process.execPath,
  fileURLToPath(import.meta.resolve('../../scripts/node.ts')),
])
const node = installed.success ? installed.stdout.toString().trim() : undefined
if (node === undefined) console.log(`SKIPPED: the store under Node.js: ${installed.stderr.toString().trim()}`)

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

describe.skipIf(node === undefined)('under Node.js', () => {
  const folder = mkdtempSync(join(tmpdir(), 'invoker-node-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  /** What the program of sqlite.fixture.ts prints. */
  function ran(by: string | undefined, data: string, act: 'write' | 'read' | 'refused'): string {
    const program = fileURLToPath(import.meta.resolve('./sqlite.fixture.ts'))
    const { stdout, stderr, success } = Bun.spawnSync([by ?? '', program, join(folder, data), act])
    if (!success) throw new Error(stderr.toString())
    return stdout.toString().trim()
  }
  const found = (by: string) => ({
    by,
    entries: [
      ['b', { name: 'changed' }],
      ['a', { name: 'a ÿ → 😀' }],
      ['c', { name: 'changed' }],
    ],
    changed: 2,
  })

  test('a store writes, undoes and finds what it does under Bun, and each reads the file of the other', () => {
    expect(JSON.parse(ran(node, 'node', 'write'))).toEqual(found('Node.js'))
    expect(JSON.parse(ran(process.execPath, 'node', 'read'))).toEqual(found('Bun'))
    expect(JSON.parse(ran(process.execPath, 'bun', 'write'))).toEqual(found('Bun'))
    expect(JSON.parse(ran(node, 'bun', 'read'))).toEqual(found('Node.js'))
  })

  test('a second store on the same folder is refused with the line that Bun has', () => {
    const line = ran(node, 'twice', 'refused')
    expect(line).toEndWith('Another emulator is using it: stop that one, or name another folder.')
    expect(ran(process.execPath, 'twice', 'refused')).toBe(line)
  })
})
