/**
 * What `npm start`, `npm test` and `bun start` call: finds or installs the Bun that package.json pins, then runs it
 * with the arguments given here. Plain JavaScript without dependencies, for Node.js 20 or any Bun.
 *
 * The packages are not its matter: Bun installs those before a program or a test starts (scripts/packages.ts).
 */
import { spawn, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { isatty } from 'node:tty'
import { fileURLToPath } from 'node:url'

const root = dirname(fileURLToPath(import.meta.url))
const version = pinnedVersion()
const executable = process.platform === 'win32' ? 'bun.exe' : 'bun'
const home = join(root, '.tools', `bun-${version}`)

run(findBun() ?? installBun(), process.argv.slice(2))

/** @returns {string} the Bun of `"packageManager": "bun@1.2.3"`, a hash after a plus sign left out. */
function pinnedVersion() {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const match = /^bun@(\d+\.\d+\.\d+)(?:\+|$)/.exec(packageManager)
  return (
    match?.[1] ??
    fail(
      `"packageManager" in package.json is "${packageManager}". Expected an exact version like "bun@1.2.3".`,
    )
  )
}

/** @returns {string | undefined} a Bun of the pinned version that is here already: this process, ours, the user's. */
function findBun() {
  if (process.versions.bun === version) return process.execPath
  const ours = join(home, executable)
  if (existsSync(ours)) return ours
  return versionOf('bun') === version ? 'bun' : undefined
}

/** @param {string} bun @returns {string | undefined} */
function versionOf(bun) {
  const answer = spawnSync(bun, ['--version'], { encoding: 'utf8', windowsHide: true })
  return answer.status === 0 ? answer.stdout.trim() : undefined
}

/**
 * Installs the npm package `bun` with the user's own npm (and so with their registry, proxy and certificates).
 * @returns {string} the path of the binary
 */
function installBun() {
  const other = process.versions.bun ?? versionOf('bun')
  const note = other === undefined ? '' : ` (the Bun ${other} that is here is not used)`
  process.stderr.write(`Installing Bun ${version} into .tools/${note}\n`)

  // While spawnSync runs, a signal waits; with a listener the folder below is cleared before the process ends.
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
  mkdirSync(dirname(home), { recursive: true })
  const work = mkdtempSync(join(dirname(home), 'installing-'))
  process.once('exit', () => rmSync(work, { recursive: true, force: true }))

  const [command, args] = packageInstall(work)
  writeFileSync(join(work, 'package.json'), '{"private":true}\n')
  const install = spawnSync(command, args, {
    cwd: work,
    encoding: 'utf8',
    shell: process.platform === 'win32' && command === 'npm',
  })
  const binary = install.status === 0 ? installedBinary(work) : undefined
  if (binary === undefined) {
    process.stderr.write(`${install.stdout ?? ''}${install.stderr ?? ''}`)
    const tool = process.versions.bun === undefined ? 'npm' : 'Bun'
    const what = install.error
      ? `${tool} did not start: ${install.error.message}`
      : `${tool} ended with ${install.status ?? install.signal}`
    fail(
      `Bun ${version} is not installed: ${what}${install.status === 0 ? ' but left no binary that runs on this machine' : ''}. ` +
        `Expected it to install the npm package bun@${version}; what it said is above. ` +
        `Mend: see that "npm view bun@${version}" answers, or install Bun ${version} (https://bun.com/docs/installation) and use "bun start".`,
    )
  }

  // Moved into place in one step, so that of two installs at once one wins whole and nobody sees half a binary.
  const ready = join(work, 'ready')
  mkdirSync(ready)
  renameSync(binary, join(ready, executable))
  try {
    renameSync(ready, home)
  } catch (cause) {
    if (!existsSync(join(home, executable))) throw cause
  }
  rmSync(work, { recursive: true, force: true })
  return join(home, executable)
}

/**
 * The package's own install script is not run (many forbid scripts, and it asks a fixed registry when the user's
 * fails): it only moves the binary out of the optional package of this platform, which installedBinary() finds.
 * @param {string} work
 * @returns {[command: string, args: string[]]}
 */
function packageInstall(work) {
  const spec = `bun@${version}`
  if (process.versions.bun !== undefined)
    return [process.execPath, ['add', '--exact', '--ignore-scripts', spec]]
  const options = ['--ignore-scripts', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error']
  const args = ['install', '--global=false', `--prefix=${work}`, ...options, spec]
  const npm = process.env.npm_execpath ?? ''
  return npm.endsWith('npm-cli.js') ? [process.execPath, [npm, ...args]] : ['npm', args]
}

/**
 * npm may install several variants (musl beside glibc, baseline): the one that runs and is the pinned version counts.
 * @param {string} work
 * @returns {string | undefined}
 */
function installedBinary(work) {
  const scope = join(work, 'node_modules', '@oven')
  const variants = existsSync(scope)
    ? readdirSync(scope).map((name) => join(scope, name, 'bin', executable))
    : []
  return variants.find((path) => existsSync(path) && versionOf(path) === version)
}

/** Runs Bun in the checkout as if it had been called itself. @param {string} bun @param {string[]} args */
function run(bun, args) {
  if (bun !== 'bun') process.env.PATH = `${dirname(bun)}${delimiter}${process.env.PATH ?? ''}`
  process.removeAllListeners('SIGINT').removeAllListeners('SIGTERM')
  const npm = process.env.npm_lifecycle_event === undefined ? [] : ancestors()
  const child = spawn(bun, args, { cwd: root, stdio: 'inherit' })

  // A terminal sends its Ctrl-C to every process in the foreground, so Bun has it already.
  const terminal = [0, 1, 2].some((descriptor) => isatty(descriptor))
  process.on('SIGINT', () => terminal || child.kill('SIGINT'))
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  process.on('SIGHUP', () => terminal || child.kill('SIGHUP'))

  whenGone(npm, () => child.kill('SIGTERM'))

  child.on('error', (cause) => fail(`${bun} did not start: ${cause.message}`))
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    process.removeAllListeners(signal)
    process.exitCode = 128 + constants.signals[signal]
    process.kill(process.pid, signal)
  })
}

/** @returns {number[]} npm, and the shell that it runs a script by where that is above this process */
function ancestors() {
  if (process.platform === 'win32') return [process.ppid]
  const ps = spawnSync('ps', ['-o', 'ppid=,comm=', '-p', String(process.ppid)], { encoding: 'utf8' })
  const [, above, command] = /^\s*(\d+)\s+(.*)$/m.exec(ps.stdout ?? '') ?? []
  const isShell = /(?:^|\/|-)(?:da|ba|z|k)?sh$/.test(command ?? '')
  return isShell ? [process.ppid, Number(above)] : [process.ppid]
}

/**
 * npm that is ended by its process id takes nothing along: what it has started would go on, and hold its ports. Calls back
 * once one of the processes is gone.
 * @param {number[]} pids @param {() => void} callback
 */
function whenGone(pids, callback) {
  if (pids.length === 0) return
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent && pids.every(isAlive)) return
    clearInterval(timer)
    callback()
  }, 500)
  timer.unref()
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** @param {string} sentence @returns {never} */
function fail(sentence) {
  process.stderr.write(`error: ${sentence}\n`)
  process.exit(1)
}
