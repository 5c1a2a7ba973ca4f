/** `emulator call`: one request for a service through the front door, and why it ended as it did. */
import { randomBytes } from 'node:crypto'
import { emailOf } from '../client/accounts.ts'
import { send } from '../client/http.ts'
import { InvokerError } from '../errors/errors.ts'
import { DONE, EXIT_CODES, newCommand, parse } from './command.ts'
import { controlAt, serviceAt, urlOption, usualUrl } from './running.ts'

interface Options {
  readonly url?: URL
  readonly as?: string
  readonly path: string
  readonly method?: string
  readonly header?: readonly string[]
  readonly data?: string
}

/** The exit code says whether the request got to the service. */
export async function call(args: readonly string[]): Promise<number> {
  const command = newCommand(
    'emulator call',
    'Calls a service. Prints its answer, and on standard error the status and why.',
  )
    .argument('<service>')
    .option('--as <account>', 'id or email of the service account that calls; nobody without it')
    .option('--path <path>', 'what is asked for', '/')
    .option('--method <method>', 'GET, or POST where there is a body')
    .option('--header <line...>', "a header, such as 'Accept: text/plain'; may be repeated")
    .option('--data <text>', 'the body')
    .addOption(urlOption())
  const { options, operands } = parse<Options>(command, args)
  const { url = usualUrl(process.env), as, path, method, header = [], data } = options
  const control = controlAt(url)
  const { name, url: at } = await serviceAt(control, operands[0] ?? '')
  const token =
    as === undefined ? undefined : await control.token(emailOf(as, await control.environment()), at)
  const trace = randomBytes(16).toString('hex')
  const response = await send(url.origin, `${at}${path.startsWith('/') ? path : `/${path}`}`, {
    headers: {
      traceparent: `00-${trace}-${randomBytes(8).toString('hex')}-01`,
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...Object.fromEntries(header.map(readHeader)),
    },
    ...(method === undefined ? {} : { method }),
    ...(data === undefined ? {} : { body: data }),
  })
  const decision = (await control.decisions({ service: name })).find((one) => one.trace === trace)
  process.stderr.write(`${response.status} ${decision?.why ?? 'The front door does not say why.'}\n`)
  process.stdout.write(new Uint8Array(await response.arrayBuffer()))
  return decision?.allowed === false ? EXIT_CODES.refusal : DONE
}

function readHeader(line: string): readonly [name: string, value: string] {
  const [, name, value] = /^([^\s:]+):\s*(.*)$/.exec(line) ?? []
  if (name !== undefined && value !== undefined) return [name, value]
  throw new InvokerError('ERR_USAGE', `--header: expected 'NAME: VALUE', got ${JSON.stringify(line)}.`)
}
