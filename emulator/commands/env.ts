/**
 * `emulator env`: prints what points a shell at a running emulator, for the shell to evaluate; `--unset` takes it back.
 *
 * Standard output holds that and nothing else. What was set before is kept in one variable of the shell's.
 */
import { join } from 'node:path'
import { CommanderError, InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'
import type { EmulatorFacts } from '../client/control.ts'
import { InvokerError } from '../errors/errors.ts'
import { DONE, newCommand, parse } from './command.ts'
import { closedEnvironment, type Environment, environmentFor, type Mode } from './environment.ts'
import { controlAt, urlOption, usualUrl } from './running.ts'
import { type Assignments, evaluation, failure, SHELLS, type Shell, script, shellOf } from './shells.ts'
import { cacheFolder, writePlaces } from './trust.ts'

/** Not one of the emulator's own `INVOKER_` variables: the emulator may be started in the same shell. */
const BEFORE = '_INVOKER_ENV_BEFORE'
const COMMAND = 'bun run emulator env'

type Variables = Readonly<Record<string, string | undefined>>

const saved = z.record(z.string(), z.string().nullable())

export async function env(args: readonly string[]): Promise<number> {
  try {
    const options = read(args)
    const shell = options.shell ?? usualShell()
    const before = savedIn(process.env)
    const assignments = options.unset ? takenBack(before) : await pointed(options, shell, before)
    process.stdout.write(script(shell, assignments))
    return DONE
  } catch (error) {
    const shown = error instanceof CommanderError && error.exitCode === 0
    if (!shown && !process.stdout.isTTY) process.stdout.write(closed())
    throw error
  }
}

/**
 * What the shell evaluates in place of what it was to get. A shell goes on after a mistake, and its next gcloud must not reach
 * a project that exists: so it reaches nothing, and `eval` fails.
 */
function closed(): string {
  const shell = usualShell()
  try {
    const before = savedIn(process.env)
    const current = without(before)
    const environment = closedEnvironment({
      configuration: join(cacheFolder(current), 'nowhere'),
      current,
    })
    return script(shell, assignmentsOf(environment, before, current)) + failure(shell)
  } catch {
    return failure(shell) // what was set before cannot be read: nothing is set anew
  }
}

function usualShell(): Shell {
  return shellOf(process.env.SHELL, process.platform)
}

/** A shell's variables as they are without an emulator. */
export function withoutEmulator(variables: Variables): Variables {
  const before = savedIn(variables)
  return { ...variables, ...Object.fromEntries(takenBack(before)) }
}

interface Options {
  readonly url: URL
  readonly mode: Mode
  readonly shell?: Shell
  readonly dir?: string
  readonly account?: string
  readonly metadata?: true
  readonly java?: true
  readonly unset?: true
}

function read(args: readonly string[]): Options {
  const command = newCommand(
    'emulator env',
    'Prints what points this shell at a running emulator: gcloud, curl and any other program.',
  )
    .addOption(urlOption())
    .addOption(
      new Option('--mode <mode>', "Google's own addresses through a proxy, or other addresses for gcloud")
        .choices(['intercept', 'override'])
        .default('intercept'),
    )
    .addOption(new Option('--shell <name>', 'whose language to write (by $SHELL)').choices(SHELLS))
    .option('--dir <folder>', "where the certificate and gcloud's configuration go (a cache folder)")
    .option(
      '--metadata',
      "point at the emulator's metadata server too, as if this were a machine in the cloud",
    )
    .addOption(
      new Option('--account <email>', 'who signs in by gcloud auth login (the owner)').argParser(anEmail),
    )
    .option('--java', 'tell Java too, which reads none of these variables; takes a second')
    .option('--unset', 'take it all back')
    // Standard output is for the shell to evaluate.
    .configureOutput({ writeErr: () => {}, writeOut: (help) => process.stderr.write(help) })
    .addHelpText(
      'after',
      () =>
        `\nIn a shell: ${SHELLS.map((shell) => evaluation(shell, COMMAND))
          .filter((line, at, all) => all.indexOf(line) === at)
          .join('\n            ')}`,
    )
  const { options } = parse<Omit<Options, 'url'> & { url?: URL }>(command, args)
  return { ...options, url: options.url ?? usualUrl(process.env) }
}

function anEmail(value: string): string {
  if (z.email().safeParse(value).success) return value
  throw new InvalidArgumentError(`Expected an email address, got ${JSON.stringify(value)}.`)
}

/** The assignments that point a shell at the emulator, and one that remembers what they replace. */
async function pointed(
  options: Options,
  shell: Shell,
  before: Map<string, string | null>,
): Promise<Assignments> {
  const current = without(before)
  const { environment, facts } = await environmentAt(options, current)
  tell(options, facts, shell)
  return assignmentsOf(environment, before, current)
}

/** What makes programs reach the emulator that runs there. Writes the files that it names. */
export async function environmentAt(
  options: Pick<Options, 'url' | 'mode' | 'account' | 'metadata' | 'java' | 'dir'>,
  current: Variables,
): Promise<{ readonly environment: Environment; readonly facts: EmulatorFacts }> {
  const { url, mode, account } = options
  const control = controlAt(url)
  const facts = await control.environment()
  const places = await writePlaces(await control.certificate(), options, current, Date.now())
  const environment = environmentFor({
    mode,
    url,
    facts,
    places,
    metadata: options.metadata === true,
    account,
    java: options.java === true,
    platform: process.platform,
    current,
  })
  return { environment, facts }
}

/** This shell's variables, with what was set before in the place of what an emulator has set. */
function without(before: ReadonlyMap<string, string | null>): Variables {
  return {
    ...process.env,
    ...Object.fromEntries([...before].map(([name, value]) => [name, value ?? undefined])),
  }
}

function assignmentsOf(
  environment: Environment,
  before: ReadonlyMap<string, string | null>,
  current: Variables,
): Assignments {
  const replaced = [
    ...Object.keys(environment.set),
    ...environment.unset.filter((name) => current[name] !== undefined),
  ]
  return new Map([
    ...takenBack(before),
    ...environment.unset
      .filter((name) => process.env[name] !== undefined)
      .map((name) => [name, undefined] as const),
    ...Object.entries(environment.set),
    [BEFORE, JSON.stringify(Object.fromEntries(replaced.map((name) => [name, current[name] ?? null])))],
  ])
}

/** What a person reads beside it. */
function tell(
  { url, mode, account }: Options,
  { project, region, account: owner, tunnels }: EmulatorFacts,
  shell: Shell,
): void {
  const way = mode === 'intercept' ? "Google's addresses lead" : 'gcloud and http URLs lead'
  process.stderr.write(
    `${way} to the emulator at ${url.origin}: project ${project}, region ${region}, ${account ?? owner} signs in with: gcloud auth login\n`,
  )
  if (!tunnels && mode === 'intercept')
    process.stderr.write(
      'It runs elsewhere, so other https addresses cannot be reached from this shell: --mode override leaves them alone.\n',
    )
  if (process.stdout.isTTY)
    process.stderr.write(`These lines are for the shell to evaluate: ${evaluation(shell, COMMAND)}\n`)
  else process.stderr.write(`Taken back by: ${evaluation(shell, `${COMMAND} --unset`)}\n`)
}

function savedIn(variables: Variables): Map<string, string | null> {
  const kept = variables[BEFORE]
  if (!kept) return new Map()
  try {
    return new Map(Object.entries(saved.parse(JSON.parse(kept))))
  } catch {
    throw new InvokerError(
      'ERR_CONFIG',
      `${BEFORE} holds what was set before, and has been changed: open a new shell instead.`,
    )
  }
}

function takenBack(before: ReadonlyMap<string, string | null>): Assignments {
  const restored = [...before].map(([name, value]) => [name, value ?? undefined] as const)
  return new Map(before.size > 0 ? [...restored, [BEFORE, undefined] as const] : [])
}
