/**
 * For tests: the fenced blocks of every page, and what their first line says of who runs them.
 *
 *     ```sh                                 conformance/fences.test.ts, in one shell a page, in their order
 *     ```console                            the same, and compares what is shown beneath each `$` (a line of … stands for any)
 *     ```sh background                      starts it before the others of the page, and ends it after them
 *     ```ts by=examples/x.test.ts           that test, whose source names the page
 *     ```sh not-executed="wants a project at Google"   nobody here, and why
 *     ```text                               nobody: it is no command
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Glob } from 'bun'
import { ROOT } from '../walkthrough/pages.fixture.ts'

export interface Fence {
  readonly page: string
  /** Of its first line, from 1. */
  readonly line: number
  readonly language: string
  readonly background: boolean
  /** The test that runs it, from the root. */
  readonly by: string | undefined
  readonly notExecuted: string | undefined
  /** Words of its first line that are none of these. */
  readonly unknown: string
  readonly text: string
}

/** Nothing that a reader would run. */
const SHOWN: ReadonlySet<string> = new Set(['text', 'mermaid', 'json', 'html', 'http', 'diff', 'markdown'])
const COMMANDS: ReadonlySet<string> = new Set(['sh', 'console'])

const PAGES = ['*.md', 'docs/**/*.md', 'deploy/**/*.md', 'examples/**/*.md', '.github/**/*.md']

/** Every page that a reader of the repository comes upon. */
export function pages(): readonly string[] {
  return PAGES.flatMap((pattern) => [...new Glob(pattern).scanSync({ cwd: ROOT, dot: true })])
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => !path.includes('node_modules/'))
    .sort()
}

export function fences(page: string, text: string): readonly Fence[] {
  return [...text.matchAll(/^( *)```(.*)\n([\s\S]*?)^\1```$/gm)].map(
    ({ 2: info = '', 3: body = '', index }) => {
      const [, language = '', words = ''] = /^(\S*) *(.*)$/.exec(info) ?? []
      return {
        page,
        line: text.slice(0, index).split('\n').length,
        language,
        background: /^background\b/.test(words),
        by: /\bby=(\S+)/.exec(words)?.[1],
        notExecuted: /\bnot-executed="([^"]+)"/.exec(words)?.[1],
        unknown: words.replace(/^background\b|\bby=\S+|\bnot-executed="[^"]+"/g, '').trim(),
        text: body.replace(/\n$/, ''),
      }
    },
  )
}

/** Whether fences.test.ts runs it. */
export function isRunHere({ language, by, notExecuted }: Fence): boolean {
  return COMMANDS.has(language) && by === undefined && notExecuted === undefined
}

/** One line for each fence of which nobody knows whether it is true. */
export function faultsOf(all: readonly Fence[]): readonly string[] {
  return all.flatMap((fence) => {
    const { page, line, language, by, notExecuted, unknown } = fence
    const fault = (what: string) => [`${page}:${line}: ${what}; conformance/fences.fixture.ts has the ways`]
    if (unknown !== '') return fault(`a fence does not know ${JSON.stringify(unknown)}`)
    if (language === '') return fault('a fence says what it is, text if nothing else')
    if (by !== undefined) {
      const names = existsSync(join(ROOT, by)) && readFileSync(join(ROOT, by), 'utf8').includes(page)
      return names ? [] : fault(`${by} is not there, or its source does not name this page`)
    }
    if (SHOWN.has(language) || notExecuted !== undefined || isRunHere(fence)) return []
    return fault(`nothing runs this ${language}: name the test (by=…), or say why not (not-executed="…")`)
  })
}
