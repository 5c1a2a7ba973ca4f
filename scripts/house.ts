/**
 * `bun scripts/house.ts`: the rooms of the house and the arrows between them, drawn from the imports of the checkout's own code (tests
 * and fixtures apart) as a Mermaid diagram. `--write` puts it into docs/architecture.md.
 *
 * An arrow is left out where a longer way leads to the same room, so that what is drawn can be followed by eye.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { roomOf } from './arrows.ts'
import { type ImportGraph, readImports } from './imports.ts'
import { middle, type Room, rooms } from './rooms.ts'

export const PAGE = 'docs/architecture.md'
const START = '<!-- Drawn by `bun scripts/house.ts --write` from the imports. Do not edit. -->'
const END = '<!-- End of the drawing. -->'

/** Rooms that are drawn as one: those within the folder on the left. */
const DRAWN_AS_ONE = ['emulator/products', 'emulator/state', 'emulator/runtime']

/** What a room is for: the words below its name. */
const ABOUT: Readonly<Record<string, string>> = {
  'emulator/main.ts': 'the command line',
  'emulator/commands': 'one file a command',
  'emulator/client': 'of a running emulator, by HTTP',
  'emulator/testing': 'invoker/testing',
  'emulator/emulator.ts': 'what it is made of, in the order of starting',
  'emulator/assembly': 'the parts that emulator.ts puts together',
  'emulator/config': 'flags, variables, file: one schema',
  'emulator/front': 'listeners, TLS, proxy: which product or service a host means',
  'emulator/ingress': "Cloud Run's front door",
  'emulator/control': '/_emulator/',
  'emulator/rest': "how Google's APIs are spoken",
  'emulator/runtime': 'how a revision comes to run',
  'emulator/state': 'what is kept, typed',
  'emulator/wire': 'HTTP/1.1 itself',
  'emulator/iam': 'who may, and why not: pure',
  'emulator/tokens': 'keys, minting, verifying',
  'emulator/decision': 'what was found out about a request',
  'emulator/catalogue': 'lists derived from the table of products',
  'emulator/errors': 'what can go wrong',
  'emulator/manifests.ts': 'deploys documents at the start',
  'emulator/trust.ts': 'certificates as files',
  sender: 'asks for a token and calls',
  receiver: 'answers, and may verify',
  service: 'what both share',
}

export interface House {
  /** Every room that an arrow begins or ends at, from the root. */
  readonly rooms: readonly string[]
  /** From a room to one that it imports; `types` where it takes types only. */
  readonly arrows: readonly { readonly from: string; readonly to: string; readonly types: boolean }[]
}

/** @param table as in rooms.ts */
export function houseOf(graph: ImportGraph, table: Readonly<Record<string, Room>> = rooms): House {
  const drawn = (file: string): string | undefined => {
    const room = roomOf(file, table)
    return room && (DRAWN_AS_ONE.find((one) => room.startsWith(one)) ?? room)
  }
  const whole = new Map<string, Set<string>>()
  const typed = new Map<string, Set<string>>()
  for (const [file, imports] of graph) {
    const from = drawn(file)
    if (from === undefined || /\.(test|fixture)\./.test(file)) continue
    for (const { target, kind, typeOnly } of imports) {
      const to = kind === 'file' && target !== 'package.json' ? drawn(target) : undefined
      if (to === undefined || to === from) continue
      const arrows = typeOnly ? typed : whole
      arrows.set(from, (arrows.get(from) ?? new Set()).add(to))
    }
  }
  const shown = (arrows: ReadonlyMap<string, ReadonlySet<string>>, types: boolean) =>
    [...arrows].flatMap(([from, targets]) =>
      [...targets].filter((to) => !isRoundabout(from, to, types, whole)).map((to) => ({ from, to, types })),
    )
  const arrows = [...shown(whole, false), ...shown(typed, true)]
  return {
    rooms: [...new Set(arrows.flatMap(({ from, to }) => [from, to]))].sort(),
    arrows: arrows.sort((a, b) => a.from.localeCompare(b.from) || a.to.localeCompare(b.to)),
  }
}

/** Whether another way leads there: for types, any way at all. */
function isRoundabout(
  from: string,
  to: string,
  types: boolean,
  arrows: ReadonlyMap<string, ReadonlySet<string>>,
): boolean {
  const next = [...(arrows.get(from) ?? [])]
  const seen = new Set(types ? next : next.filter((room) => room !== to))
  for (const room of seen) {
    if (room === to) return true
    for (const further of arrows.get(room) ?? []) seen.add(further)
  }
  return false
}

export function mermaid({ rooms, arrows }: House): string {
  const id = (room: string) => room.replace(/\.[a-z]+$/, '').replace(/\W/g, '_')
  const label = (room: string) => {
    const name = room.replace('emulator/', '')
    const products = middle
      .filter((one) => one.startsWith('emulator/products/'))
      .map((one) => one.split('/')[2])
    const about = room === 'emulator/products' ? products.join(', ') : ABOUT[room]
    return about === undefined ? `${id(room)}["${name}"]` : `${id(room)}["<b>${name}</b><br>${about}"]`
  }
  const inside = rooms.filter((room) => room.startsWith('emulator/'))
  return [
    '```mermaid',
    'flowchart TD',
    '  subgraph emulator',
    ...inside.map((room) => `    ${label(room)}`),
    '  end',
    ...rooms.filter((room) => !inside.includes(room)).map((room) => `  ${label(room)}`),
    ...arrows.map(({ from, to, types }) => `  ${id(from)} ${types ? '-.->' : '-->'} ${id(to)}`),
    '```',
  ].join('\n')
}

/** The page with its drawing anew. @throws when it has no place for one */
export function withDrawing(page: string, drawing: string): string {
  const [before, rest] = page.split(START)
  const after = rest?.split(END)[1]
  if (before === undefined || after === undefined) throw new Error(`${PAGE} has no place for the drawing`)
  return `${before}${START}\n\n${drawing}\n\n${END}${after}`
}

if (import.meta.main) {
  const root = join(import.meta.dir, '..')
  const drawing = mermaid(houseOf(readImports(root)))
  const path = join(root, PAGE)
  if (process.argv.includes('--write')) writeFileSync(path, withDrawing(readFileSync(path, 'utf8'), drawing))
  else console.log(drawing)
}
