import { afterEach, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { wrongArrows } from './arrows.ts'
import { readImports } from './imports.ts'

const made: string[] = []
afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true })
})

/** The faults of a checkout with these files. */
function faults(files: Record<string, string>): string[] {
  const root = mkdtempSync(join(tmpdir(), 'arrows-'))
  made.push(root)
  for (const [path, source] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true })
    writeFileSync(join(root, path), source)
  }
  return wrongArrows(readImports(root))
}

describe('arrows that point down', () => {
  test('pass from main to decision', () => {
    expect(
      faults({
        'emulator/main.ts': "import './commands/serve.ts'",
        'emulator/commands/serve.ts':
          "import '../emulator.ts'\nimport { parse } from '../config/schema.ts'\nparse()",
        'emulator/config/schema.ts': 'export const parse = () => 1',
        'emulator/emulator.ts': "import './ingress/ingress.ts'\nimport './front/server.ts'",
        'emulator/front/server.ts':
          "import type { Service } from '../state/resources.ts'\nexport type A = Service",
        'emulator/ingress/ingress.ts':
          "import '../state/resources.ts'\nimport '../tokens/verify.ts'\nimport '../iam/decide.ts'",
        'emulator/state/resources.ts': "import '../tokens/verify.ts'\nexport interface Service {}",
        'emulator/tokens/verify.ts': "import '../decision/decision.ts'\nimport 'jose'",
        'emulator/iam/decide.ts': "import '../decision/decision.ts'\nimport '@bufbuild/cel'",
        'emulator/decision/decision.ts': 'export {}',
        'sender/app.ts': "import '../service/run.ts'\nimport 'hono'",
        'service/run.ts': 'export {}',
        'walkthrough/acts.ts': "import '../emulator/emulator.ts'",
      }),
    ).toEqual([])
  })
})

describe('an arrow that points the wrong way is one line', () => {
  const lower = {
    'emulator/state/resources.ts': 'export interface S {}',
    'emulator/state/state.ts': 'export interface S {}',
    'emulator/products/issuer/issuer.ts': 'export {}',
  }

  test.each<[what: string, file: string, source: string, line: string]>([
    [
      'between two rooms of the middle',
      'emulator/products/metadata/metadata.ts',
      "import '../issuer/issuer.ts'",
      'emulator/products/metadata/metadata.ts → emulator/products/issuer/issuer.ts: rooms of the middle do not import each other',
    ],
    [
      'at the whole state, from a room that is to take its parts',
      'emulator/ingress/ingress.ts',
      "import type { S } from '../state/state.ts'\nexport type T = S",
      'emulator/ingress/ingress.ts → emulator/state/state.ts: a room of the middle imports rooms below it, and of emulator/front only types; of the state it takes the parts (emulator/state/parts.ts)',
    ],
    [
      'upwards, though only for a type',
      'emulator/tokens/mint.ts',
      "import type { S } from '../state/resources.ts'\nexport type T = S",
      'emulator/tokens/mint.ts → emulator/state/resources.ts: tokens imports decision only and knows no HTTP',
    ],
    [
      'in a type written inline',
      'emulator/tokens/mint.ts',
      "export type T = import('../state/resources.ts').S",
      'emulator/tokens/mint.ts → emulator/state/resources.ts: tokens imports decision only and knows no HTTP',
    ],
    [
      'in a type that is passed on',
      'emulator/tokens/mint.ts',
      "export type { S } from '../state/resources.ts'",
      'emulator/tokens/mint.ts → emulator/state/resources.ts: tokens imports decision only and knows no HTTP',
    ],
    [
      'in an import made while running',
      'sender/app.ts',
      "await import('../emulator/state/resources.ts')",
      'sender/app.ts → emulator/state/resources.ts: sender imports service only: it does not know that the emulator exists',
    ],
    [
      'in everything passed on',
      'walkthrough/acts.ts',
      "export * from '../emulator/state/resources.ts'",
      'walkthrough/acts.ts → emulator/state/resources.ts: walkthrough starts the emulator through emulator.ts and speaks with it through client',
    ],
    [
      'from a test of a service',
      'receiver/app.test.ts',
      "import '../emulator/state/resources.ts'",
      'receiver/app.test.ts → emulator/state/resources.ts: receiver imports service only: it does not know that the emulator exists',
    ],
    [
      'to a package that the room does without',
      'emulator/tokens/verify.ts',
      "import { Hono } from 'hono/tiny'\nexport const app = new Hono()",
      'emulator/tokens/verify.ts → hono/tiny: tokens imports decision only and knows no HTTP',
    ],
    [
      'to input and output from a pure room',
      'emulator/iam/roles.ts',
      "import 'node:fs'",
      'emulator/iam/roles.ts → node:fs: iam is pure: it imports decision only, no built-in module and no package that does I/O',
    ],
    [
      'out of the house',
      'emulator/products/run.ts',
      "import '../../../elsewhere.ts'",
      'emulator/products/run.ts → ../elsewhere.ts: the imported file stands in no room of scripts/rooms.ts',
    ],
  ])('%s', (_what, file, source, line) => {
    expect(faults({ ...lower, [file]: source })).toEqual([line])
  })

  test('from a file in no room', () => {
    expect(faults({ 'emulator/attic/box.ts': '', 'helpers.ts': '' })).toEqual([
      'emulator/attic/box.ts: stands in no room; rooms and their arrows are listed in scripts/rooms.ts',
      'helpers.ts: stands in no room; rooms and their arrows are listed in scripts/rooms.ts',
    ])
  })
})

test('the listeners are seen from the middle as types, and whole from its tests', () => {
  const front = { 'emulator/front/server.ts': 'export interface Peer {}\nexport const listen = () => 1' }
  const type = "import { type Peer } from '../front/server.ts'\nexport type P = Peer"
  const whole = "import { listen } from '../front/server.ts'\nlisten()"

  expect(faults({ ...front, 'emulator/ingress/ingress.ts': type })).toEqual([])
  expect(faults({ ...front, 'emulator/ingress/ingress.test.ts': whole })).toEqual([])
  expect(faults({ ...front, 'emulator/ingress/ingress.ts': whole })).toEqual([
    'emulator/ingress/ingress.ts → emulator/front/server.ts: a room of the middle imports rooms below it, and of emulator/front only types; of the state it takes the parts (emulator/state/parts.ts)',
  ])
})

test('a circle of files is refused, though it is made of types', () => {
  expect(
    faults({
      'service/a.ts': "import type { B } from './b.ts'\nexport interface A { b: B }",
      'service/b.ts': "import type { C } from './c.ts'\nexport interface B { c: C }",
      'service/c.ts': "import type { A } from './a.ts'\nexport interface C { a: A }",
    }),
  ).toEqual([
    'service/a.ts → service/b.ts → service/c.ts → service/a.ts: files import each other in a circle',
  ])
})

test('packages and hidden folders are no files of ours', () => {
  expect(
    faults({ 'node_modules/x/index.js': '', '.tools/x.ts': '', 'sender/node_modules/y/z.js': '' }),
  ).toEqual([])
})

test('a file that cannot be parsed is a fault and not an empty file', () => {
  expect(() => faults({ 'sender/app.ts': 'import { from' })).toThrow('sender/app.ts cannot be parsed')
})
