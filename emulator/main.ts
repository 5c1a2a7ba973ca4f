/** The command line: a table of commands. `emulator` alone starts one; the others speak with one that runs. */
import 'reflect-metadata' // @peculiar/x509 needs it first, and a bundle keeps only the order of this file
import { PROGRAM, type RunCommand, runCommand } from './commands/command.ts'
import { InvokerError } from './errors/errors.ts'
import { suggestion } from './errors/nearest.ts'

interface Entry {
  readonly summary: string
  readonly run: RunCommand
}

// Each is loaded only when asked for: a shell waits for `env`.
const COMMANDS: Readonly<Record<string, Entry>> = {
  serve: {
    summary: 'starts an emulator; so does no command',
    run: async (args) => (await import('./commands/serve.ts')).serve(args, list()),
  },
  env: {
    summary: 'prints what points a shell at it',
    run: async (args) => (await import('./commands/env.ts')).env(args),
  },
  exec: {
    summary: 'runs a program that reaches it and nothing else',
    run: async (args) => (await import('./commands/exec.ts')).exec(args),
  },
  run: {
    summary: 'runs a program as a service',
    run: async (args) => (await import('./commands/exec.ts')).run(args),
  },
  services: {
    summary: 'lists what is deployed',
    run: async (args) => (await import('./commands/services.ts')).services(args),
  },
  grant: {
    summary: 'gives an account a role on a service',
    run: async (args) => (await import('./commands/grant.ts')).grant(args),
  },
  revoke: {
    summary: 'takes it back',
    run: async (args) => (await import('./commands/grant.ts')).revoke(args),
  },
  call: {
    summary: 'calls a service, and says why that ends as it does',
    run: async (args) => (await import('./commands/call.ts')).call(args),
  },
  token: {
    summary: 'prints an ID token of a service account',
    run: async (args) => (await import('./commands/token.ts')).token(args),
  },
  decisions: {
    summary: 'prints what the front door decided, and why',
    run: async (args) => (await import('./commands/decisions.ts')).decisions(args),
  },
  import: {
    summary: 'gives it the services and policies of a project',
    run: async (args) => (await import('./commands/import.ts')).importDocuments(args),
  },
  export: {
    summary: 'prints its services and policies as gcloud does',
    run: async (args) => (await import('./commands/export.ts')).exportDocuments(args),
  },
  down: {
    summary: 'ends it, and what one that was killed has left',
    run: async (args) => (await import('./commands/down.ts')).down(args),
  },
  help: {
    summary: 'shows this, or the help of a command',
    run: async ([name, ...rest]) =>
      name === undefined ? commandOf('serve').run(['--help']) : commandOf(name).run(['--help', ...rest]),
  },
}

const args = process.argv.slice(2)
const [name = '', ...given] = args
const rest = given.length === 1 && given[0] === 'help' ? ['--help'] : given
process.exitCode =
  name === '' || name.startsWith('-')
    ? await runCommand(PROGRAM, () => commandOf('serve').run(args))
    : await runCommand(`${PROGRAM} ${name}`, async () => commandOf(name).run(rest))

function commandOf(name: string): Entry {
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (entry) return entry
  const mend = [suggestion(name, Object.keys(COMMANDS)), `See "${PROGRAM} help".`].filter(Boolean).join(' ')
  throw new InvokerError('ERR_USAGE', 'there is no such command.', { mend })
}

/** The commands, as the main help lists them. */
function list(): string {
  const lines = Object.entries(COMMANDS).map(([command, { summary }]) => `  ${command.padEnd(11)}${summary}`)
  return `Commands, each with --help:\n${lines.join('\n')}`
}
