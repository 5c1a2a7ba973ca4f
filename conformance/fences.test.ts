/** Every fenced block of every page is run, or says that it is not; and every link of a page leads somewhere. */
import { afterAll, describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { commands, page, ROOT } from '../walkthrough/pages.fixture.ts'
import { type Fence, faultsOf, fences, isRunHere, pages } from './fences.fixture.ts'
import { addressOf, Person } from './person.fixture.ts'

/** Some start an emulator. Milliseconds. */
const PATIENCE = 120_000

const PAGES = pages()
const all = PAGES.flatMap((path) => fences(path, page(path)))

const missing = ['bash', 'curl', 'node', 'npm'].filter((program) => Bun.which(program) === null)
if (missing.length > 0) console.log(`SKIPPED: the pages' commands: no ${missing.join(', ')} here`)

test('each fence is run by a test, or says that it is not executed here', () => {
  expect(faultsOf(all)).toEqual([])
  expect(all.length).toBeGreaterThan(20)
})

test('a fence that nobody runs, and one whose test does not know it, is told by page and line', () => {
  const text = [
    '```ts\n1\n```',
    '```sh by=conformance/none.test.ts\nls\n```',
    '```sh by=conformance/conformance.test.ts\nls\n```',
    '```\nls\n```',
    '```sh quietly\nls\n```',
    '```sh not-executed="far away"\nls\n```',
    '```console\n$ ls\n```',
  ].join('\n')
  const lines = faultsOf(fences('some/page.md', text)).map((fault) => fault.replace(/;.*/, ''))
  expect(lines).toEqual(
    [
      'some/page.md:1: nothing runs this ts: name the test (by=…), or say why not (not-executed="…")',
      'some/page.md:4: conformance/none.test.ts is not there, or its source does not name this page',
      'some/page.md:7: conformance/conformance.test.ts is not there, or its source does not name this page',
      'some/page.md:10: a fence says what it is, text if nothing else',
      'some/page.md:13: a fence does not know "quietly"',
    ].map((line) => line.replace(/;.*/, '')),
  )
})

describe.each(PAGES.filter((path) => all.some((fence) => fence.page === path && isRunHere(fence))))(
  '%s',
  (path) => {
    const person = new Person()
    afterAll(() => person.leaves(), PATIENCE)

    test.skipIf(missing.length > 0)(
      'its commands succeed in their order, and print what is shown',
      async () => {
        const own = all.filter((fence) => fence.page === path && isRunHere(fence))
        const variables = await started(
          person,
          own.filter(({ background }) => background),
        )
        const steps = own
          .filter(({ background }) => !background)
          .flatMap(({ language, text }) => commands({ kind: language, text }))
        const printed = await person.succeeds(
          steps.map(({ line }) => line.replaceAll(/\b8080\b/g, variables.INVOKER_PORT ?? '8080')),
          variables,
        )
        for (const [at, { line, prints }] of steps.entries())
          if (prints !== undefined)
            expect([line, printed[at]?.trimEnd()]).toEqual([line, expect.stringMatching(patternOf(prints))])
      },
      PATIENCE,
    )
  },
)

/** Leaves running what a page leaves running; where that is an emulator, the variable by which the others find it. */
async function started(
  person: Person,
  background: readonly Fence[],
): Promise<Readonly<Record<string, string>>> {
  let variables = {}
  for (const { text } of background) {
    const { port } = await addressOf(person.starts(text, { INVOKER_PORT: '0' }))
    variables = { INVOKER_PORT: port }
  }
  return variables
}

/** A line of dots stands for any lines, and dots within a line for the rest of it. */
function patternOf(shown: string): RegExp {
  const lines = shown
    .trimEnd()
    .split('\n')
    .map((line) => (line.trim() === '…' ? '[\\s\\S]*' : RegExp.escape(line).replaceAll('…', '.*')))
  return new RegExp(`^${lines.join('\n')}$`)
}

test('each link leads to a file, a folder or a heading of the checkout', () => {
  const wrong = PAGES.flatMap((path) => {
    const prose = page(path)
      .replace(/^ *```[\s\S]*?^ *```$/gm, '')
      .replace(/`[^`\n]*`/g, '')
    return [...prose.matchAll(/\]\((?!https?:|mailto:)([^)]+)\)/g)]
      .map(([, link = '']) => link)
      .filter((link) => !leads(path, link))
      .map((link) => `${path}: ${link}`)
  })
  expect(wrong).toEqual([])
})

function leads(path: string, link: string): boolean {
  const [file = '', heading] = link.split('#')
  const target = file === '' ? path : join(dirname(path), file).replaceAll('\\', '/')
  if (!existsSync(join(ROOT, target))) return false
  return (
    heading === undefined ||
    [...page(target).matchAll(/^#+ (.+)$/gm)].some(([, words = '']) => anchorOf(words) === heading)
  )
}

/** As GitHub makes them. */
const anchorOf = (words: string) =>
  words
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')

test('each decision has a number of its own, a date, and its line in the list', () => {
  const decisions = PAGES.filter((path) => /^docs\/decisions\/\d/.test(path))
  const list = page('docs/decisions/README.md')
  const told = decisions.map((path) => {
    const [, number = '', title = '', date = ''] =
      /^# (\d{4}): (.+)\n\n(\d{4}-\d\d-\d\d)\n/.exec(page(path)) ?? []
    return {
      path,
      number,
      line: `| [${number}](${path.replace('docs/decisions/', '')}) | ${title} | ${date} |`,
    }
  })
  expect(told.filter(({ line }) => !list.includes(line)).map(({ path, line }) => `${path}: ${line}`)).toEqual(
    [],
  )
  expect(new Set(told.map(({ number }) => number)).size).toBe(decisions.length)
})

test('each file that a page names is there', () => {
  // Those of facts are other repositories'.
  const wrong = PAGES.filter((path) => !path.startsWith('docs/facts/')).flatMap((path) =>
    [
      ...page(path).matchAll(
        /`((?:emulator|scripts|conformance|walkthrough|examples|deploy|service|sender|receiver|docs|bench|trust)\/[\w./-]*\w\/?)`/g,
      ),
    ]
      .map(([, name = '']) => name)
      .filter((name) => !existsSync(join(ROOT, name)))
      .map((name) => `${path}: ${name}`),
  )
  expect(wrong).toEqual([])
})

test('each script that a page names is one of package.json', async () => {
  const { scripts } = await Bun.file(join(ROOT, 'package.json')).json()
  const named = PAGES.flatMap((path) =>
    [...page(path).matchAll(/\b(?:npm|bun) run (?:-s )?([a-z]+(?::[a-z]+)*)(?![\w./])/g)].map(
      ([, name = '']) => name,
    ),
  )
  expect([...new Set(named)].filter((name) => !(name in scripts))).toEqual([])
  expect(named).toContain('emulator')
})

test('each YAML block is YAML', () => {
  for (const { language, text, page } of all)
    if (language === 'yaml' || language === 'yml')
      for (const { errors } of parseAllDocuments(text, { logLevel: 'error' }))
        expect([page, errors]).toEqual([page, []])
})

test('the README is short enough to be read', () => {
  expect(page('README.md').split('\n').length).toBeLessThan(200)
})
