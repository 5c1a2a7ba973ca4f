/**
 * The processes that an emulator has started, written down beside their home folder: one that is killed cannot end them, so
 * the next one does.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const FOLDER = 'invoker-processes-'
const OWNER = 'emulator'

export interface ProcessLedger {
  /** Resolves when what emulators that are gone have left is ended. Nothing has to wait for it: every port is a fresh one. */
  readonly cleared: Promise<void>
  /** A home of their own for the processes: the developer's own Google credentials must never be what answers. */
  readonly home: string
  add(pid: number): void
  remove(pid: number): void
  close(): void
}

export interface LedgerOptions {
  /** Ends a process and those that it has started. */
  readonly end: (pid: number) => Promise<void>
  /** The folder that ledgers lie in. Default: the system's for temporary files. */
  readonly parent?: string
}

/** Begins to end what emulators that are gone have left, and opens a ledger of this one's own. */
export function openLedger({ end, parent = tmpdir() }: LedgerOptions): ProcessLedger {
  const cleared = endLeftovers({ end, parent })
  const folder = mkdtempSync(join(parent, FOLDER))
  const home = join(folder, 'home')
  mkdirSync(home)
  const write = (name: string, pid: number) =>
    writeFileSync(join(folder, name), `${pid} ${beganAt(pid) ?? ''}`)
  write(OWNER, process.pid)
  return {
    // What could not be ended now is still written down for the next one.
    cleared: cleared.then(
      () => {},
      () => {},
    ),
    home,
    add: (pid) => write(String(pid), pid),
    remove: (pid) => rmSync(join(folder, String(pid)), { force: true }),
    close: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Ends what emulators that are gone have left. Gives the number of processes. */
export async function endLeftovers({ end, parent = tmpdir() }: LedgerOptions): Promise<number> {
  const folders = readdirSync(parent).filter((name) => name.startsWith(FOLDER))
  const ended = await Promise.all(
    folders.map(async (name) => {
      const folder = join(parent, name)
      // Another user's, or one that is just being made or removed: not ours to clear.
      const owner = read(join(folder, OWNER))
      if (!owner || isRunning(owner)) return 0
      const entries = readdirSync(folder).filter((entry) => /^\d+$/.test(entry))
      const left = entries
        .map((entry) => read(join(folder, entry)))
        .filter((started) => started !== undefined)
        .filter(isRunning)
      await Promise.all(left.map(({ pid }) => end(pid)))
      rmSync(folder, { recursive: true, force: true })
      return left.length
    }),
  )
  return ended.reduce((sum, count) => sum + count, 0)
}

interface Started {
  readonly pid: number
  /** When it began, as the system tells it: another process that has come to its number began at another time. */
  readonly began: string
}

function read(path: string): Started | undefined {
  try {
    const [pid = '', ...began] = readFileSync(path, 'utf8').split(' ')
    return { pid: Number(pid), began: began.join(' ') }
  } catch {
    return undefined
  }
}

function isRunning({ pid, began }: Started): boolean {
  return began !== '' && beganAt(pid) === began
}

/** When a process began, in whatever words the system has for it; undefined when there is none. */
function beganAt(pid: number): string | undefined {
  try {
    // The 22nd field; the second one, the command's name, may itself hold spaces and parentheses.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // One that has ended, and that nobody has asked about yet, still has a number.
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    if (process.platform === 'linux') return undefined
  }
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined
  } catch {
    return undefined
  }
}
