/** `emulator grant` and `revoke`: a role on a service, given to an account or taken back. */
import { memberOf } from '../client/accounts.ts'
import { DONE, newCommand, parse } from './command.ts'
import { controlAt, googleAt, serviceAt, urlOption, usualUrl } from './running.ts'

export function grant(args: readonly string[]): Promise<number> {
  return change('grant', 'Gives a role on a service: by default leave to call it.', args)
}

export function revoke(args: readonly string[]): Promise<number> {
  return change('revoke', 'Takes a role on a service back.', args)
}

async function change(
  name: 'grant' | 'revoke',
  description: string,
  args: readonly string[],
): Promise<number> {
  const command = newCommand(`emulator ${name}`, description)
    .argument(
      '<account>',
      'id or email of a service account, or a member such as user:a@example.com, allUsers',
    )
    .argument('<service>')
    .addOption(urlOption())
    .option('--role <role>', 'the role', 'roles/run.invoker')
  const { options, operands } = parse<{ url?: URL; role: string }>(command, args)
  const [account = '', service = ''] = operands
  const { url = usualUrl(process.env), role } = options
  const control = controlAt(url)
  const facts = await control.environment()
  const { region } = await serviceAt(control, service)
  const member = memberOf(account, facts)
  await googleAt(url, facts, region)[name](service, member, role)
  const done = name === 'grant' ? 'holds' : 'no longer holds'
  process.stdout.write(`${member} ${done} ${role} on ${service}.\n`)
  return DONE
}
