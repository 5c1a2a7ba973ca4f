/** docs/clients.md: the table of libraries and steps, and why a library cannot do what it cannot do. */
import { join } from 'node:path'
import { ABSENT } from './clients.ts'
import type { Ran } from './conformance.ts'
import { STEPS, type StepId, WAYS } from './steps.ts'

export const DOCUMENT = join(import.meta.dir, '..', 'docs', 'clients.md')

const HEAD = `# Google's own clients against the emulator

<!-- Written by \`bun conformance/run.ts --write\`. Do not edit. -->

Every program below uses its library's documented calls only, and knows nothing of the emulator: the environment points it
there, as \`emulator env\` prints it. Each does the same steps in two ways:

- **override**: \`emulator env --mode override --metadata\`. \`GCE_METADATA_HOST\` and its sisters lead to the metadata server,
  an option or the credential file names every other endpoint, and services are called at their \`http://…run.app\` URLs.
  \`https_proxy\` leads to the emulator as well, but nobody trusts its certificate: a library that goes to one of Google's
  names all the same fails here, and does not leave the machine.
- **intercept**: \`emulator env --mode intercept\`. \`http_proxy\`, \`https_proxy\` and a certificate, nothing else: all of
  Google is at its own names, services at their \`https://…run.app\` URLs, and the metadata server where it always is.

"both" means that a step passed in both ways. CI runs all of it (\`conformance/conformance.test.ts\`); a step that is said to
fail is tried, and has to fail. To see it: \`bun conformance/run.ts\`, or with the names of some clients.
`

/** The whole page. */
export function documentOf(results: readonly Ran[]): string {
  const rows = [
    ['', ...results.map(({ client }) => client.title)],
    ['---', ...results.map(() => '---')],
    [VERSION, ...results.map(({ version }) => version.replaceAll(', ', '<br>'))],
    ...STEPS.map(({ id, title }) => [title, ...results.map((result) => cellOf(result, id))]),
  ]
  const table = rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  const sections = results.map(sectionOf).filter((section) => section !== '')
  const absent = ABSENT.map(({ title, reason }) => `- ${title}: ${reason}`).join('\n')
  return `${HEAD}\n${table}\n\n## What a library makes impossible, and why\n\n${sections.join('\n\n')}\n\n## Not run\n\n${absent}\n`
}

export const VERSION = 'version'

export function cellOf({ outcomes }: Ran, step: StepId): string {
  const ways = WAYS.filter((way) =>
    outcomes.some((outcome) => outcome.step === step && outcome.way === way && outcome.passed),
  )
  return ways.length === WAYS.length ? 'both' : ways.join(', ') || 'no'
}

/** What is said of one client below the table; empty where there is nothing to say. */
export function sectionOf({ client, outcomes, notes }: Ran): string {
  const titles = new Map<string, Set<string>>()
  const ways = new Map<string, Set<string>>()
  const add = (to: Map<string, Set<string>>, key: string, value: string) =>
    to.set(key, (to.get(key) ?? new Set()).add(value))
  for (const { step, way, reason } of outcomes) {
    if (reason === undefined) continue
    add(titles, reason, STEPS.find(({ id }) => id === step)?.title ?? step)
    add(ways, reason, way)
  }
  const lines = [...titles].map(([reason, steps]) => {
    const [way, another] = ways.get(reason) ?? []
    return `- ${[...steps].join('; ')}${another ? '' : ` (${way})`}: ${reason}`
  })
  const all = [...lines, ...notes.map((note) => `- ${note}`)]
  return all.length === 0 ? '' : `### ${client.title}\n\n${all.join('\n')}`
}

/** The column of a client in a page, by row title; undefined where it has none. */
export function columnOf(page: string, title: string): ReadonlyMap<string, string> | undefined {
  const rows = page
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.slice(2, -2).split(' | '))
  const at = rows[0]?.indexOf(title) ?? -1
  return at < 1 ? undefined : new Map(rows.slice(1).map((cells) => [cells[0] ?? '', cells[at] ?? '']))
}
