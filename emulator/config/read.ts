/**
 * The settings of a command line: by flag, by environment variable or in a file.
 *
 * A flag wins over its variable, and that over the file. What is not known is refused: a mistyped setting that silently did
 * nothing would be the worst kind of emulator.
 */
import { readFileSync } from 'node:fs'
import { Command, CommanderError, Option } from 'commander'
import { parse as parseYaml } from 'yaml'
import { reasonOf } from '../errors/errors.ts'
import { check, unusable } from './configure.ts'
import type { Config } from './schema.ts'
import { PREFIX, SETTINGS, type Setting, variableOf } from './settings.ts'

/**
 * Reads flags, environment and file.
 *
 * @param command what the flags are added to: it says what its help begins and ends with
 * @throws {InvokerError} ERR_CONFIG, with the one line to print
 */
export function readConfig(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  command = new Command('emulator').exitOverride().configureOutput({ writeErr: () => {} }),
): Config {
  const flags = parseFlags(args, command)
  const given: Record<string, unknown> = {}
  const origins = new Map<string, string>()
  const take = (key: string, value: unknown, origin: string) => {
    given[key] = value
    origins.set(key, origin)
  }

  const file = flags.config?.[0] ?? environment[`${PREFIX}CONFIG`]
  if (file !== undefined)
    for (const [key, value] of Object.entries(readFile(file))) take(key, value, `${key} in ${file}`)

  const known = new Map(SETTINGS.map((setting) => [variableOf(setting), setting]))
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(PREFIX) || value === undefined || name === `${PREFIX}CONFIG`) continue
    const setting = known.get(name)
    if (!setting)
      throw unusable(
        `${name} is not a setting. The variables are: ${[...known.keys(), `${PREFIX}CONFIG`].join(', ')}.`,
      )
    // Several values of one variable stand one a line, or with semicolons between them.
    take(
      setting.key,
      shaped(
        setting,
        value
          .split(/[;\n]/)
          .map((part) => part.trim())
          .filter(Boolean),
        name,
      ),
      name,
    )
  }
  for (const setting of SETTINGS) {
    const values = flags[setting.flag]
    if (values) take(setting.key, shaped(setting, values, `--${setting.flag}`), `--${setting.flag}`)
  }
  return check(given, (key) => origins.get(key) ?? key)
}

function shaped(setting: Setting, values: readonly string[], origin: string): unknown {
  if (setting.shape === 'value') return values.at(-1) ?? ''
  if (setting.shape === 'list') return values
  const given = new Set<string>()
  return Object.fromEntries(
    values.map((value) => {
      const equals = value.indexOf('=')
      if (equals < 1) throw unusable(`${origin}: expected ${setting.argument}, got ${JSON.stringify(value)}.`)
      const [name, rest] = [value.slice(0, equals), value.slice(equals + 1)]
      if (given.has(name))
        throw unusable(`${origin}: ${name} is given twice; expected ${setting.argument} once for each.`)
      given.add(name)
      return [
        name,
        setting.shape === 'lists'
          ? rest
              .split(',')
              .map((part) => part.trim())
              .filter(Boolean)
          : rest,
      ]
    }),
  )
}

/** Every flag's values in the order given. */
function parseFlags(args: readonly string[], command: Command): Readonly<Record<string, readonly string[]>> {
  const values: Record<string, string[]> = {}
  const add = (flag: string, argument: string, help: string) =>
    command.addOption(
      new Option(`--${flag} <${argument}>`, help).argParser((value: string) => {
        values[flag] = [...(values[flag] ?? []), value]
        return values[flag]
      }),
    )
  for (const { flag, argument, help } of SETTINGS) add(flag, argument, help)
  add('config', 'FILE', 'a YAML file with any of these settings, by their names here')
  command.addHelpText(
    'after',
    `\nEvery flag is also a variable: --project-number is ${PREFIX}PROJECT_NUMBER. Several values stand with ; between them.`,
  )
  try {
    command.allowExcessArguments(false).parse([...args], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError) || error.exitCode === 0) throw error
    throw unusable(`${error.message.replace(/^error: /, '').replace(/\s+/g, ' ')}. See --help.`, error)
  }
  return values
}

function readFile(path: string): Record<string, unknown> {
  try {
    const content: unknown = parseYaml(readFileSync(path, 'utf8'))
    if (typeof content === 'object' && content !== null && !Array.isArray(content)) return { ...content }
    throw new Error('it is not a map of settings')
  } catch (error) {
    throw unusable(`The configuration file ${path} cannot be used: ${reasonOf(error).split('\n')[0]}.`)
  }
}
