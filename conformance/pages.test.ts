/**
 * The README and what it was cut into, executed and compared as they stand. The tutorial with gcloud is in gcloud-page.test.ts, what
 * needs no preparation in fences.test.ts.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { z } from 'zod'
import { configure } from '../emulator/config/configure.ts'
import { SETTINGS } from '../emulator/config/settings.ts'
import { type CloudRun, connectEmulator } from '../emulator/testing/testing.ts'
import { settings as receiverSettings } from '../receiver/config.ts'
import { settings as senderSettings } from '../sender/config.ts'
import { ACTS } from '../walkthrough/acts.ts'
import { block, blocks, codes, commands, page, ROOT, rows, section } from '../walkthrough/pages.fixture.ts'
import { addressOf, Person, type Started } from './person.fixture.ts'

setDefaultTimeout(60_000)

const missing = ['bash', 'curl', 'node', 'npm'].filter((program) => Bun.which(program) === null)
if (missing.length > 0)
  console.log(`SKIPPED: the commands of the README and docs/processes.md: no ${missing.join(', ')} here`)
const possible = missing.length === 0
const compose = Bun.which('docker') !== null && Bun.spawnSync(['docker', 'compose', 'version']).success
if (!compose) console.log('SKIPPED: the override of docs/compose.md: no docker compose here')

/** The schema of each variable that the sender or the receiver reads. */
const SERVICES: Readonly<Record<string, z.ZodType>> = { ...senderSettings, ...receiverSettings }

const README = page('README.md')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const manifest: {
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
} = JSON.parse(read('package.json'))

const people: Person[] = []
function person(): Person {
  const one = new Person()
  people.push(one)
  return one
}
afterAll(async () => {
  for (const one of people) await one.leaves()
})

describe('See it', () => {
  const SEE_IT = section(README, 'See it')

  test.skipIf(!possible)('npm start prints what is shown, the dots apart', async () => {
    const [{ line } = { line: '' }] = commands(block(SEE_IT, 'npm start'))
    const [printed] = await person().succeeds([line])
    expect(printed).toMatch(new RegExp(`^${patternOf(block(SEE_IT, 'in five acts').text)}\n$`, 'm'))
  })

  test('the table has the five acts, and what each is answered', () => {
    const table = rows(SEE_IT, '| act | what changes | `GET /` on the sender |')
    expect(table.map(([act, , answer]) => `${act}: ${answer?.replace(/,.*/, '')}`)).toEqual(
      ACTS.map(({ act, expected }) => `${act}: ${expected.status}`),
    )
  })
})

/** A text in which a line of dots stands for any lines, and the three characters of chance in a revision's name for any. */
function patternOf(text: string): string {
  const revision = /(?<=-\d{5}-)[a-z0-9]{3}(?=\))/
  const [dots, chance] = ['\n  …\n', '???']
  return RegExp.escape(text.replaceAll(new RegExp(revision, 'g'), chance))
    .replaceAll(RegExp.escape(chance), '[a-z0-9]{3}')
    .replaceAll(RegExp.escape(dots), '\\n[\\s\\S]*\\n')
}

describe('docs/compose.md', () => {
  const COMPOSE = page('docs/compose.md')
  const HEAD = '| | where | try |'

  test('the ports are those of docker-compose.yml, and so are the variables that name others', () => {
    const text = section(COMPOSE, 'The five acts in containers')
    const published = [...read('docker-compose.yml').matchAll(/\$\{(\w+_PORT):-(\d+)\}/g)]
    expect(codes(text).filter((code) => /^[A-Z]+_PORT$/.test(code))).toEqual(
      published.map(([, name = '']) => name),
    )
    expect(
      rows(text, HEAD)
        .map(([, where]) => where)
        .sort(),
    ).toEqual(published.map(([, , port]) => `\`localhost:${port}\``).sort())
  })

  test.skipIf(!compose)('the override puts one image in the place of another, and leaves the rest', () => {
    const override = join(person().home, 'docker-compose.override.yml')
    writeFileSync(override, block(COMPOSE, 'docker-compose.override.yml').text)
    const config = (...files: readonly string[]) => {
      const flags = files.flatMap((file) => ['--file', file])
      const run = Bun.spawnSync(['docker', 'compose', ...flags, 'config', '--format=json'], { cwd: ROOT })
      if (!run.success) throw new Error(String(run.stderr))
      return JSON.parse(String(run.stdout))
    }
    const before = config('docker-compose.yml')
    const after = config('docker-compose.yml', override)
    const { build: _, ...receiver } = before.services['receiving-service']
    before.services['receiving-service'] = { ...receiver, image: 'my-service' }
    expect(after).toEqual(before)
  })
})

describe('docs/processes.md', () => {
  const PROCESSES = page('docs/processes.md')

  describe.skipIf(!possible)('processes on your machine', () => {
    const OWN = section(PROCESSES, 'Processes on your machine')
    const ORDERS = 'orders-sa@demo-project.iam.gserviceaccount.com'
    const billing = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('an invoice') })
    let emulator: Started
    let somebody: Person
    let cloud: CloudRun
    /** The page's ports, and those that are free here. */
    let ports: Readonly<Record<string, string>> = { 3000: String(billing.port), 4000: '9', 9000: '0' }
    const here = (line: string) => line.replace(/\b(3000|4000|8080|9000)\b/g, (port) => ports[port] ?? port)
    const [asked = '', asOrders = ''] = commands(block(OWN, 'node orders.js')).map(({ line }) => line)

    beforeAll(async () => {
      somebody = person()
      const [{ line } = { line: '' }] = commands(block(OWN, '--upstream'))
      emulator = somebody.starts(here(line), { INVOKER_PORT: '0' })
      const address = await addressOf(emulator)
      const [, own = ''] = await emulator.match(/http:\/\/\S+:(\d+) {2}metadata server of programs .* orders/)
      ports = { 8080: address.port, 9000: own }
      cloud = await connectEmulator(address.origin)
      // The page leaves it to the reader. This one has Google's library and nothing of the emulator.
      const library = JSON.stringify(join(ROOT, 'package.json'))
      writeFileSync(
        join(somebody.home, 'orders.js'),
        `const { GoogleAuth } = require('node:module').createRequire(${library})('google-auth-library')
const url = 'http://billing-123456789012.us-central1.run.app/'
new GoogleAuth({ projectId: 'demo-project' }).getIdTokenClient(new URL(url).origin)
  .then((client) => client.request({ url, validateStatus: () => true, responseType: 'text' }))
  .then(({ status, data }) => console.log(status, data))
`,
      )
    })
    afterAll(() => billing.stop())

    test('facts 1.4: billing is private', async () => {
      const page = ACTS[1]?.expected.body.replace(/^.*\n/, '\n')
      expect(await somebody.succeeds([here(asked)])).toEqual([page ?? ''])
    })

    test('facts 2.1: orders.js is orders: refused, and let in by a grant', async () => {
      const run = () => somebody.succeeds([here(asOrders)], {}, somebody.home)
      expect((await run())[0]).toStartWith('403 ')
      const [refused] = (await cloud.decisions('billing')).slice(-1)
      expect(refused?.caller?.member).toBe(`serviceAccount:${ORDERS}`)
      await cloud.grant('billing', ORDERS)
      expect(await run()).toEqual(['200 an invoice\n'])
    })

    test('a project is given back as files, and the emulator ends by command', async () => {
      const [exports = '', down = ''] = commands(block(PROCESSES, 'emulator down')).map(({ line }) => line)
      const folder = join(somebody.home, 'my-project')
      await somebody.succeeds([exports.replace('my-project', folder)], { INVOKER_PORT: ports[8080] ?? '' })
      expect(readdirSync(folder, { recursive: true }).join(' ')).toContain('billing')
      await somebody.succeeds([down], { INVOKER_PORT: ports[8080] ?? '' })
      const left = await fetch(`http://127.0.0.1:${ports[8080]}/`).catch(() => 'nobody')
      expect(left).toBe('nobody')
    })
  })
})

describe('docs/testing.md', () => {
  test('the examples are those of examples/testing, which are run there', () => {
    const shown = blocks(page('docs/testing.md')).filter(({ kind }) => kind.startsWith('ts '))
    const folder = 'examples/testing'
    const examples = readdirSync(join(ROOT, folder)).map((name) => read(join(folder, name)))
    expect(shown).not.toEqual([])
    for (const { text } of shown) expect(examples).toContain(`${text}\n`)
  })
})

describe('docs/settings.md', () => {
  const SETTING = page('docs/settings.md')

  const variables = rows(SETTING, '| variable | | default |').map(([names = '', , value = '']) => ({
    names: codes(names),
    value: value.replaceAll('`', ''),
  }))

  test('every variable of the sender and the receiver is there, and no other', () => {
    // facts 1.8: Cloud Run sets these, and nobody else.
    const given = ['K_SERVICE', 'K_REVISION']
    expect(variables.flatMap(({ names }) => names).sort()).toEqual(
      Object.keys(SERVICES)
        .filter((name) => !given.includes(name))
        .sort(),
    )
  })

  test('what a variable is where it is not set is what the table says', () => {
    const told = variables.flatMap(({ names, value }) => names.map((name) => [name, value]))
    const wrong = told.filter(([name = '', value]) => {
      const { success, data } = SERVICES[name]?.safeParse(undefined) ?? {}
      // One without a default may be explained in words.
      return value !== (success ? String(data ?? value) : 'required')
    })
    expect(wrong).toEqual([])
  })

  const flags = rows(SETTING, '| flag | | default |').map(([names = '', , value = '']) => ({
    settings: [...names.matchAll(/--([a-z-]+)/g)].map(([, flag]) =>
      SETTINGS.find((setting) => setting.flag === flag),
    ),
    names: [...names.matchAll(/--([a-z-]+)/g)].map(([, flag]) => flag),
    value,
  }))

  test('every flag of the emulator is there, and no other', () => {
    expect(flags.flatMap(({ names }) => names).sort()).toEqual(SETTINGS.map(({ flag }) => flag).sort())
  })

  test('the default of a flag is what the table says', () => {
    const defaults = configure({})
    const wrong = flags.filter(({ settings, value }) => {
      const values = settings.map((setting) => setting && defaults[setting.key])
      const told = values.every((each) => typeof each === 'string' || typeof each === 'number')
      return told && value.replaceAll('`', '') !== values.join(', ')
    })
    expect(wrong).toEqual([])
  })
})

test('what it is made of: every package of package.json is named, and no other', () => {
  const named = codes(section(README, 'What it is made of')).filter((code) => /^[@a-z]/.test(code))
  const packages = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }).map(
    // A second version of one stands under another name.
    ([name, version]) => /^npm:(.+)@/.exec(version)?.[1] ?? name,
  )
  expect([...new Set(named)].sort()).toEqual([...new Set(packages)].sort())
})
