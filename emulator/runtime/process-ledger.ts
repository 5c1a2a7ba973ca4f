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

/** Ends what emulators that are gone have left, and opens a ledger of this one's own. */
export async function openLedger({ end, parent = tmpdir() }: LedgerOptions): Promise<ProcessLedger> {
  await endLeftovers(parent, end)
  const folder = mkdtempSync(join(parent, FOLDER))
  const home = join(folder, 'home')
  mkdirSync(home)
  const write = (name: string, pid: number) =>
    writeFileSync(join(folder, name), `${pid} ${beganAt(pid) ?? ''}`)
  write(OWNER, process.pid)
  return {
    home,
    add: (pid) => write(String(pid), pid),
    remove: (pid) => rmSync(join(folder, String(pid)), { force: true }),
    close: () => rmSync(folder, { recursive: true, force: true }),
  }
}

async function endLeftovers(parent: string, end: LedgerOptions['end']): Promise<void> {
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(FOLDER)) continue
    const folder = join(parent, name)
    // Another user's, or one that is just being made or removed: not ours to clear.
    const owner = read(join(folder, OWNER))
    if (!owner || isRunning(owner)) continue
    const left = readdirSync(folder).filter((entry) => /^\d+$/.test(entry))
    for (const entry of left) {
      const started = read(join(folder, entry))
      if (started && isRunning(started)) await end(started.pid)
    }
    rmSync(folder, { recursive: true, force: true })
  }
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
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    if (process.platform === 'linux') return undefined
  }
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined
  } catch {
    return undefined
  }
}
