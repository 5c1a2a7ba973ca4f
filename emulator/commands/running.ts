/** The running emulator that a command speaks with. */
import { Option } from 'commander'
import { Control, type EmulatorFacts, type ListedService } from '../client/control.ts'
import { Google } from '../client/google.ts'
import { throughEmulator } from '../client/http.ts'
import { signIn } from '../client/sign-in.ts'
import { InvokerError } from '../errors/errors.ts'
import { suggestion } from '../errors/nearest.ts'

/** How long it may take to answer, milliseconds. */
const PATIENCE = 5000

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
    throw new InvokerError(
      'ERR_USAGE',
      `${origin}: expected an address such as http://127.0.0.1:8080, got ${JSON.stringify(value)}.`,
    )
  return url
}

export function controlAt(url: URL): Control {
  return new Control(url.origin, { timeout: PATIENCE })
}

/** Google's APIs of that emulator, as the project's owner. `region` of what names none; the emulator's own without it. */
export function googleAt(url: URL, { project, region }: EmulatorFacts, other = region): Google {
  const fetch = throughEmulator(url.origin)
  const accessToken = async () => (await signIn(fetch)).accessToken
  return new Google({ project, region: other, fetch, accessToken })
}

/** The service of this name. @throws {InvokerError} ERR_NO_SERVICE, with what may have been meant */
export async function serviceAt(control: Control, name: string): Promise<ListedService> {
  const services = await control.services()
  const found = services.find((service) => service.name === name)
  if (found) return found
  const names = services.map((service) => service.name)
  const there = names.length > 0 ? `There is ${names.join(', ')}.` : 'None is deployed.'
  const mend = [suggestion(name, names), there].filter(Boolean).join(' ')
  throw new InvokerError('ERR_NO_SERVICE', `there is no service ${JSON.stringify(name)}.`, { mend })
}
