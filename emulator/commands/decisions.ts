/** `emulator decisions`: what the front door decided, and why. */
import { setTimeout as sleep } from 'node:timers/promises'
import { InvalidArgumentError, Option } from 'commander'
import type { Control } from '../client/control.ts'
import { type ExplainedDecision, logLine } from '../decision/decision.ts'
import { DONE, newCommand, parse } from './command.ts'
import { controlAt, serviceAt, urlOption, usualUrl } from './running.ts'

interface Options {
  readonly url?: URL
  readonly service?: string
  readonly limit: number
  readonly follow?: true
  readonly json?: true
}

/** Between two looks. Milliseconds. */
const LOOK = 300
/** How many are asked for at a look: more are not kept. */
const MOST = 1000

export async function decisions(args: readonly string[]): Promise<number> {
  const command = newCommand(
    'emulator decisions',
    'Prints what the front door decided, oldest first, and why.',
  )
    .option('--service <name>', 'of one service')
    .addOption(new Option('--limit <n>', 'how many of the newest').argParser(count).default(20))
    .option('--follow', 'and those to come, until it is interrupted')
    .option('--json', 'each whole, as one line of JSON')
    .addOption(urlOption())
  const { options } = parse<Options>(command, args)
  const { url = usualUrl(process.env), service, limit, follow, json } = options
  const control = controlAt(url)
  if (service !== undefined) await serviceAt(control, service)
  const print = (decision: ExplainedDecision) =>
    process.stdout.write(`${json ? JSON.stringify(decision) : logLine(decision, control.url)}\n`)
  if (follow) return followAll(control, service, limit, print)
  for (const decision of await control.decisions({ service, limit })) print(decision)
  return DONE
}

/** Rejects once the emulator is gone. */
async function followAll(
  control: Control,
  service: string | undefined,
  limit: number,
  print: (decision: ExplainedDecision) => void,
): Promise<never> {
  let since: string | undefined
  for (;;) {
    const { last, decisions: kept } = await control.decided({ service, limit: since ? MOST : limit, since })
    for (const decision of kept) print(decision)
    since = last
    await sleep(LOOK)
  }
}

function count(value: string): number {
  const number = Number(value)
  if (Number.isInteger(number) && number > 0) return number
  throw new InvalidArgumentError(`Expected a whole number of 1 or more, got ${JSON.stringify(value)}.`)
}
