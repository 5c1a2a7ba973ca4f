/** `emulator down`: ends a running emulator and what it has started; where none runs, what one that was killed has left. */
import { setTimeout as sleep } from 'node:timers/promises'
import { InvokerError, isError } from '../errors/errors.ts'
import { endAllLeftovers } from '../runtime/leftovers.ts'
import { DONE, newCommand, parse } from './command.ts'
import { controlAt, urlOption, usualUrl } from './running.ts'

/** Services get ten seconds to end, and then the listeners close. Milliseconds. */
const LONGEST = 20_000
/** Between two looks whether a process is gone. Milliseconds. */
const LOOK = 20

export async function down(args: readonly string[]): Promise<number> {
  const command = newCommand(
    'emulator down',
    'Ends a running emulator, or what one that was killed has left behind.',
  ).addOption(urlOption())
  const { url = usualUrl(process.env) } = parse<{ url?: URL }>(command, args).options
  const pid = await end(url)
  if (pid === undefined) {
    const { processes, containers } = await endAllLeftovers()
    const ended = `${counted(processes, 'process', 'es')} and ${counted(containers, 'container', 's')}`
    process.stdout.write(
      `No emulator answers at ${url.origin}. Left by one that was killed, and ended: ${ended}.\n`,
    )
    return DONE
  }
  if (!(await hasEnded(pid)))
    throw new InvokerError('ERR_TIMEOUT', `the emulator at ${url.origin} is still ending (process ${pid}).`)
  process.stdout.write(`The emulator at ${url.origin} has ended.\n`)
  return DONE
}

/** The process that is ending now; undefined where no emulator listens. */
async function end(url: URL): Promise<number | undefined> {
  try {
    return await controlAt(url).shutdown()
  } catch (error) {
    if (isError(error, 'ERR_NO_EMULATOR')) return undefined
    throw error
  }
}

async function hasEnded(pid: number): Promise<boolean> {
  const until = performance.now() + LONGEST
  while (isAlive(pid)) {
    if (performance.now() > until) return false
    await sleep(LOOK)
  }
  return true
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

function counted(count: number, noun: string, plural: string): string {
  return `${count} ${noun}${count === 1 ? '' : plural}`
}
