import { expect, test } from 'bun:test'
import { unusedExports } from './exports.ts'

const unused = (files: Record<string, string>) => unusedExports(new Map(Object.entries(files)))

test('what no other file imports is named, and what one does is not, however it imports it', () => {
  const exporting = 'export const a = 1\nexport function b() {}\nexport class C {}\nexport interface T {}'
  expect(unused({ 'x/y.ts': exporting, 'x/z.ts': "import { a as other, type T } from './y.ts'" })).toEqual([
    'x/y.ts: C is exported and imported nowhere',
    'x/y.ts: b is exported and imported nowhere',
  ])
  for (const whole of [
    "import * as all from './y.ts'",
    "export * from './y.ts'",
    "const { a } = await import('./y.ts')",
    "type Y = typeof import('./y.ts')",
  ])
    expect(unused({ 'x/y.ts': exporting, 'x/z.ts': whole })).toEqual([])
})

test('a package of the same name is not the file, and what is passed on is to be imported, too', () => {
  expect(
    unused({
      'y.ts': 'export const a = 1',
      'z.ts': "import { a } from 'y.ts'",
      'w.ts': "export { a } from './y.ts'",
    }),
  ).toEqual(['w.ts: a is exported and imported nowhere'])
})

test('the testing module is imported from outside', () => {
  expect(unused({ 'emulator/testing/node.ts': 'export const a = 1' })).toEqual([])
})
