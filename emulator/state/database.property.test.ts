/** The store against a model of it that copies everything: whatever is put, deleted, cleared and undone, both hold the same. */
import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import type { Collection, CollectionDeclaration } from './collection.ts'
import { Store } from './database.ts'

interface Thing {
  readonly kind: string
  readonly made: number
}

type Act =
  | { readonly act: 'put'; readonly key: string; readonly value: Thing }
  | { readonly act: 'delete'; readonly key: string }
  | { readonly act: 'clear' }
  | { readonly act: 'transaction'; readonly throws: boolean; readonly inside: readonly Act[] }

const things: CollectionDeclaration<Thing, 'kind'> = {
  name: 'things',
  survivesReset: false,
  survivesRestart: true,
  indexes: { kind: ({ kind }) => (kind === 'none' ? undefined : kind) },
}

const KINDS = ['a', 'b', 'none']
const key = fc.constantFrom('1', '2', '3', '4', '5')
const acts = fc.letrec<{ act: Act; inside: Act[] }>((tie) => ({
  act: fc.oneof(
    { maxDepth: 3 },
    fc.record({
      act: fc.constant('put' as const),
      key,
      value: fc.record({ kind: fc.constantFrom(...KINDS), made: fc.nat(9) }),
    }),
    fc.record({ act: fc.constant('delete' as const), key }),
    fc.record({ act: fc.constant('clear' as const) }),
    fc.record({ act: fc.constant('transaction' as const), throws: fc.boolean(), inside: tie('inside') }),
  ),
  inside: fc.array(tie('act'), { maxLength: 6 }),
}))

class Undone extends Error {}

/** Does it to the store. */
function perform(store: Store, kept: Collection<Thing, 'kind'>, act: Act): void {
  if (act.act === 'put') kept.put(act.key, act.value)
  else if (act.act === 'delete') kept.delete(act.key)
  else if (act.act === 'clear') kept.clear()
  else
    try {
      store.transaction(() => {
        for (const one of act.inside) perform(store, kept, one)
        if (act.throws) throw new Undone()
      })
    } catch (error) {
      if (!(error instanceof Undone)) throw error
    }
}

/** What is there when that has been done to `before`. */
function after(before: ReadonlyMap<string, Thing>, act: Act): ReadonlyMap<string, Thing> {
  if (act.act === 'clear') return new Map()
  if (act.act === 'transaction') return act.throws ? before : act.inside.reduce(after, before)
  const copy = new Map(before)
  if (act.act === 'put') copy.set(act.key, act.value)
  else copy.delete(act.key)
  return copy
}

function holds(kept: Collection<Thing, 'kind'>, model: ReadonlyMap<string, Thing>): void {
  expect(kept.entries()).toEqual([...model])
  expect(kept.list()).toEqual([...model.values()])
  expect(kept.size).toBe(model.size)
  for (const kind of KINDS) {
    const found = kind === 'none' ? [] : [...model.values()].filter((thing) => thing.kind === kind)
    expect(kept.listBy('kind', kind)).toEqual(found)
  }
}

/** Does all of it, and looks after each act. */
function follow(store: Store, list: readonly Act[]): ReadonlyMap<string, Thing> {
  const kept = store.collection(things)
  let model: ReadonlyMap<string, Thing> = new Map()
  for (const act of list) {
    model = after(model, act)
    perform(store, kept, act)
    holds(kept, model)
  }
  store.close()
  return model
}

const lists = fc.array(acts.act, { maxLength: 12 })

test('after any acts the store holds what the model holds, in its order and by its indexes', () => {
  fc.assert(
    fc.property(lists, (list) => void follow(new Store(), list)),
    { numRuns: 300 },
  )
})

test('and its file holds it when it is opened again', () => {
  const folder = mkdtempSync(join(tmpdir(), 'invoker-property-'))
  let run = 0
  try {
    fc.assert(
      fc.property(lists, (list) => {
        run += 1
        const data = join(folder, String(run))
        const model = follow(new Store(data), list)
        const again = new Store(data)
        holds(again.collection(things), model)
        again.close()
      }),
      { numRuns: 25 },
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
})
