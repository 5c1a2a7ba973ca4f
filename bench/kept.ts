/** The table of docs/performance.md: what was measured last, written by `bun run bench --write`. */
import type { Aim, Result } from './harness.ts'

const BEGIN = '<!-- measured -->'
const END = '<!-- /measured -->'
const HEAD = ['row', 'time', 'beside', 'aim', 'measured']

/** What is kept, by the name of its row: a ratio, or a time in the row's unit. */
export function keptIn(page: string): ReadonlyMap<string, number> {
  const kept = new Map<string, number>()
  for (const line of tableOf(page).split('\n')) {
    const [, name = '', , , , measured = ''] = line.split('|').map((cell) => cell.trim())
    const value = Number.parseFloat(measured)
    if (Number.isFinite(value)) kept.set(name, value)
  }
  return kept
}

/** The page with these results in the place of what it has of their rows. */
export function withResults(page: string, results: readonly Result[], date: string): string {
  const lines = new Map(
    tableOf(page)
      .split('\n')
      .filter((line) => keptIn(`${BEGIN}${line}${END}`).size > 0)
      .map((line) => [line.split('|')[1]?.trim() ?? '', line]),
  )
  for (const result of results) lines.set(result.name, `| ${[...cells(result), date].join(' | ')} |`)
  const head = [...HEAD, 'date']
  const table = [`| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...lines.values()].join('\n')
  const [start, end] = bounds(page)
  return `${page.slice(0, start)}\n\n${table}\n\n${page.slice(end)}`
}

/** A result in the words of the table. */
export function cells({ name, unit, median, beside, measured, aim }: Result): readonly string[] {
  const shown = (value: number) => (beside ? `${value.toFixed(2)} x` : `${value.toPrecision(3)} ${unit}`)
  return [
    name,
    `${median.toPrecision(3)} ${unit}`,
    beside ? `${beside.name}: ${beside.median.toPrecision(3)} ${unit}` : '',
    `${'atMost' in aim ? '≤' : '≥'} ${limitOf(aim)} ${beside ? 'x' : unit}`,
    shown(measured),
  ]
}

function limitOf(aim: Aim): number {
  return 'atMost' in aim ? aim.atMost : aim.atLeast
}

function tableOf(page: string): string {
  return page.slice(...bounds(page))
}

function bounds(page: string): [start: number, end: number] {
  const start = page.indexOf(BEGIN)
  const end = page.indexOf(END)
  if (start < 0 || end < start)
    throw new Error(`docs/performance.md: expected a table between ${BEGIN} and ${END}`)
  return [start + BEGIN.length, end]
}
