/** `emulator services`: what is deployed, and where it is. */
import { DONE, newCommand, parse } from './command.ts'
import { controlAt, urlOption, usualUrl } from './running.ts'

export async function services(args: readonly string[]): Promise<number> {
  const command = newCommand('emulator services', 'Lists the services: name, region, URL.')
    .addOption(urlOption())
    .option('--json', 'as one JSON array')
  const { url = usualUrl(process.env), json } = parse<{ url?: URL; json?: true }>(command, args).options
  const listed = await controlAt(url).services()
  if (json) process.stdout.write(`${JSON.stringify(listed)}\n`)
  const width = (of: 'name' | 'region') => Math.max(...listed.map((service) => service[of].length))
  if (!json)
    for (const { name, region, url: at } of listed)
      process.stdout.write(`${name.padEnd(width('name'))}  ${region.padEnd(width('region'))}  ${at}\n`)
  if (!json && listed.length === 0) process.stderr.write('None is deployed.\n')
  return DONE
}
