/** `emulator token`: an ID token of a service account, as its own metadata server would give it. */
import { emailOf } from '../client/accounts.ts'
import { DONE, newCommand, parse } from './command.ts'
import { controlAt, serviceAt, urlOption, usualUrl } from './running.ts'

interface Options {
  readonly url?: URL
  readonly as: string
  readonly audience: string
}

/** What a service may be named. Any other audience is taken as it is. */
const NAME = /^[a-z][a-z0-9-]*$/

export async function token(args: readonly string[]): Promise<number> {
  const command = newCommand('emulator token', 'Prints an ID token of a service account.')
    .requiredOption('--as <account>', 'id or email of the service account; default is the compute account')
    .requiredOption(
      '--audience <audience>',
      'name of a service, whose URL is then the audience, or any other',
    )
    .addOption(urlOption())
  const { url = usualUrl(process.env), as, audience } = parse<Options>(command, args).options
  const control = controlAt(url)
  const account = emailOf(as, await control.environment())
  const target = NAME.test(audience) ? (await serviceAt(control, audience)).url : audience
  process.stdout.write(`${await control.token(account, target)}\n`)
  return DONE
}
