/** `emulator down`: ends a running emulator and what it has started; where none runs, what one that was killed has left. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { z } from 'zod'
import { endAllLeftovers } from '../runtime/leftovers.ts'
import {
  ask,
  CommandFailure,
  NoEmulator,
  readAnswer,
  runCommand,
  urlOption,
  usualUrl,
} from './emulator-at.ts'

/** Services get ten seconds to end, and then the listeners close. Milliseconds. */
const LONGEST = 20_000
/** Between two looks whether a process is gone. Milliseconds. */
const LOOK = 20

const answer = z.object({ pid: z.int().positive() })

/** Runs the command. Returns the exit code. */
export function down(args: readonly string[]): Promise<number> {
  return runCommand('down', async () => {
    const url = parse(args)
    const pid = await end(url)
    if (pid === undefined) {
      const { processes, containers } = await endAllLeftovers()
      const ended = `${counted(processes, 'process', 'es')} and ${counted(containers, 'container', 's')}`
      process.stdout.write(
        `No emulator answers at ${url.origin}. Left by one that was killed, and ended: ${ended}.\n`,
      )
      return 0
    }
    if (!(await hasEnded(pid)))
      throw new CommandFailure(`the emulator at ${url.origin} is still ending (process ${pid}).`)
    process.stdout.write(`The emulator at ${url.origin} has ended.\n`)
    return 0
  })
}

function parse(args: readonly string[]): URL {
  const command = new Command('emulator down')
    .description('Ends a running emulator, or what one that was killed has left behind.')
    .addOption(urlOption())
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
  return command.parse([...args], { from: 'user' }).opts<{ url?: URL }>().url ?? usualUrl(process.env)
}

/** The process that is ending now; undefined where no emulator listens. */
async function end(url: URL): Promise<number | undefined> {
  try {
    return readAnswer(url, await ask(url, '/_emulator/shutdown', {}), answer).pid
  } catch (error) {
    if (error instanceof NoEmulator) return undefined
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
