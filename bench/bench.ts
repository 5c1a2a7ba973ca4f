/**
 * `bun run bench [--only TEXT] [--rounds N] [--json] [--write]`: runs the rows, prints a table of them, and with `--write`
 * keeps them in docs/performance.md. Exit 1 when a ratio is worse by more than a third than the one that is kept.
 */
import { parseArgs } from 'node:util'
import { doorRows } from './door.ts'
import { hasFallen, measure, type Result, type Row } from './harness.ts'
import { cells, keptIn, withResults } from './kept.ts'
import { stateRows } from './state.ts'

const rows: readonly Row[] = [...stateRows, ...doorRows]
const PAGE = new URL('../docs/performance.md', import.meta.url)
/** Many short ones: what else the machine does then falls on both sides alike. */
const ROUNDS = 100

if (import.meta.main) process.exitCode = await main(Bun.argv.slice(2))

async function main(args: string[]): Promise<number> {
  const asked = options(args)
  if (typeof asked === 'string') {
    console.error(asked)
    return 2
  }
  const page = await Bun.file(PAGE).text()
  const kept = keptIn(page)
  const results: Result[] = []
  for (const row of asked.rows) {
    const missing = row.missing?.()
    if (missing !== undefined) {
      console.error(`SKIPPED: ${row.name}: ${missing}`)
      continue
    }
    const result = await measure(row, asked.rounds)
    results.push(result)
    if (!asked.json) console.log(line(result, kept.get(result.name)))
  }
  if (asked.json)
    console.log(
      JSON.stringify(
        results.map((result) => ({ ...result, kept: kept.get(result.name) ?? null })),
        null,
        2,
      ),
    )
  if (asked.write) await Bun.write(PAGE, withResults(page, results, new Date().toISOString().slice(0, 10)))
  const fallen = results.filter((result) => hasFallen(result, kept.get(result.name)))
  for (const { name, measured } of fallen)
    console.error(`${name}: ${measured.toFixed(2)} x, where docs/performance.md keeps ${kept.get(name)} x`)
  return fallen.length > 0 && !asked.write ? 1 : 0
}

function line(result: Result, kept: number | undefined): string {
  const [name, time, beside, aim, measured] = cells(result)
  const before = kept === undefined ? '' : `, kept ${kept}`
  return `${result.reached ? 'reached' : 'missed '}  ${name}: ${measured} (aim ${aim}${before}); ${time}${beside && `, ${beside}`}`
}

function options(args: string[]) {
  let values: { only?: string[]; rounds?: string; json?: boolean; write?: boolean }
  try {
    values = parseArgs({
      args,
      options: {
        only: { type: 'string', multiple: true },
        rounds: { type: 'string' },
        json: { type: 'boolean' },
        write: { type: 'boolean' },
      },
    }).values
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  const { only = [], rounds: times = String(ROUNDS), json = false, write = false } = values
  const rounds = Number(times)
  if (!Number.isInteger(rounds) || rounds < 1)
    return `--rounds: expected a whole number from 1 on, got ${times}.`
  const chosen = rows.filter(({ name }) => only.length === 0 || only.some((text) => name.includes(text)))
  if (chosen.length === 0)
    return `--only: no row has that in its name. Rows are: ${rows.map(({ name }) => name).join('; ')}.`
  return { rows: chosen, rounds, json, write }
}
