import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { houseOf, mermaid, PAGE, withDrawing } from './house.ts'
import { type Import, type ImportGraph, readImports } from './imports.ts'

const ROOT = join(import.meta.dir, '..')

test('the picture of docs/architecture.md is drawn from the imports as they are: bun scripts/house.ts --write', () => {
  const page = readFileSync(join(ROOT, PAGE), 'utf8')
  expect(page).toBe(withDrawing(page, mermaid(houseOf(readImports(ROOT)))))
})

const room = { may: [], why: '' }
const table = { a: room, b: room, c: room, d: room }
const imports = (target: string, typeOnly = false): Import => ({ target, kind: 'file', typeOnly })

test('an arrow is drawn where no other way leads to the room, and dotted where it is of types alone', () => {
  const graph: ImportGraph = new Map([
    ['a/a.ts', [imports('b/b.ts'), imports('c/c.ts'), imports('a/other.ts'), imports('d/d.ts', true)]],
    ['b/b.ts', [imports('c/c.ts')]],
    ['b/b.test.ts', [imports('d/d.ts')]],
    ['c/c.ts', [imports('b/b.ts', true)]],
  ])
  expect(houseOf(graph, table)).toEqual({
    rooms: ['a', 'b', 'c', 'd'],
    arrows: [
      { from: 'a', to: 'b', types: false },
      { from: 'a', to: 'd', types: true },
      { from: 'b', to: 'c', types: false },
      { from: 'c', to: 'b', types: true },
    ],
  })
})
