/**
 * `bun scripts/fidelity.ts`: holds docs/fidelity.md to the tests that it names.
 *
 * Its tables end with the cell of a test, `file › name`: the file without `.test.ts`, in the folder that the chapter's line
 * "Tests: `folder/`" names, or from the root where it has a slash in it; the name as it is written in that file's source.
 * Prints one line for each test that is not there; exit 1 if there is any. Then it counts the tests that cite a fact and
 * stand in no row.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Glob } from 'bun'
import { type Argument, type Expression, parseSync, Visitor } from 'oxc-parser'

const PAGE = 'docs/fidelity.md'
const SEPARATOR = ' › '
const CONFIDENCES: ReadonlySet<string> = new Set(['D', 'W', 'I', 'M', 'ours'])

export interface Row {
  /** Where it stands in the page, from 1. */
  readonly line: number
  readonly behaviour: string
  readonly fact: string
  /** Such as `D`, or `W, I` where its parts differ. */
  readonly confidence: string
  readonly tests: readonly { readonly file: string; readonly name: string }[]
}

/** The rows of every table whose last column is headed `Test`. */
export function readRows(page: string): readonly Row[] {
  const rows: Row[] = []
  let folder = ''
  let inTable = false
  for (const [index, line] of page.split('\n').entries()) {
    folder = /^Tests: `([^`]+)\/`/.exec(line)?.[1] ?? folder
    const cells = line.startsWith('|') ? cellsOf(line) : []
    if (cells.length === 0) inTable = false
    else if (cells.at(-1) === 'Test') inTable = true
    else if (inTable && !/^:?-+:?$/.test(cells[0] ?? '')) {
      const [behaviour = '', fact = '', confidence = '', tests = ''] = cells
      rows.push({ line: index + 1, behaviour, fact, confidence, tests: testsOf(tests, folder) })
    }
  }
  return rows
}

/** Cells between bars; a bar inside a cell is written `\|`. */
function cellsOf(line: string): string[] {
  return line
    .trim()
    .replace(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'))
}

function testsOf(cell: string, folder: string) {
  return cell
    .split('<br>')
    .map((part) => part.trim().split(SEPARATOR))
    .map(([file = '', ...name]) => ({
      file: `${file.includes('/') ? file : `${folder}/${file}`}.test.ts`,
      name: name.join(SEPARATOR),
    }))
}

/**
 * The names of a file's tests as its source writes them, after the names of the groups that they stand in: `group › name`.
 * Without those that never run.
 */
export function testNames(file: string, source: string): readonly string[] {
  const parsed = parseSync(file, source)
  const [broken] = parsed.errors
  if (broken) throw new Error(`${file} cannot be parsed: ${broken.message}`)
  const names: string[] = []
  const groups: string[] = []
  new Visitor({
    CallExpression({ callee, arguments: [first] }) {
      const name = titleOf(first, source)
      if (name === undefined) return
      if (isCallOf(callee, ['describe'])) groups.push(name)
      if (isCallOf(callee, ['test', 'it', 'gcloudTest'])) names.push([...groups, name].join(SEPARATOR))
    },
    'CallExpression:exit'({ callee, arguments: [first] }) {
      if (titleOf(first, source) !== undefined && isCallOf(callee, ['describe'])) groups.pop()
    },
  }).visit(parsed.program)
  return names
}

function titleOf(argument: Argument | undefined, source: string): string | undefined {
  if (argument?.type === 'Literal' && typeof argument.value === 'string') return argument.value
  if (argument?.type === 'TemplateLiteral') return source.slice(argument.start + 1, argument.end - 1)
  return undefined
}

/** `test(…)`, `test.each(…)(…)`, `test.skipIf(…)(…)`, and `gcloudTest(…)` likewise; not `test.skip(…)` and `test.todo(…)`. */
function isCallOf(callee: Expression, names: readonly string[]): boolean {
  if (callee.type === 'Identifier') return names.includes(callee.name)
  if (callee.type !== 'CallExpression' || callee.callee.type !== 'MemberExpression') return false
  return isCallOf(callee.callee.object, names)
}

/** One line for each row that does not hold. `sourceOf` gives a file's text, or undefined where there is none. */
export function faultsOf(rows: readonly Row[], sourceOf: (file: string) => string | undefined): string[] {
  const known = new Map<string, readonly string[] | undefined>()
  const namesIn = (file: string) => {
    if (!known.has(file)) {
      const source = sourceOf(file)
      known.set(file, source === undefined ? undefined : testNames(file, source))
    }
    return known.get(file)
  }
  return rows.flatMap(({ line, behaviour, fact, confidence, tests }) => {
    const at = `${PAGE}:${line}`
    const faults: string[] = []
    if (behaviour === '' || fact === '') faults.push(`${at}: a row has a behaviour and a fact`)
    for (const part of confidence.split(', '))
      if (!CONFIDENCES.has(part))
        faults.push(`${at}: ${JSON.stringify(part)} is none of ${[...CONFIDENCES].join(', ')}`)
    for (const { file, name } of tests) {
      const names = namesIn(file)
      const found = names?.filter((full) => isNamed(full, name)).length
      if (found === undefined) faults.push(`${at}: there is no ${file}`)
      else if (found === 0) faults.push(`${at}: ${file} has no test ${JSON.stringify(name)}`)
      else if (found > 1)
        faults.push(
          `${at}: ${file} has ${found} tests ${JSON.stringify(name)}: write the group's name before it`,
        )
    }
    return faults
  })
}

/** Groups may be left out, outermost first, where the rest names one test. */
function isNamed(full: string, name: string): boolean {
  return full === name || full.endsWith(`${SEPARATOR}${name}`)
}

/** The tests that cite a fact, themselves or by a group's name, and stand in no row: `file › name`. */
export function unlisted(rows: readonly Row[], files: ReadonlyMap<string, string>): string[] {
  const tests = rows.flatMap((row) => row.tests)
  return [...files].flatMap(([file, source]) =>
    testNames(file, source)
      .filter((full) => /\bfacts (?:gcloud )?\d/.test(full))
      .filter((full) => !tests.some((test) => test.file === file && isNamed(full, test.name)))
      .map((full) => `${file}${SEPARATOR}${full}`),
  )
}

if (import.meta.main) {
  const root = join(import.meta.dir, '..')
  const rows = readRows(readFileSync(join(root, PAGE), 'utf8'))
  const faults = faultsOf(rows, (file) => {
    const path = join(root, file)
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined
  })
  for (const fault of faults) console.error(fault)
  const files = new Map(
    [...new Glob('{emulator,sender,receiver,service,walkthrough}/**/*.test.ts').scanSync({ cwd: root })]
      .sort()
      .map((file) => [file, readFileSync(join(root, file), 'utf8')]),
  )
  const others = unlisted(rows, files)
  if (process.argv.includes('--unlisted')) for (const other of others) console.log(other)
  console.log(
    `fidelity: ${rows.length} rows, ${faults.length} wrong; ${others.length} tests that cite a fact stand in none (--unlisted names them)`,
  )
  process.exitCode = faults.length === 0 ? 0 : 1
}
