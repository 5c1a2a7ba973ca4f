/** The tutorial of docs/gcloud.md: every line of it, in its order, in one shell, as it stands there. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Block, block, blocks, codes, commands, page, section } from '../walkthrough/pages.fixture.ts'
import { addressOf, Person, type Started } from './person.fixture.ts'

/** Twenty runs of gcloud, a second or two each; two images besides where there is an engine. Milliseconds. */
const PATIENCE = 15 * 60_000

const TUTORIAL = section(page('docs/gcloud.md'), 'The tutorial')
const isLeftRunning = ({ kind }: Block) => kind.startsWith('sh background')
const background = blocks(TUTORIAL).filter(isLeftRunning)
const steps = stepsOf(blocks(TUTORIAL).filter((each) => !isLeftRunning(each)))
const [takesBack = ''] = codes(TUTORIAL).filter((code) => code.startsWith('eval '))

const missing = ['gcloud', 'curl', 'bash', 'node', 'npm'].filter((program) => Bun.which(program) === null)
if (missing.length > 0) console.log(`SKIPPED: docs/gcloud.md: no ${missing.join(', ')} here`)
const engine =
  missing.length === 0 && Bun.which('docker') !== null && Bun.spawnSync(['docker', 'info']).success
if (missing.length === 0 && !engine)
  console.log('SKIPPED: docs/gcloud.md in containers: no Docker engine answers')

interface Step {
  readonly lines: readonly string[]
  /** What the last of them prints; undefined where the page does not show that. */
  readonly prints: string | undefined
}

test('the tutorial has nothing but commands, and what the last one before prints', () => {
  expect(background).toHaveLength(1)
  expect(new Set(blocks(TUTORIAL).map(({ kind }) => kind.split(' ')[0]))).toEqual(new Set(['sh', 'text']))
  expect(steps.filter(({ prints }) => prints !== undefined).length).toBe(
    blocks(TUTORIAL).filter(({ kind }) => kind === 'text').length,
  )
  expect(takesBack).toContain('--unset')
})

/** Prints the digests of the images that were built. */
const BUILT = "gcloud builds list --format='value(results.images[].digest)'"
const runtimes = [
  // An engine that does not answer, on any machine.
  {
    runtime: 'local processes',
    possible: missing.length === 0,
    builds: false,
    variables: { DOCKER_HOST: 'unix:///dev/null' },
  },
  { runtime: 'containers', possible: engine, builds: true, variables: {} },
]
describe.each(runtimes)('on $runtime', ({ possible, builds, variables }) => {
  let person: Person
  let emulator: Started
  beforeAll(async () => {
    if (!possible) return
    person = new Person()
    const [line = ''] = background.map(({ text }) => text)
    emulator = person.starts(line, { ...variables, INVOKER_PORT: '0' })
    await addressOf(emulator)
  }, PATIENCE)
  afterAll(() => person?.leaves(), PATIENCE)

  test.skipIf(!possible)(
    'each command succeeds and prints what the page shows; the log says why one was refused',
    async () => {
      const { port } = await addressOf(emulator)
      const marks = 'printenv http_proxy CLOUDSDK_CONFIG || echo nothing'
      const lines = [...steps.flatMap((step) => step.lines), BUILT, marks, takesBack, marks]
      const printed = await person.succeeds(lines, { INVOKER_PORT: port })

      let at = -1
      for (const step of steps) {
        at += step.lines.length
        if (step.prints === undefined) continue
        expect([step.lines.at(-1), printed[at]?.replace(/\n$/, '')]).toEqual([step.lines.at(-1), step.prints])
      }
      // facts 1.2: Cloud Run's own sentence.
      expect(printed[at]).toContain('The request was not authenticated.')
      const shown = block(section(page('README.md'), 'How it works'), '403 GET').text
      expect(emulator.output().split('\n').map(withoutTimeAndPlace)).toContain(withoutTimeAndPlace(shown))

      const [built, pointed, , left] = printed.slice(-4)
      expect(built?.includes('sha256:')).toBe(builds)
      expect(pointed).toStartWith(`http://127.0.0.1:${port}\n${person.home}/`)
      expect(left).toBe('nothing\n')
    },
    PATIENCE,
  )
})

/** A line of the log, without what differs from one run to the next: when it was, and the URL of the decision. */
function withoutTimeAndPlace(line: string): string {
  return line.replace(/^\S+Z /, '').replace(/ {2}http:\S+$/, '')
}

function stepsOf(all: readonly Block[]): readonly Step[] {
  return all.flatMap((each, at) => {
    if (each.kind === 'text') return []
    const next = all[at + 1]
    const prints = next?.kind === 'text' ? next.text : undefined
    return [{ lines: commands(each).map(({ line }) => line), prints }]
  })
}
