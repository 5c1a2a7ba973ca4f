/** What all commands share: how one is described and read, and what becomes of a mistake. */
import { Command, CommanderError } from 'commander'
import manifest from '../../package.json' with { type: 'json' }
import { type Fault, InvokerError, isError, reasonOf } from '../errors/errors.ts'

/** Runs a command with the arguments after its name. Resolves with its exit code. */
export type RunCommand = (args: readonly string[]) => Promise<number>

export const DONE = 0

/** The exit code of a command that did not come through, by whose fault that is. Documented in docs/commands.md. */
export const EXIT_CODES: Readonly<Record<Fault, number>> = { user: 1, refusal: 2, defect: 70 }

/** How the program is named in what it says. */
export const PROGRAM = 'emulator'

/** A command as all are: with `-h`, `--help`, `help` and `--version`. Help goes to standard output. */
export function newCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .helpOption('-h, --help', 'show this')
    .version(manifest.version, '--version', 'show the version')
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
}

/** Reads the arguments. */
export function parse<Options extends object>(
  command: Command,
  args: readonly string[],
): { readonly options: Options; readonly operands: readonly string[] } {
  command.parse([...args], { from: 'user' })
  return { options: command.opts<Options>(), operands: command.args }
}

/** Runs one, and says in one line what a person can mend. `name` is how the line begins. */
export async function runCommand(name: string, work: () => Promise<number>): Promise<number> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return DONE // it has shown help or its version
    const known = knownError(error)
    process.stderr.write(`${name}: ${oneLine(known.message)}\n`)
    if (known.fault === 'defect' && process.env.NODE_DEBUG?.includes('invoker'))
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
    return EXIT_CODES[known.fault]
  }
}

/** Whatever was thrown, by its place in the list of errors. */
function knownError(error: unknown): InvokerError {
  if (isError(error)) return error
  if (error instanceof CommanderError) {
    const sentence = `${error.message.replace(/^error: /, '').replace(/\.?$/, '.')}`
    return new InvokerError('ERR_USAGE', sentence, { mend: 'See --help.', cause: error })
  }
  return new InvokerError('ERR_DEFECT', `this should not happen: ${reasonOf(error)}.`, {
    mend: 'Please report it, with what NODE_DEBUG=invoker adds.',
    cause: error,
  })
}

function oneLine(text: string): string {
  return text.trim().replace(/\s+/g, ' ')
}
