/**
 * A program for whatever runs TypeScript: `sqlite.fixture.ts FOLDER write` fills a data folder, `… read` prints what a store
 * finds in it, `… refused` prints why it cannot be opened.
 */
import type { CollectionDeclaration } from './collection.ts'
import { Store } from './database.ts'

interface Thing {
  readonly name: string
}

const things: CollectionDeclaration<Thing, 'name'> = {
  name: 'things',
  survivesReset: false,
  survivesRestart: true,
  indexes: { name: ({ name }) => name },
}

const [, , folder = '', act] = process.argv

if (act === 'write') write()
else if (act === 'read') read()
else refused()

function write(): void {
  const store = new Store(folder)
  const kept = store.collection(things)
  for (const key of ['b', 'a', 'gone']) kept.put(key, { name: `${key} ÿ → 😀` })
  kept.put('b', { name: 'changed' })
  kept.delete('gone')
  store.transaction(() => {
    kept.put('c', { name: 'changed' })
    undone(store, () => kept.put('never', { name: 'inner' }))
  })
  undone(store, () => {
    kept.delete('a')
    kept.put('never', { name: 'outer' })
  })
  read(store)
}

function read(store = new Store(folder)): void {
  const kept = store.collection(things)
  const found = { entries: kept.entries(), changed: kept.listBy('name', 'changed').length }
  console.log(JSON.stringify({ by: 'bun' in process.versions ? 'Bun' : 'Node.js', ...found }))
  store.close()
}

function refused(): void {
  const first = new Store(folder)
  try {
    new Store(folder).close()
  } catch (error) {
    console.log(error instanceof Error ? error.message : String(error))
  } finally {
    first.close()
  }
}

function undone(store: Store, work: () => void): void {
  try {
    store.transaction(() => {
      work()
      throw new Error('undone')
    })
  } catch (error) {
    if (!(error instanceof Error) || error.message !== 'undone') throw error
  }
}
