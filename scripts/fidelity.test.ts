import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { faultsOf, readRows, testNames, unlisted } from './fidelity.ts'

const ROOT = join(import.meta.dir, '..')

const PAGE = `# Fidelity

| Confidence | Means |
|---|---|
| D | documented |

## Room
Tests: \`room/inner/\`

| Behaviour | Fact | Conf. | Test |
|---|---|---|---|
| One | 1.1 | D, W | a › facts 1.1: one<br>other/b › two \\| three |
`

const SOURCE = `
describe('group', () => {
  test('facts 1.1: one', () => {})
  test.each([1])('%s is ' + 1, () => {})
  test.skipIf(x)(\`two \${y} of them\`, () => {})
})
describe.each([])('many of %s', () => { it('stands', () => {}) })
test.skip('never', () => {})
test.todo('later')
`

test('docs/fidelity.md names tests that are there', () => {
  const rows = readRows(readFileSync(join(ROOT, 'docs/fidelity.md'), 'utf8'))
  const sourceOf = (file: string) => {
    const path = join(ROOT, file)
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined
  }
  expect(faultsOf(rows, sourceOf)).toEqual([])
  expect(rows.length).toBeGreaterThan(150)
})

test('rows are those of the tables whose last column is the test', () => {
  expect(readRows(PAGE)).toEqual([
    {
      line: 12,
      behaviour: 'One',
      fact: '1.1',
      confidence: 'D, W',
      tests: [
        { file: 'room/inner/a.test.ts', name: 'facts 1.1: one' },
        { file: 'other/b.test.ts', name: 'two | three' },
      ],
    },
  ])
})

test('names are those of the source, after their groups, without what never runs', () => {
  expect(testNames('a.test.ts', SOURCE)).toEqual([
    'group › facts 1.1: one',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: as the source writes it
    'group › two ${y} of them',
    'many of %s › stands',
  ])
})

describe('a row is wrong', () => {
  const row = { line: 7, behaviour: 'One', fact: '1.1', confidence: 'D' }
  const faults = (change: object) => faultsOf([{ ...row, tests: [], ...change }], (file) => files.get(file))
  const files = new Map([
    ['a.test.ts', "test('one', () => {})"],
    [
      'b.test.ts',
      "describe('x', () => { test('%s', () => {}) })\ndescribe('y', () => { test('%s', () => {}) })",
    ],
  ])
  const at = (file: string, name: string) => ({ tests: [{ file, name }] })

  test('when its test, or the file of it, is not there', () => {
    expect(faults(at('a.test.ts', 'one'))).toEqual([])
    expect(faults(at('a.test.ts', 'on'))).toEqual(['docs/fidelity.md:7: a.test.ts has no test "on"'])
    expect(faults(at('c.test.ts', 'one'))).toEqual(['docs/fidelity.md:7: there is no c.test.ts'])
  })

  test('when the name is of several tests', () => {
    expect(faults(at('b.test.ts', 'x › %s'))).toEqual([])
    expect(faults(at('b.test.ts', '%s'))).toEqual([
      'docs/fidelity.md:7: b.test.ts has 2 tests "%s": write the group\'s name before it',
    ])
  })

  test('when it has no fact, or a confidence that means nothing', () => {
    expect(faults({ confidence: 'D, W' })).toEqual([])
    expect(faults({ confidence: 'sure' })).toEqual(['docs/fidelity.md:7: "sure" is none of D, W, I, M, ours'])
    expect(faults({ fact: '' })).toEqual(['docs/fidelity.md:7: a row has a behaviour and a fact'])
  })
})

test('tests that cite a fact and stand in no row are named', () => {
  const files = new Map([['room/inner/a.test.ts', `${SOURCE}\ntest('facts 2.1: new', () => {})`]])
  expect(unlisted(readRows(PAGE), files)).toEqual(['room/inner/a.test.ts › facts 2.1: new'])
})
