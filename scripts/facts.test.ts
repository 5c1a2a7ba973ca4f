import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { citationsOf, faultsOf, headingsOf, readTexts } from './facts.ts'

const PAGE = '# 1 One\n\n## 1.4 Pages\n\n## gcloud 4 Pitfalls\n\n### gcloud 4.5 Logs\n\n## Of 12\n'
const cited = (text: string) => citationsOf(text).map(({ fact }) => fact)

test('no citation of a fact leads nowhere', () => {
  const texts = readTexts(join(import.meta.dir, '..'))
  expect(faultsOf(texts)).toEqual([])
  expect([...texts.values()].flatMap(citationsOf).length).toBeGreaterThan(500)
})

test('a heading that starts with a number is a fact', () => {
  expect(headingsOf(PAGE)).toEqual(['1', '1.4', 'gcloud 4', 'gcloud 4.5'])
})

test('several numbers after one word are cited each, and gcloud holds for those after it', () => {
  expect(cited('as told (facts 1.4, 6.9; there 2)')).toEqual(['1.4', '6.9'])
  expect(cited('Facts 6.1–6.3 and nothing')).toEqual(['6.1', '6.3'])
  expect(cited('facts 1.1 and gcloud 4.5, 4.6: so')).toEqual(['1.1', 'gcloud 4.5', 'gcloud 4.6'])
  expect(cited('const facts = { x }')).toEqual([])
})

test('a citation without its heading is told by file and line, and so is a fact that stands twice', () => {
  const page =
    '## Room\nTests: `room/`\n\n| B | Fact | Conf. | Test |\n|---|---|---|---|\n| b | 1.4, 9.9 | D | a › b |\n'
  const faults = faultsOf(
    new Map([
      ['docs/facts/1.md', `${PAGE}## 1.4 Again\n`],
      ['docs/fidelity.md', page],
      ['room/a.ts', `\n// ${'facts'} 1.5: no\n`],
    ]),
  )
  expect(faults).toEqual([
    'docs/facts/: there are two headings 1.4',
    'docs/fidelity.md:6: there is no heading 9.9 in docs/facts/',
    'room/a.ts:2: there is no heading 1.5 in docs/facts/',
  ])
})
