/** Toolchains and libraries: found on the machine, or installed into a folder that git does not see. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'

const CACHE = join(import.meta.dir, '..', '.tools', 'conformance')
const TAIL = 2000

/** Something that this machine does not have: the client is skipped, loudly. */
export class Missing extends Error {
  readonly code = 'ERR_MISSING'
}

/** A command that failed. */
export class CommandFailed extends Error {
  readonly code = 'ERR_COMMAND_FAILED'
  /** The end of what it wrote. */
  readonly output: string
  constructor(command: readonly string[], exitCode: number, output: string) {
    super(`${command.join(' ')} ended with ${exitCode}:\n${output}`)
    this.output = output
  }
}

/** A command, and what it comes with. */
export interface Tool {
  readonly command: string
  readonly from: string
}

/** The first tool that is not here, as a sentence. */
export function missingTool(tools: readonly Tool[]): string | undefined {
  const missing = tools.find(({ command }) => !which(command))
  return missing && `${missing.command} is not installed (${missing.from})`
}

export function pathOf(command: string): string {
  const path = which(command)
  if (!path) throw new Missing(`${command} is not installed`)
  return path
}

function which(command: string): string | undefined {
  // `bun run` puts a folder before all others where `node` is Bun.
  const PATH = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => !/\bbun-node\b/.test(folder))
    // Where Go's own archive is unpacked to, which is not always in PATH.
    .concat('/usr/local/go/bin')
    .join(delimiter)
  return Bun.which(command, { PATH }) ?? undefined
}

/** Runs a command to its end; its output. */
export async function run(
  command: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<string> {
  const child = Bun.spawn([...command], {
    cwd,
    env: { ...process.env, ...env },
    stdout: 'pipe',
    stderr: 'pipe',
    stdin: 'ignore',
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  const code = await child.exited
  if (code !== 0) throw new CommandFailed(command, code, `${out}${err}`.slice(-TAIL))
  return out
}

/**
 * A folder made once for these files: named after what is in them, and moved into place when it is whole, so that an
 * install that broke off is made again.
 */
export async function installed(
  name: string,
  files: readonly string[],
  make: (folder: string) => Promise<unknown>,
): Promise<string> {
  const hash = createHash('sha256')
  for (const file of files) hash.update(`${file.length} `).update(readFileSync(file))
  const home = join(CACHE, `${name}-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(home)) return home
  mkdirSync(dirname(home), { recursive: true })
  const part = mkdtempSync(join(CACHE, 'installing-'))
  try {
    await make(part)
    try {
      renameSync(part, home)
    } catch (cause) {
      // Of two installs at once the other one was first.
      if (!existsSync(home)) throw cause
    }
    return home
  } finally {
    rmSync(part, { recursive: true, force: true })
  }
}
