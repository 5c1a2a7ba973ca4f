/** `emulator exec` and `run`: a program that is pointed at the emulator and at nothing else, with its own exit code. */
import { Option } from 'commander'
import { InvokerError } from '../errors/errors.ts'
import { newCommand, parse } from './command.ts'
import { environmentAt, withoutEmulator } from './env.ts'
import { applied, leadingAway } from './environment.ts'
import { runProgram } from './program.ts'
import { controlAt, serviceAt, urlOption, usualUrl } from './running.ts'

interface ExecOptions {
  readonly url?: URL
  readonly mode: 'intercept' | 'override'
  readonly account?: string
}

/** Any program, as `emulator env` would have a shell run it. */
export async function exec(args: readonly string[]): Promise<number> {
  const [own, program] = split('exec', args)
  const command = newCommand('emulator exec', 'Runs a program that reaches the emulator and nothing else.')
    .usage('[options] -- PROGRAM [ARGUMENT…]')
    .addOption(urlOption())
    .addOption(
      new Option('--mode <mode>', "Google's own addresses through a proxy, or other addresses for gcloud")
        .choices(['intercept', 'override'])
        .default('intercept'),
    )
    .option('--account <email>', 'who signs in by gcloud auth login (the owner)')
  const { url = usualUrl(process.env), ...options } = parse<ExecOptions>(command, own).options
  const current = withoutEmulator(process.env)
  const { environment } = await environmentAt({ ...options, url }, current)
  return runProgram(needed('exec', program), applied(environment, current))
}

interface RunOptions {
  readonly url?: URL
  readonly service: string
}

/** A program as a service: its metadata server, its way to the other services, its certificate. */
export async function run(args: readonly string[]): Promise<number> {
  const [own, program] = split('run', args)
  const command = newCommand(
    'emulator run',
    'Runs a program that is a service: to Google, and to the others.',
  )
    .usage('--service NAME [options] -- PROGRAM [ARGUMENT…]')
    .requiredOption('--service <name>', 'the service, which is deployed')
    .addOption(urlOption())
  const { url = usualUrl(process.env), service } = parse<RunOptions>(command, own).options
  const argv = needed('run', program)
  const control = controlAt(url)
  await serviceAt(control, service)
  const current = withoutEmulator(process.env)
  const { variables, close } = await control.connect(service)
  try {
    return await runProgram(
      argv,
      applied({ set: variables, unset: leadingAway(variables, current) }, current),
    )
  } finally {
    close()
  }
}

/** What stands before and after the `--`. */
function split(
  name: string,
  args: readonly string[],
): readonly [readonly string[], readonly string[] | undefined] {
  const at = args.indexOf('--')
  if (at !== -1) return [args.slice(0, at), args.slice(at + 1)]
  const first = args.findIndex((arg) => !arg.startsWith('-'))
  if (first === 0)
    throw new InvokerError(
      'ERR_USAGE',
      `expected -- before the program: emulator ${name} -- ${args.join(' ')}`,
    )
  return [args, undefined]
}

function needed(name: string, program: readonly string[] | undefined): readonly string[] {
  if (program && program.length > 0) return program
  throw new InvokerError('ERR_USAGE', `expected a program, as in: emulator ${name} -- node app.js`)
}
