import { Database } from 'bun:sqlite'
import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DataFolderError, Store } from './database.ts'

interface Thing {
  readonly name: string
}

const made: string[] = []
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true })
})

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'invoker-store-'))
  made.push(folder)
  return folder
}

function open(folder?: string) {
  const store = new Store(folder)
  return { store, things: store.collection<Thing>('things'), others: store.collection<Thing>('others') }
}

function refusal(folder: string): string {
  try {
    new Store(folder).close()
  } catch (error) {
    if (error instanceof DataFolderError) return error.message
    throw error
  }
  throw new Error('the folder was taken')
}

describe.each([
  ['in memory', undefined],
  ['in a file', newFolder],
] as const)('a store %s', (_where, folder) => {
  test('lists values in the order of their making, a changed one in its old place', () => {
    const { store, things } = open(folder?.())
    for (const name of ['b', 'a', 'c']) things.put(name, { name })
    things.put('a', { name: 'changed' })
    expect(things.list()).toEqual([{ name: 'b' }, { name: 'changed' }, { name: 'c' }])
    expect(things.get('a')).toEqual({ name: 'changed' })
    expect(things.delete('b')).toBe(true)
    expect(things.delete('b')).toBe(false)
    expect(things.has('b')).toBe(false)
    expect(things.size).toBe(2)
    store.close()
  })

  test('a transaction that throws leaves nothing of what it put or deleted, in any collection', () => {
    const { store, things, others } = open(folder?.())
    things.put('kept', { name: 'before' })
    others.put('deleted', { name: 'before' })
    const undone = () =>
      store.transaction(() => {
        things.put('kept', { name: 'after' })
        things.put('new', { name: 'new' })
        others.delete('deleted')
        throw new Error('half way')
      })
    expect(undone).toThrow('half way')
    expect(things.list()).toEqual([{ name: 'before' }])
    expect(others.list()).toEqual([{ name: 'before' }])
    // The next write stands on its own.
    things.put('later', { name: 'later' })
    expect(things.list()).toHaveLength(2)
    store.close()
  })

  test('tells its listeners of every change, and of one that is undone', () => {
    const { store, things } = open(folder?.())
    let changes = 0
    const stop = store.onChange(() => {
      changes += 1
    })
    things.put('a', { name: 'a' })
    things.delete('a')
    things.delete('a')
    expect(changes).toBe(2)
    expect(() =>
      store.transaction(() => {
        throw new Error('undone')
      }),
    ).toThrow('undone')
    expect(changes).toBe(3)
    stop()
    things.put('a', { name: 'a' })
    expect(changes).toBe(3)
    store.close()
  })
})

test('a file that is opened again holds all that was put, in its order, and nothing that was undone', () => {
  const folder = newFolder()
  const first = open(folder)
  for (const name of ['b', 'a']) first.things.put(name, { name })
  first.things.put('b', { name: 'changed' })
  first.others.put('x', { name: 'x' })
  first.others.delete('x')
  first.store.transaction(() => first.others.put('y', { name: 'ÿ → 😀' }))
  expect(() =>
    first.store.transaction(() => {
      first.things.put('never', { name: 'never' })
      throw new Error('undone')
    }),
  ).toThrow('undone')
  first.store.close()

  const second = open(folder)
  expect(second.things.list()).toEqual([{ name: 'changed' }, { name: 'a' }])
  expect(second.others.list()).toEqual([{ name: 'ÿ → 😀' }])
  second.store.close()
})

test('what cannot be written is not seen', () => {
  const { store, things } = open(newFolder())
  const circular: { name: string; self?: unknown } = { name: 'round' }
  circular.self = circular
  expect(() => things.put('round', circular)).toThrow()
  expect(things.has('round')).toBe(false)
  store.close()
})

test('a new data folder is for its owner alone, and the file in any folder: it holds private keys', () => {
  const folder = join(newFolder(), 'new', 'data')
  const { store, things } = open(folder)
  things.put('a', { name: 'a' })
  expect(statSync(folder).mode & 0o777).toBe(0o700)
  for (const file of readdirSync(folder)) expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600)
  expect(readdirSync(folder).length).toBeGreaterThan(1)
  store.close()
})

describe('a folder that cannot be used is one line that says why and what to do', () => {
  test('a layout of another version', () => {
    const folder = newFolder()
    new Store(folder).close()
    const db = new Database(join(folder, 'invoker.sqlite'))
    db.exec('PRAGMA user_version = 99')
    db.close()
    const message = refusal(folder)
    expect(message).toMatch(/layout 99.*use the version that made it, or name another folder\.$/)
    expect(message).not.toContain('\n')
    // Nothing was changed in it.
    const again = new Database(join(folder, 'invoker.sqlite'))
    expect(again.query('PRAGMA user_version').get()).toEqual({ user_version: 99 })
    again.close()
  })

  test('a second store while the first is open; after that it may', () => {
    const folder = newFolder()
    const { store, things } = open(folder)
    const message = refusal(folder)
    expect(message).toMatch(/Another emulator is using it: stop that one, or name another folder\.$/)
    expect(message).not.toContain('\n')
    things.put('a', { name: 'the first goes on' })
    store.close()
    const second = open(folder)
    expect(second.things.size).toBe(1)
    second.store.close()
  })

  test('a file where the folder should be, and a file that is no database', () => {
    const file = join(newFolder(), 'file')
    writeFileSync(file, 'text')
    expect(refusal(file)).toMatch(/cannot be used: .*Name a folder that can be written\.$/)
    const folder = newFolder()
    writeFileSync(
      join(folder, 'invoker.sqlite'),
      'this is no database at all, and long enough to be looked at',
    )
    expect(refusal(folder)).toMatch(/cannot be used: .*not a database/)
  })
})
