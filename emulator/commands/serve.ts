/** `emulator`: settings to a running emulator, and what it says about itself. */
import { CommanderError } from 'commander'
import { ConfigError, readConfig } from '../config.ts'
import { why } from '../decision/decision.ts'
import { type Emulator, startEmulator } from '../emulator.ts'
import { DataFolderError } from '../state/database.ts'

export async function serve(args: readonly string[]): Promise<void> {
  let running: Emulator | undefined
  let closing = false
  const end = () => {
    // Whoever asks a second time does not want to wait; one that is just starting has nothing to end in order.
    if (closing || !running) process.exit(1)
    closing = true
    void running.close().then(() => process.exit(0))
  }
  const emulator = await start(args, end).catch(refuse)
  running = emulator
  process.stdout.write(describe(emulator))
  emulator.state.decisions.onAdd((decision) => {
    const { status, method, service, host, path } = decision
    process.stdout.write(`${status} ${method} ${service ?? host}${path}  ${why(decision)}\n`)
  })

  // Nobody has to wait for what another life has left; where no engine answers there is nothing to remove.
  void emulator.removeLeftovers()

  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end)
}

async function start(args: readonly string[], onShutdown: () => void): Promise<Emulator> {
  const config = readConfig(args, process.env)
  return startEmulator(config, { log: (line) => process.stderr.write(`${line}\n`), onShutdown })
}

/** Whatever a person can mend is one line; anything else is a fault and keeps its trace. */
function refuse(error: unknown): never {
  if (error instanceof CommanderError) process.exit(error.exitCode)
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (error instanceof ConfigError || error instanceof DataFolderError)
    process.stderr.write(`emulator: ${error.message}\n`)
  else if (error instanceof Error && code === 'EADDRINUSE')
    process.stderr.write(
      `emulator: port ${/\d+/.exec(error.message)?.[0] ?? ''} is taken: end what listens there, or name another with --port.\n`,
    )
  else if (error instanceof Error && (code === 'EACCES' || code === 'EADDRNOTAVAIL'))
    process.stderr.write(`emulator: cannot listen: ${error.message}.\n`)
  else process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exit(1)
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
