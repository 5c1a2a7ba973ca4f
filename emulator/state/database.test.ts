import { Database } from 'bun:sqlite'
import { afterAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { isError } from '../errors/errors.ts'
import type { CollectionDeclaration } from './collection.ts'
import { Store } from './database.ts'
import { openSqlite, type Sqlite } from './sqlite.ts'

interface Thing {
  readonly name: string
}

const things: CollectionDeclaration<Thing, 'name'> = {
  name: 'things',
  survivesReset: false,
  survivesRestart: true,
  indexes: { name: ({ name }) => (name === '' ? undefined : name) },
}
const others: CollectionDeclaration<Thing> = { name: 'others', survivesReset: true, survivesRestart: true }

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
  return { store, things: store.collection(things), others: store.collection(others) }
}

function refusal(folder: string): string {
  const message = trouble(folder)
  if (message === undefined) throw new Error('the folder was taken')
  return message
}

/** Why a folder is not taken, if it is not. */
function trouble(folder: string): string | undefined {
  const store = openStore(folder)
  if (typeof store === 'string') return store
  try {
    for (const declaration of [things, others]) store.collection(declaration)
    return undefined
  } catch (error) {
    if (isError(error, 'ERR_DATA_FOLDER')) return error.message
    throw error
  } finally {
    store.close()
  }
}

function openStore(folder: string): Store | string {
  try {
    return new Store(folder)
  } catch (error) {
    if (isError(error, 'ERR_DATA_FOLDER')) return error.message
    throw error
  }
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

  test('a deletion that is undone leaves the order as it was', () => {
    const { store, things } = open(folder?.())
    for (const name of ['a', 'b', 'c']) things.put(name, { name })
    expect(() =>
      store.transaction(() => {
        for (const name of ['a', 'b']) things.delete(name)
        throw new Error('undone')
      }),
    ).toThrow('undone')
    expect(things.list().map(({ name }) => name)).toEqual(['a', 'b', 'c'])
    expect(things.entries().map(([key]) => key)).toEqual(['a', 'b', 'c'])
    store.close()
  })

  test('of a transaction inside another, what throws is undone and the rest is kept', () => {
    const { store, things } = open(folder?.())
    store.transaction(() => {
      things.put('outer', { name: 'outer' })
      expect(() =>
        store.transaction(() => {
          things.put('inner', { name: 'inner' })
          things.delete('outer')
          throw new Error('undone')
        }),
      ).toThrow('undone')
      store.transaction(() => things.put('second', { name: 'second' }))
    })
    expect(things.list().map(({ name }) => name)).toEqual(['outer', 'second'])
    expect(() =>
      store.transaction(() => {
        store.transaction(() => things.put('third', { name: 'third' }))
        throw new Error('all of it')
      }),
    ).toThrow('all of it')
    expect(things.has('third')).toBe(false)
    store.close()
  })

  test('finds values by what they declare, in the order of their making, whatever is put, deleted or undone', () => {
    const { store, things } = open(folder?.())
    for (const key of ['1', '2', '3']) things.put(key, { name: 'same' })
    things.put('none', { name: '' })
    const keys = (name: string) =>
      things.listBy('name', name).map((thing) => things.entries().find(([, one]) => one === thing)?.[0])
    expect(keys('same')).toEqual(['1', '2', '3'])
    expect(things.getBy('name', 'other')).toBeUndefined()
    expect(things.listBy('name', '')).toEqual([])
    things.put('2', { name: 'other' })
    expect(keys('same')).toEqual(['1', '3'])
    expect(keys('other')).toEqual(['2'])
    const undone = (work: () => void) =>
      expect(() =>
        store.transaction(() => {
          work()
          throw new Error('undone')
        }),
      ).toThrow('undone')
    undone(() => things.delete('1'))
    expect(keys('same')).toEqual(['1', '3'])
    undone(() => things.clear())
    expect(keys('same')).toEqual(['1', '3'])
    expect(keys('other')).toEqual(['2'])
    store.close()
  })

  test('a list that was handed out stays what it was', () => {
    const { store, things } = open(folder?.())
    things.put('a', { name: 'a' })
    const before = things.list()
    things.put('b', { name: 'b' })
    things.delete('a')
    expect(before).toEqual([{ name: 'a' }])
    expect(things.list()).toEqual([{ name: 'b' }])
    store.close()
  })

  test('a reset leaves what is declared to survive it, and nothing else', () => {
    const where = folder?.()
    const { store, things, others } = open(where)
    things.put('a', { name: 'a' })
    others.put('a', { name: 'a' })
    store.reset()
    things.put('b', { name: 'b' })
    expect(things.list()).toEqual([{ name: 'b' }])
    expect(others.size).toBe(1)
    store.close()
    if (where === undefined) return
    const again = open(where)
    expect(again.things.list()).toEqual([{ name: 'b' }])
    expect(again.others.size).toBe(1)
    again.store.close()
  })

  test('one declaration is one collection, and one name one declaration', () => {
    const { store, things: first } = open(folder?.())
    expect(store.collection(things)).toBe(first)
    expect(() => store.collection({ ...things })).toThrow('two collections are declared as things')
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

test('what is declared not to survive a restart is not in the file', () => {
  const folder = newFolder()
  const passing: CollectionDeclaration<Thing> = {
    name: 'passing',
    survivesReset: false,
    survivesRestart: false,
  }
  const first = new Store(folder)
  first.collection(passing).put('a', { name: 'a' })
  expect(first.collection(passing).size).toBe(1)
  first.close()
  const second = new Store(folder)
  expect(second.collection(passing).size).toBe(0)
  second.close()
})

describe('one write costs one row, however many there are', () => {
  /** What the file is asked to do, in order. */
  function counted(folder: string) {
    const ran: string[] = []
    const connect = (file: string): Sqlite => {
      const db = openSqlite(file)
      return {
        exec(sql) {
          ran.push(sql)
          db.exec(sql)
        },
        prepare(sql) {
          const statement = db.prepare(sql)
          const run = (...parameters: readonly string[]) => {
            ran.push(sql)
            statement.run(...parameters)
          }
          return { run, all: statement.all }
        },
        close: () => db.close(),
      }
    }
    const store = new Store(folder, connect)
    const many = store.collection(things)
    store.transaction(() => {
      for (let row = 0; row < 2000; row += 1) many.put(`row ${row}`, { name: 'a row' })
    })
    ran.length = 0
    return { store, many, ran }
  }

  test('a value put or deleted is one statement and one call of each listener', () => {
    const { store, many, ran } = counted(newFolder())
    const keys: string[] = []
    many.onChange((key) => keys.push(key))
    many.put('row 7', { name: 'changed' })
    many.delete('row 8')
    expect(ran.map((sql) => sql.slice(0, 6))).toEqual(['INSERT', 'DELETE'])
    expect(keys).toEqual(['row 7', 'row 8'])
    store.close()
  })

  test('a transaction is its statements and two more, and its undoing touches what it had touched', () => {
    const { store, many, ran } = counted(newFolder())
    const keys: string[] = []
    many.onChange((key) => keys.push(key))
    store.transaction(() => many.put('new', { name: 'new' }))
    expect(ran.map((sql) => sql.split(' ')[0])).toEqual(['BEGIN', 'INSERT', 'COMMIT'])
    expect(() =>
      store.transaction(() => {
        many.put('row 1', { name: 'changed' })
        throw new Error('undone')
      }),
    ).toThrow('undone')
    expect(keys).toEqual(['new', 'row 1', 'row 1'])
    store.close()
  })

  test('no value is looked at but the one that is written', () => {
    let read = 0
    const store = new Store()
    const watched = store.collection<Thing, 'name'>({
      ...things,
      indexes: {
        name: ({ name }) => {
          read += 1
          return name
        },
      },
    })
    for (let row = 0; row < 2000; row += 1) watched.put(`row ${row}`, { name: 'a row' })
    read = 0
    watched.put('row 7', { name: 'changed' })
    watched.delete('row 8')
    expect(read).toBeLessThanOrEqual(3)
    store.close()
  })
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

  test('a folder where the file should be', () => {
    const folder = newFolder()
    mkdirSync(join(folder, 'invoker.sqlite'))
    expect(refusal(folder)).toMatch(
      /cannot be used: .*\/invoker\.sqlite.*Name a folder that can be written\.$/,
    )
  })

  test('a value that no emulator writes', () => {
    const folder = newFolder()
    open(folder).store.close()
    for (const value of ['{"name": ', '1', 'null', '"text"']) {
      const db = new Database(join(folder, 'invoker.sqlite'))
      db.query('INSERT OR REPLACE INTO resources VALUES (?1, ?2, ?3)').run('things', 'a', value)
      db.close()
      expect(refusal(folder)).toMatch(
        /\/invoker\.sqlite is damaged \("a" of things is not what .*Put back a copy/,
      )
    }
  })

  test('a file in which bytes have changed, or an end is missing, is opened whole or not at all', () => {
    const whole = newFolder()
    const { store, things } = open(whole)
    for (let index = 0; index < 300; index += 1)
      things.put(`${index}`, { name: `the thing ${index}`.repeat(9) })
    store.close()
    const bytes = readFileSync(join(whole, 'invoker.sqlite'))
    const change = fc.record({
      at: fc.nat(bytes.length - 1),
      length: fc.integer({ min: 1, max: 5000 }),
      byte: fc.integer({ min: 0, max: 255 }),
      cut: fc.boolean(),
    })
    let refused = 0
    fc.assert(
      fc.property(change, ({ at, length, byte, cut }) => {
        const folder = newFolder()
        const changed = cut
          ? bytes.subarray(0, at)
          : Buffer.from(bytes).fill(byte, at, Math.min(at + length, bytes.length))
        writeFileSync(join(folder, 'invoker.sqlite'), changed)
        const message = trouble(folder)
        if (message === undefined) return
        refused += 1
        expect(message).toMatch(/^The data folder [^\n]*\/invoker\.sqlite[^\n]*\.$/)
      }),
      { numRuns: 200 },
    )
    expect(refused).toBeGreaterThan(100)
  })
})
