/**
 * What each source file of a folder imports, types included: read from the syntax tree, since compilers erase types.
 */
import { readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { Glob } from 'bun'
import { parseSync, Visitor } from 'oxc-parser'

export interface Import {
  /** A file, relative to the root with forward slashes; or a package or built-in module, as written. */
  readonly target: string
  readonly kind: 'file' | 'package'
  readonly typeOnly: boolean
}

/** Files (relative to the root, sorted) and their imports in the order written. Hidden folders are left out. */
export type ImportGraph = ReadonlyMap<string, readonly Import[]>

/** @throws when a file cannot be parsed: half a graph would let a wrong arrow through. */
export function readImports(root: string): ImportGraph {
  const files = [...new Glob('**/*.{ts,tsx,mts,js,jsx,mjs}').scanSync({ cwd: root })]
    .map((file) => file.replaceAll('\\', '/'))
    // What others made, and what is built from here.
    .filter((file) => !file.split('/').includes('node_modules') && !file.startsWith('dist/'))
    .sort()
  return new Map(files.map((file) => [file, importsOf(file, readFileSync(join(root, file), 'utf8'))]))
}

/** @param file relative to the root; decides the language and what `./` means */
function importsOf(file: string, source: string): readonly Import[] {
  const parsed = parseSync(file, source)
  const broken = parsed.errors[0]
  if (broken !== undefined) throw new Error(`${file} cannot be parsed: ${broken.message}`)

  const found: Import[] = []
  const add = (specifier: string, typeOnly: boolean): void => {
    const relative = specifier.startsWith('.')
    const target = relative ? posix.join(dirname(file), specifier) : specifier
    found.push({ target, kind: relative ? 'file' : 'package', typeOnly })
  }
  new Visitor({
    ImportDeclaration(node) {
      // `import { type A, type B }`; an import without names is there for its effect, so it is none.
      const names = node.specifiers
      const types =
        names.length > 0 &&
        names.every((name) => name.type === 'ImportSpecifier' && name.importKind === 'type')
      add(node.source.value, node.importKind === 'type' || types)
    },
    ExportNamedDeclaration(node) {
      const types = node.specifiers.length > 0 && node.specifiers.every((name) => name.exportKind === 'type')
      if (node.source !== null) add(node.source.value, node.exportKind === 'type' || types)
    },
    ExportAllDeclaration(node) {
      add(node.source.value, node.exportKind === 'type')
    },
    ImportExpression(node) {
      if (node.source.type === 'Literal' && typeof node.source.value === 'string')
        add(node.source.value, false)
    },
    TSImportType(node) {
      add(node.source.value, true)
    },
  }).visit(parsed.program)
  return found
}
