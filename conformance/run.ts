/** `bun conformance/run.ts [CLIENT…] [--write]`: runs Google's own clients, prints what came of it, and writes docs/clients.md. */
import { writeFileSync } from 'node:fs'
import { Command } from 'commander'
import { CLIENTS } from './clients.ts'
import { type Result, runConformance, wrongs } from './conformance.ts'
import { DOCUMENT, documentOf } from './document.ts'
import { STEPS, WAYS } from './steps.ts'

const command = new Command('conformance')
  .description("Runs Google's own clients against one emulator.")
  .argument('[client...]', `some of them only: ${CLIENTS.map(({ id }) => id).join(', ')}`)
  .option('--write', 'write docs/clients.md; needs every client')
  .parse()
const asked = new Set(command.args)
const { write } = command.opts<{ write?: true }>()
const unknown = [...asked].filter((id) => !CLIENTS.some((client) => client.id === id))
if (unknown.length > 0) command.error(`There is no client ${unknown.join(', ')}.`)

const results = await runConformance(
  CLIENTS.filter(({ id }) => asked.size === 0 || asked.has(id)),
  (result) => process.stdout.write(describe(result)),
)
const ran = results.filter((result) => result.ran)
const failed = ran.some((result) => wrongs(result).length > 0)
if (write && !failed) {
  if (ran.length < CLIENTS.length) command.error('docs/clients.md needs every client: see what was skipped.')
  writeFileSync(DOCUMENT, documentOf(ran))
  process.stdout.write(`wrote ${DOCUMENT}\n`)
}
process.exit(failed ? 1 : 0)

function describe(result: Result): string {
  if (!result.ran) return `SKIPPED: ${result.client.title}: ${result.reason}\n`
  const rows = WAYS.map((way) => {
    const outcomes = result.outcomes.filter((outcome) => outcome.way === way)
    const passed = outcomes.filter((outcome) => outcome.passed).length
    return `${way} ${passed} of ${STEPS.length}`
  })
  const wrong = wrongs(result).map((line) => `  ${line}\n`)
  return `${result.client.title.padEnd(10)}${rows.join(', ')}  (${result.version})\n${wrong.join('')}`
}
