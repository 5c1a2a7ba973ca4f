/**
 * Installs the packages that bun.lock names, unless that is done. bunfig.toml preloads it before every program and
 * test run of this checkout, so that a fresh clone runs with no step before; `bun scripts/packages.ts` does the same.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dir, '..')
const modules = join(root, 'node_modules')
const stamp = join(modules, '.installed')
const unfinished = 'unfinished'
/** A file's time may lag behind the clock by a tick of the kernel. Milliseconds. */
const CLOCK_STEP = 50

// bootstrap.mjs needs no packages, and a Bun other than the pinned one, on its way to that, must not install any.
const needed = Bun.main !== join(root, 'bootstrap.mjs')
const wanted = fingerprint()
if (needed) {
  if (stamped() !== wanted) await installPackages()
  // By this process, or by another one while this one was starting and Bun had looked already.
  if (statSync(stamp).mtimeMs > performance.timeOrigin - CLOCK_STEP) forgetMissingFolder()
}

/** What the folder node_modules depends on. */
function fingerprint(): string {
  const hash = new Bun.CryptoHasher('sha256').update(`${process.platform} ${process.arch} ${Bun.version}\n`)
  for (const file of ['package.json', 'bun.lock']) hash.update(readFileSync(join(root, file)))
  return hash.digest('hex')
}

function stamped(): string | undefined {
  return existsSync(stamp) ? readFileSync(stamp, 'utf8') : undefined
}

/** One process installs; others that start meanwhile wait for it and find the work done. */
async function installPackages(): Promise<void> {
  using _lock = await exclusiveLock()
  const found = stamped()
  if (found === wanted) return

  // An install that was cut off may have left packages that look whole and are not.
  if (found === unfinished) rmSync(modules, { recursive: true, force: true })
  console.error('Installing packages from bun.lock')
  mkdirSync(modules, { recursive: true })
  writeFileSync(stamp, unfinished)

  const command = ['install', '--frozen-lockfile', '--no-progress']
  const install = Bun.spawnSync([process.execPath, ...command], {
    cwd: root,
    stdin: 'ignore',
    stderr: 'pipe',
  })
  if (!install.success) {
    if (install.signalCode === undefined) rmSync(stamp)
    console.error(`${install.stdout}${install.stderr}`)
    console.error(
      `error: packages are not installed: "bun ${command.join(' ')}" ended with ${install.signalCode ?? install.exitCode} (its output is above). ` +
        'Expected bun.lock to fit package.json and the registry to answer. Mend: after a change of package.json run "bun install"; else see that "bun info hono" answers.',
    )
    process.exit(1)
  }
  writeFileSync(stamp, wanted)
}

/**
 * Bun's resolver remembers for each folder that no node_modules stood above it, so a fresh clone's first run would not
 * see the new one. A look-up that fails makes it read a folder again: one for each folder of sources.
 */
function forgetMissingFolder(): void {
  const rooms = readdirSync(root, { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() && entry.name !== 'node_modules' && !entry.name.startsWith('.'),
  )
  const inner = rooms.flatMap((room) => {
    const path = join(root, room.name)
    const entries = readdirSync(path, { withFileTypes: true, recursive: true }).filter((entry) =>
      entry.isDirectory(),
    )
    return [path, ...entries.map((entry) => join(entry.parentPath, entry.name))]
  })
  for (const folder of [root, ...inner]) {
    try {
      Bun.resolveSync('invoker-no-such-package', folder)
    } catch {
      // It is meant to fail.
    }
  }
}

/** SQLite's file lock: the operating system lets go of it when the process ends, however it ends. */
async function exclusiveLock(): Promise<Disposable> {
  const { Database } = await import('bun:sqlite')
  const folder = join(root, '.tools')
  mkdirSync(folder, { recursive: true })
  const database = new Database(join(folder, 'packages.lock'), { create: true })
  database.exec('PRAGMA busy_timeout = 600000')
  database.exec('BEGIN EXCLUSIVE')
  return { [Symbol.dispose]: () => database.close() }
}
