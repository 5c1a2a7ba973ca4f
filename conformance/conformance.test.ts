/** Google's own clients as the referee: they run unmodified against one emulator, and what they can do is docs/clients.md. */
import { beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { CLIENTS } from './clients.ts'
import { type Ran, type Result, runConformance, wrongs } from './conformance.ts'
import { cellOf, columnOf, DOCUMENT, sectionOf, VERSION } from './document.ts'
import { missingTool } from './install.ts'
import { STEPS } from './steps.ts'

/** The first run installs the libraries. Milliseconds. */
const PATIENCE = 20 * 60_000

const here = CLIENTS.filter(({ tools }) => missingTool(tools) === undefined)
let results: readonly Result[] = []
beforeAll(async () => {
  results = await runConformance(here)
}, PATIENCE)

describe.each([...CLIENTS])('$title', (client) => {
  const absent = missingTool(client.tools)
  if (absent !== undefined) console.log(`SKIPPED: conformance: ${client.title}: ${absent}`)

  test.skipIf(absent !== undefined)('does all that its library can do, and fails where it says so', () => {
    const result = ranOf(client.id)
    if (result) expect(wrongs(result)).toEqual([])
  })

  test.skipIf(absent !== undefined)(
    'docs/clients.md shows what it did: bun conformance/run.ts --write',
    () => {
      const result = ranOf(client.id)
      if (!result) return
      const page = readFileSync(DOCUMENT, 'utf8')
      const column = columnOf(page, client.title)
      expect(STEPS.map(({ title }) => [title, column?.get(title)])).toEqual(
        STEPS.map(({ id, title }) => [title, cellOf(result, id)]),
      )
      expect(page).toContain(sectionOf(result))
      if (client.pinned) expect(column?.get(VERSION)).toBe(result.version.replaceAll(', ', '<br>'))
    },
  )
})

/** Undefined, and said aloud, for a client that could not be installed. */
function ranOf(id: string): Ran | undefined {
  const result = results.find(({ client }) => client.id === id)
  if (!result) throw new Error(`${id} was not run`)
  if (result.ran) return result
  console.log(`SKIPPED: conformance: ${result.client.title}: ${result.reason}`)
  return undefined
}
