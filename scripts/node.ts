/**
 * `bun scripts/node.ts`: prints where the Node.js is by which tests see that what is shipped runs there as well. It is
 * installed into .tools when it is first asked for. Exit 1, and one line why, where it cannot be.
 *
 * Not a package of package.json: its `node` would stand before the user's own in every script.
 */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const VERSION = '22.23.3'
const tools = join(import.meta.dir, '..', '.tools')
const executable = join(tools, `node-${VERSION}`, process.platform === 'win32' ? 'node.exe' : 'node')

if (!existsSync(executable)) install()
console.log(executable)

function install(): void {
  // Each platform has a package of its own; the one named `node` chooses among them by a script.
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  mkdirSync(tools, { recursive: true })
  const work = mkdtempSync(join(tools, 'installing-node-'))
  process.once('exit', () => rmSync(work, { recursive: true, force: true }))
  writeFileSync(join(work, 'package.json'), '{"private":true}\n')
  const add = Bun.spawnSync([process.execPath, 'add', '--exact', '--ignore-scripts', `${name}@${VERSION}`], {
    cwd: work,
    stdout: 'ignore',
    stderr: 'pipe',
  })
  const binaries = join(work, 'node_modules', name, 'bin')
  if (!add.success || !existsSync(binaries)) {
    const said = add.stderr.toString().trim().split('\n').at(-1)
    console.error(
      `Node.js ${VERSION} is not installed: expected the package ${name}@${VERSION}; Bun said: ${said}`,
    )
    process.exit(1)
  }
  // In one step: of two that install at once one wins whole.
  try {
    renameSync(binaries, join(tools, `node-${VERSION}`))
  } catch (cause) {
    if (!existsSync(executable)) throw cause
  }
}
