/**
 * `bun scripts/exports.ts`: finds what is exported and imported by no other file, tests and fixtures included. Types are left
 * out: they say what a function takes, also where nobody names them.
 * Prints one line for each; exit 1 if there is any.
 */
import { readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { Glob } from 'bun'
import { parseSync } from 'oxc-parser'

/** What others import from outside of this checkout, and the names that a library asks for. */
const PUBLIC: ReadonlySet<string> = new Set(['emulator/testing/testing.ts', 'emulator/testing/node.ts'])

const EVERYTHING = '*'

/** @param sources by file, relative to the root with forward slashes */
export function unusedExports(sources: ReadonlyMap<string, string>): string[] {
  const used = new Map<string, Set<string>>()
  const use = (from: string, specifier: string, name: string) => {
    if (!specifier.startsWith('.')) return
    const target = posix.join(dirname(from), specifier)
    const names = used.get(target) ?? new Set()
    used.set(target, names.add(name))
  }
  const exported: { readonly file: string; readonly name: string }[] = []
  for (const [file, source] of sources) {
    const { module } = parseSync(file, source)
    for (const { moduleRequest, entries } of module.staticImports)
      for (const { importName } of entries) use(file, moduleRequest.value, importName.name ?? EVERYTHING)
    for (const { entries } of module.staticExports)
      for (const { moduleRequest, importName, exportName, isType } of entries) {
        if (moduleRequest) use(file, moduleRequest.value, importName.name ?? EVERYTHING)
        if (exportName.name !== null && !isType) exported.push({ file, name: exportName.name })
      }
    // `await import('./x.ts')` and `typeof import('./x.ts')` may use any name.
    for (const [, specifier = ''] of source.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g))
      use(file, specifier, EVERYTHING)
  }
  return exported
    .filter(({ file }) => !PUBLIC.has(file))
    .filter(({ file, name }) => !used.get(file)?.has(name) && !used.get(file)?.has(EVERYTHING))
    .map(({ file, name }) => `${file}: ${name} is exported and imported nowhere`)
    .sort()
}

if (import.meta.main) {
  const root = join(import.meta.dir, '..')
  const files = [...new Glob('**/*.{ts,tsx,mts,mjs}').scanSync({ cwd: root })]
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => !file.split('/').includes('node_modules') && !file.startsWith('dist/'))
  const sources = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]))
  const faults = unusedExports(sources)
  for (const fault of faults) console.error(fault)
  console.log(`exports: ${sources.size} files, ${faults.length} used nowhere`)
  process.exitCode = faults.length === 0 ? 0 : 1
}
