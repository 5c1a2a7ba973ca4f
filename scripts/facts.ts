/**
 * `bun scripts/facts.ts`: holds every citation of a fact to docs/facts/, so that none leads nowhere.
 *
 * A citation is the word facts and numbers after it (`1.4`, or `gcloud 4.5, 4.6`), anywhere in the checkout's texts, and the second column
 * of docs/fidelity.md. A fact is a heading of docs/facts/*.md that starts with its number. Prints one line for each that does not
 * hold; exit 1 if there is any.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Glob } from 'bun'
import { readRows } from './fidelity.ts'

const FACTS = 'docs/facts/'
const FIDELITY = 'docs/fidelity.md'
const TEXTS = '**/*.{ts,tsx,mts,js,mjs,go,java,py,rb,rs,php,cs,sh,md,json,yaml,yml,html,css}'

const NUMBER = String.raw`(?:gcloud )?\d+(?:\.\d+)*`
const CITATION = new RegExp(String.raw`\bfacts (${NUMBER}(?:(?:,| and|–| to|,? or) ?${NUMBER})*)`, 'gi')
const HEADING = new RegExp(String.raw`^#+ (${NUMBER})(?=\s|$)`, 'gm')

export interface Citation {
  readonly line: number
  /** Such as `1.4`, or `gcloud 4.5`. */
  readonly fact: string
}

/** The facts that a text of docs/facts/ has, in its order. */
export function headingsOf(page: string): readonly string[] {
  return [...page.matchAll(HEADING)].map(([, number = '']) => number)
}

export function citationsOf(text: string): readonly Citation[] {
  return [...text.matchAll(CITATION)].flatMap(({ 1: numbers = '', index }) => {
    const line = text.slice(0, index).split('\n').length
    return numbersOf(numbers).map((fact) => ({ line, fact }))
  })
}

/** `gcloud 4.5, 4.6` is two of the chapter on gcloud; the numbers before it are of the others. */
function numbersOf(list: string): readonly string[] {
  let chapter = ''
  return [...list.matchAll(/(gcloud )?(\d+(?:\.\d+)*)/g)].map(([, gcloud, number = '']) => {
    chapter = gcloud ?? chapter
    return chapter + number
  })
}

/** One line for each fault: a citation of no fact, or a fact that stands twice. */
export function faultsOf(files: ReadonlyMap<string, string>): readonly string[] {
  const found = [...files].filter(([file]) => file.startsWith(FACTS)).flatMap(([, page]) => headingsOf(page))
  const facts = new Set(found)
  const twice = found.filter((fact, at) => found.indexOf(fact) !== at)
  const cited = [...files].flatMap(([file, text]) =>
    [...citationsOf(text), ...(file === FIDELITY ? column(text) : [])].map((one) => ({ file, ...one })),
  )
  return [
    ...twice.map((fact) => `${FACTS}: there are two headings ${fact}`),
    ...cited
      .filter(({ fact }) => !facts.has(fact))
      .map(({ file, line, fact }) => `${file}:${line}: there is no heading ${fact} in ${FACTS}`),
  ]
}

function column(fidelity: string): readonly Citation[] {
  return readRows(fidelity).flatMap(({ line, fact }) => numbersOf(fact).map((one) => ({ line, fact: one })))
}

/** The texts of a checkout by their paths, without what others made and what is built. */
export function readTexts(root: string): ReadonlyMap<string, string> {
  const files = [...new Glob(TEXTS).scanSync({ cwd: root, dot: true })]
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => !/(^|\/)(node_modules|\.git|\.tools|\.data)\/|^dist\//.test(file))
    .sort()
  return new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]))
}

if (import.meta.main) {
  const texts = readTexts(join(import.meta.dir, '..'))
  const faults = faultsOf(texts)
  for (const fault of faults) console.error(fault)
  const cited = [...texts.values()].flatMap(citationsOf).length
  console.log(`facts: ${cited} citations, ${faults.length} wrong`)
  process.exitCode = faults.length === 0 ? 0 : 1
}
