/**
 * `bun scripts/arrows.ts`: holds every import of the checkout to the table in rooms.ts, and refuses circles of files.
 * Prints one line for each arrow that points the wrong way; exit 1 if there is any.
 */
import { join } from 'node:path'
import { type Import, type ImportGraph, readImports } from './imports.ts'
import { middle, type Room, rooms } from './rooms.ts'

/** @returns one line for each fault: the two files and what was to be kept. */
export function wrongArrows(graph: ImportGraph, table: Readonly<Record<string, Room>> = rooms): string[] {
  const arrows = [...graph].flatMap(([file, imports]) => {
    const room = roomOf(file, table)
    if (room === undefined)
      return [`${file}: stands in no room; rooms and their arrows are listed in scripts/rooms.ts`]
    return imports.flatMap((arrow) => {
      const fault = faultOf(file, room, arrow, table)
      return fault === undefined ? [] : [`${file} → ${arrow.target}: ${fault}`]
    })
  })
  return [...new Set([...arrows, ...circles(graph)])]
}

/** The longest name in the table that is the file or one of its folders; `x.test.ts` and `x.fixture.ts` stand in the room of `x.ts`. */
export function roomOf(file: string, table: Readonly<Record<string, Room>>): string | undefined {
  const subject = file.replace(/(\.docker)?\.(?:test|fixture)\.(tsx?|mjs)$/, '.$2')
  return Object.keys(table)
    .filter((room) =>
      [subject, file].some((path) => path === room || path.startsWith(`${room}/`) || path === `${room}.ts`),
    )
    .sort((a, b) => b.length - a.length)[0]
}

function faultOf(
  file: string,
  name: string,
  arrow: Import,
  table: Readonly<Record<string, Room>>,
): string | undefined {
  const room = table[name]
  if (room === undefined) return undefined
  const isTest = /\.(?:test|fixture)\./.test(file)

  if (arrow.kind === 'package') {
    const { onlyPackages, neverPackages = [] } = room
    const fits = (names: readonly string[]) =>
      names.some((one) => arrow.target === one || arrow.target.startsWith(`${one}/`))
    const allowed = (onlyPackages === undefined || fits(onlyPackages)) && !fits(neverPackages)
    return allowed || isTest ? undefined : room.why
  }

  const target = roomOf(arrow.target, table)
  if (target === undefined) return 'the imported file stands in no room of scripts/rooms.ts'
  if (target === name || room.may.includes(target)) return undefined
  if (room.types?.includes(target) && (arrow.typeOnly || isTest)) return undefined
  if (room.tests?.includes(target) && isTest) return undefined
  const both: readonly string[] = middle
  return both.includes(name) && both.includes(target)
    ? 'rooms of the middle do not import each other'
    : room.why
}

/** Circles between files, types included, each named once from its first file on. */
function circles(graph: ImportGraph): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const walk = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file)
    if (start !== -1) {
      found.push(`${[...path.slice(start), file].join(' → ')}: files import each other in a circle`)
      return
    }
    if (done.has(file)) return
    for (const arrow of graph.get(file) ?? []) walk(arrow.target, [...path, file])
    done.add(file)
  }
  for (const file of graph.keys()) walk(file, [])
  return found
}

if (import.meta.main) {
  const graph = readImports(join(import.meta.dir, '..'))
  const faults = wrongArrows(graph)
  for (const fault of faults) console.error(fault)
  console.log(`arrows: ${graph.size} files, ${faults.length} wrong`)
  process.exitCode = faults.length === 0 ? 0 : 1
}
