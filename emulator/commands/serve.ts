/** `emulator`: settings to a running emulator, and what it says about itself. */
import { readConfig } from '../config/read.ts'
import { logLine } from '../decision/decision.ts'
import { type Emulator, startEmulator } from '../emulator.ts'
import { nearest } from '../errors/nearest.ts'
import { DONE, EXIT_CODES, newCommand, PROGRAM } from './command.ts'
import { linesTo } from './lines.ts'

/** Resolves never: the process ends with the emulator. `commands` is how help names the other commands. */
export async function serve(args: readonly string[], commands: string): Promise<number> {
  const command = newCommand(
    PROGRAM,
    'Cloud Run, its metadata server, token issuer, IAM and front door, on this machine.',
  ).addHelpText('after', `\n${commands}`)
  const config = readConfig(args, process.env, command)
  const ended = Promise.withResolvers<never>()
  let running: Emulator | undefined
  let closing = false
  const end = () => {
    // Whoever asks a second time does not want to wait; one that is just starting has nothing to end in order.
    if (closing || !running) process.exit(EXIT_CODES.user)
    closing = true
    running.close().then(() => process.exit(DONE), ended.reject)
  }
  const emulator = await startEmulator(config, {
    log: (line) => process.stderr.write(`${line}\n`),
    onShutdown: end,
  })
  running = emulator
  const decisions = linesTo((text) => process.stdout.write(text))
  process.stderr.write(notDeployed(emulator))
  process.stdout.write(describe(emulator))
  process.on('exit', () => decisions.flush())
  emulator.state.decisions.onAdd((decision) => {
    decisions.add(logLine(decision, emulator.url))
  })
  // Nobody has to wait for what another life has left; where no engine answers there is nothing to remove.
  void emulator.removeLeftovers()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end)
  return ended.promise
}

/** One line for the settings that name what is not deployed: it may come, or be a mistake. */
function notDeployed({ config, state }: Emulator): string {
  const services = state.services.list().map(({ name }) => name)
  const known = new Set([...services, ...state.revisions.list().map(({ name }) => name)])
  const named: readonly (readonly [flag: string, names: readonly string[]])[] = [
    ['--upstream', Object.keys(config.upstream)],
    ['--publish', Object.values(config.publish)],
    ['--instance', Object.values(config.instance)],
  ]
  const missing = named.flatMap(([flag, names]) =>
    names
      .filter((name) => !known.has(name))
      .map((name) => {
        const meant = nearest(name, services)
        return `${flag} ${name}${meant === undefined ? '' : ` (did you mean ${meant}?)`}`
      }),
  )
  return missing.length > 0 ? `Not deployed yet, so of no effect: ${missing.join(', ')}\n` : ''
}

function describe({ url, tlsUrl, config, state, published, instances }: Emulator): string {
  const services = state.services.list().map(({ name }) => name)
  const lines: readonly (readonly [string, string])[] = [
    [
      'project',
      `${config.project} (${config.projectNumber}), region ${config.region}, owner ${config.account}`,
    ],
    ['listening', `${url}  metadata server, tokens, Google's APIs, *.run.app; also as http_proxy`],
    ...(tlsUrl ? [['', `${tlsUrl}  the same by TLS, for any name`] as const] : []),
    ...Object.entries(published).map(([service, at]) => ['', `${at}  ${service}`] as const),
    ...Object.entries(instances).map(
      ([service, at]) => ['', `${at}  metadata server of programs that are ${service}`] as const,
    ),
    ...(config.caDir ? [['certificates', `in ${config.caDir}`] as const] : []),
    ['services', services.length > 0 ? services.join(', ') : 'none yet: deploy one'],
    [
      'upstream',
      Object.entries(config.upstream)
        .map(([name, at]) => `${name} at ${at}`)
        .join(', ') || 'none',
    ],
    [
      'enforcement',
      'on for every service: 403 without run.routes.invoke, 401 for a token that does not verify; allUsers opens one',
    ],
    ['state', config.data ?? 'in memory, gone at exit (--data DIR keeps it)'],
  ]
  return `invoker: Google Cloud for one project, on this machine\n${lines.map(([name, text]) => `  ${name.padEnd(14)}${text}\n`).join('')}`
}
