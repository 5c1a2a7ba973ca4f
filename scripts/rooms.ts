/**
 * The rooms of the house and where their arrows may point: down only. scripts/arrows.ts holds every import to this.
 */

import { readdirSync } from 'node:fs'
import { join } from 'node:path'

export interface Room {
  /** Rooms whose files this one imports. */
  readonly may: readonly string[]
  /** Rooms of which it imports types only. Its tests may use them whole. */
  readonly types?: readonly string[]
  /** Rooms that only its tests and their fixtures use. */
  readonly tests?: readonly string[]
  /** Packages and built-in modules: if given, no others than these. Its tests are free. */
  readonly onlyPackages?: readonly string[]
  /** Packages and built-in modules that it never imports. Its tests are free. */
  readonly neverPackages?: readonly string[]
  /** What a person who broke the rule should read. */
  readonly why: string
}

const decision = ['emulator/decision']
/** Data and pure functions that everyone may know. */
const bottom = ['emulator/errors', 'emulator/catalogue', ...decision]
const belowState = [...bottom, 'emulator/tokens', 'emulator/iam']
const belowProducts = [...belowState, 'emulator/state', 'emulator/runtime', 'emulator/wire']

/** All of the state at once: opened by emulator.ts. The other rooms take its parts. */
const wholeState = 'emulator/state/state.ts'

const http = ['hono', '@hono/node-server', 'node:http', 'node:https', 'node:http2', 'node:net', 'node:tls']

/** Google's products, and what else stands side by side under emulator.ts: what two of them need lives below them. */
export const middle = ['emulator/ingress', 'emulator/control', ...foldersIn('emulator/products')]

function foldersIn(folder: string): readonly string[] {
  return readdirSync(join(import.meta.dir, '..', folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `${folder}/${name}`)
    .sort()
}

const besideTheOthers: Room = {
  may: [...belowProducts, 'emulator/rest'],
  types: ['emulator/front'],
  tests: ['emulator/products', wholeState, 'trust'],
  why: 'a room of the middle imports rooms below it, and of emulator/front only types; of the state it takes the parts (emulator/state/parts.ts)',
}

/** Two spellings of one API. */
const spellingOfRun: Room = {
  ...besideTheOthers,
  may: [...besideTheOthers.may, 'emulator/products/run'],
  why: 'run/v1 and run/v2 stand on the neutral files beside them, and not on each other',
}

/** A room is a folder or a single file; the longest name that fits a file is its room. */
export const rooms: Readonly<Record<string, Room>> = {
  'emulator/errors': {
    may: [],
    onlyPackages: ['fastest-levenshtein'],
    why: 'errors stands at the bottom and imports no other room',
  },
  'emulator/decision': {
    may: [],
    onlyPackages: [],
    why: 'decision stands at the bottom and imports nothing',
  },
  'emulator/wire': {
    may: [],
    onlyPackages: ['node:http', 'node:net', 'node:stream', 'node:tls'],
    why: 'wire is HTTP/1.1 itself, for the front, the ingress and the control API: it imports nothing of the house',
  },
  'emulator/catalogue': {
    may: [],
    onlyPackages: [],
    tests: ['emulator/products/catalogue.ts'],
    why: 'catalogue stands at the bottom and imports nothing: it is told of products by argument',
  },
  'emulator/tokens': {
    may: decision,
    tests: ['trust'],
    neverPackages: http,
    why: 'tokens imports decision only and knows no HTTP',
  },
  'emulator/iam': {
    may: decision,
    onlyPackages: ['@bufbuild/cel', 'zod'],
    why: 'iam is pure: it imports decision only, no built-in module and no package that does I/O',
  },
  'emulator/state': {
    may: belowState,
    tests: [wholeState],
    why: 'state imports tokens, iam, decision and errors only',
  },
  [wholeState]: {
    may: [...belowState, 'emulator/state'],
    why: 'state.ts puts the state together, of what stands beside it',
  },
  'emulator/runtime': {
    may: [...belowState, 'emulator/state'],
    why: 'runtime imports state and what is below it only',
  },
  'emulator/front': {
    may: [...bottom, 'emulator/wire'],
    types: ['emulator/state'],
    tests: ['emulator/emulator.ts'],
    why: 'front imports wire, errors, decision and catalogue, and of state only types',
  },
  'emulator/rest': {
    may: belowProducts,
    types: ['emulator/front'],
    tests: ['emulator/products'],
    why: "rest is how Google's APIs are spoken; it imports rooms below it, and of emulator/front only types",
  },
  ...Object.fromEntries(middle.map((room) => [room, besideTheOthers])),
  'emulator/products/catalogue.ts': {
    may: ['emulator/rest', 'emulator/catalogue', 'emulator/products/run/product.ts', ...middle],
    tests: ['emulator/state'],
    why: 'the table of products imports what each says of itself, and loads none of them',
  },
  'emulator/products/run/v1': spellingOfRun,
  'emulator/products/run/v2': spellingOfRun,
  'emulator/products/run/product.ts': {
    ...spellingOfRun,
    may: [...spellingOfRun.may, 'emulator/products/run/v1', 'emulator/products/run/v2'],
    why: 'run/product.ts puts the two versions of the API together',
  },
  'emulator/products': {
    may: ['emulator/products/catalogue.ts', ...middle, ...belowProducts, 'emulator/rest'],
    types: ['emulator/front'],
    tests: [wholeState, 'emulator/emulator.ts'],
    why: 'products.ts puts the products together',
  },
  'emulator/client': {
    may: ['emulator/errors'],
    types: ['emulator/decision'],
    tests: ['emulator/emulator.ts'],
    why: 'client speaks HTTP with an emulator: it imports errors, and of decision only types',
  },
  'emulator/config': { may: belowProducts, why: 'config imports state and what is below it only' },
  'emulator/trust.ts': {
    may: [],
    tests: ['emulator/front'],
    why: 'trust.ts writes certificates in files and imports no other room',
  },
  'emulator/manifests.ts': {
    may: ['emulator/client', 'emulator/errors'],
    tests: ['emulator/emulator.ts'],
    why: 'manifests.ts calls Google through client',
  },
  'emulator/assembly': {
    may: [
      'emulator/config',
      'emulator/trust.ts',
      'emulator/manifests.ts',
      wholeState,
      'emulator/client',
      'emulator/front',
      'emulator/products',
      'emulator/products/catalogue.ts',
      'emulator/rest',
      ...middle,
      ...belowProducts,
    ],
    why: 'assembly holds the parts that emulator.ts puts together; it imports the rooms below it',
  },
  'emulator/emulator.ts': {
    may: [
      'emulator/assembly',
      'emulator/config',
      'emulator/trust.ts',
      'emulator/manifests.ts',
      wholeState,
      'emulator/client',
      'emulator/front',
      'emulator/products',
      'emulator/products/catalogue.ts',
      'emulator/rest',
      ...middle,
      ...belowProducts,
    ],
    why: 'emulator.ts imports the rooms below it, not main.ts',
  },
  'emulator/commands': {
    may: [
      'emulator/emulator.ts',
      'emulator/config',
      'emulator/manifests.ts',
      'emulator/trust.ts',
      'emulator/client',
      // What an emulator that was killed has left, nobody else can end.
      'emulator/runtime',
      'package.json',
      ...bottom,
    ],
    tests: ['emulator/products/catalogue.ts'],
    why: 'commands start emulator.ts, or speak through client with one that runs',
  },
  'emulator/main.ts': {
    may: ['emulator/commands', 'emulator/errors'],
    tests: ['emulator/emulator.ts'],
    why: 'main.ts chooses a command; its tests start emulators',
  },
  'emulator/testing': {
    may: [
      'emulator/emulator.ts',
      'emulator/config',
      'emulator/trust.ts',
      'emulator/products/catalogue.ts',
      'emulator/client',
      ...belowProducts,
    ],
    why: 'testing starts the emulator through emulator.ts',
  },

  service: { may: [], why: 'service is shared by sender and receiver and imports no other room' },
  sender: { may: ['service'], why: 'sender imports service only: it does not know that the emulator exists' },
  receiver: {
    may: ['service'],
    tests: ['trust'],
    why: 'receiver imports service only: it does not know that the emulator exists',
  },

  walkthrough: {
    may: ['emulator/emulator.ts', 'emulator/client', 'emulator/errors'],
    why: 'walkthrough starts the emulator through emulator.ts and speaks with it through client',
  },
  conformance: {
    may: ['emulator/emulator.ts', 'emulator/client', 'emulator/testing', 'walkthrough'],
    // What the README says of the settings is compared with them.
    tests: ['emulator/config', 'sender', 'receiver'],
    why: 'conformance starts the emulator through emulator.ts and speaks with it through client',
  },
  examples: {
    may: ['emulator/testing'],
    why: 'examples use the emulator as its users do: from outside, or by its testing module',
  },
  bench: {
    may: ['emulator/emulator.ts', 'emulator/testing', 'emulator/iam'],
    why: 'bench sees the emulator through emulator.ts, and measures decide() by itself',
  },
  trust: {
    may: [],
    why: 'trust makes what is hostile for the tests of others, and imports no other room',
  },
  deploy: { may: [], why: 'deploy imports no other room' },
  scripts: { may: [], why: 'scripts imports no other room' },
  'package.json': { may: [], why: 'package.json holds the version, in one place' },
  'bootstrap.mjs': {
    may: [],
    why: 'bootstrap.mjs runs before anything is installed and imports built-in modules only',
  },
}
