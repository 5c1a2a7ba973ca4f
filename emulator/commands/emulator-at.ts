/** What the commands share that speak with a running emulator: where it is, one request, and one line for a mistake. */
import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { CommanderError, Option } from 'commander'

/** A person's mistake, or an emulator that is not there: one line. */
export class CommandFailure extends Error {
  readonly code = 'ERR_COMMAND'
}

/** Nothing listens where the emulator was looked for. */
export class NoEmulator extends CommandFailure {}

/** How long the emulator may take to answer. Milliseconds. */
const PATIENCE = 5000

/** Runs a command: its exit code, or 1 and one line where a person can mend it. A fault goes through. */
export async function runCommand(name: string, work: () => Promise<number>): Promise<number> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0
    if (!(error instanceof CommandFailure) && !(error instanceof CommanderError)) throw error
    const message = error.message.replace(/^error: /, '').replace(/\s+/g, ' ')
    process.stderr.write(`emulator ${name}: ${message}\n`)
    return 1
  }
}

/** `--url`, as every command has it. */
export function urlOption(): Option {
  return new Option(
    '--url <url>',
    'where the emulator is (http://127.0.0.1:8080, or the port that INVOKER_PORT names)',
  ).argParser((value) => emulatorUrl(value, '--url'))
}

/** Where an emulator is that was started in such a shell as this one. */
export function usualUrl(variables: Readonly<Record<string, string | undefined>>): URL {
  return emulatorUrl(`http://127.0.0.1:${variables.INVOKER_PORT || '8080'}`, 'INVOKER_PORT')
}

function emulatorUrl(value: string, origin: string): URL {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url?.protocol !== 'http:' || url.pathname !== '/')
    throw new CommandFailure(
      `${origin}: expected an address such as http://127.0.0.1:8080, got ${JSON.stringify(value)}.`,
    )
  return url
}

/**
 * One request for the emulator's own API, past every proxy that this shell may have: a GET, or a POST of JSON.
 *
 * @throws {NoEmulator} when nothing listens there; CommandFailure when what does is something else
 */
export async function ask(url: URL, path: string, body?: object): Promise<string> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked = request(
      new URL(path, url),
      {
        timeout: PATIENCE,
        ...(body ? { method: 'POST', headers: { 'content-type': 'application/json' } } : {}),
      },
      resolve,
    )
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${PATIENCE / 1000} s`)))
    asked.on('error', reject)
    asked.end(body && JSON.stringify(body))
  }).catch((cause: Error) => {
    throw new NoEmulator(
      `no emulator answers at ${url.origin} (${cause.message}). Start it with "bun run emulator", or say where it is with --url.`,
    )
  })
  const answer = await text(response)
  if (response.statusCode === 200) return answer
  throw refusalOf(answer) ?? notTheEmulator(url)
}

/** @throws {CommandFailure} when that is not what an emulator answers */
export function readAnswer<T>(url: URL, body: string, schema: { parse(value: unknown): T }): T {
  try {
    return schema.parse(JSON.parse(body))
  } catch {
    throw notTheEmulator(url)
  }
}

function refusalOf(body: string): CommandFailure | undefined {
  try {
    const { error } = JSON.parse(body)
    return typeof error === 'string' ? new CommandFailure(error) : undefined
  } catch {
    return undefined
  }
}

function notTheEmulator(url: URL): CommandFailure {
  return new CommandFailure(`what answers at ${url.origin} is not the emulator. Say where it is with --url.`)
}
