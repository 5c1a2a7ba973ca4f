/** Values held to the schema, with one line that says what was expected where they are not. */
import { InvokerError } from '../errors/errors.ts'
import { type Config, type ConfigInput, schema } from './schema.ts'
import { FILE_SETTINGS, SETTINGS } from './settings.ts'

/** Checks a configuration given as an object, filling in defaults. */
export function configure(input: ConfigInput): Config {
  return check(input, (path) => String(path))
}

/** `originOf` says where a value came from, as a person knows it. */
export function check(input: unknown, originOf: (key: string) => string): Config {
  const result = schema.safeParse(input)
  if (result.success) {
    const { projectNumber, workloadIdentityPoolProviders } = result.data
    const foreign = workloadIdentityPoolProviders.find(({ name }) => name.split('/')[1] !== projectNumber)
    if (!foreign) return result.data
    throw unusable(
      `${originOf('workloadIdentityPoolProviders')}: expected names under projects/${projectNumber}, got ${JSON.stringify(foreign.name)}.`,
    )
  }
  const [issue] = result.error.issues
  if (!issue) throw unusable('The configuration cannot be used.')
  if (issue.code === 'unrecognized_keys') {
    throw unusable(
      `${issue.keys.join(', ')} is not a setting. The settings are: ${[...SETTINGS.map(({ key }) => key), ...FILE_SETTINGS].join(', ')}.`,
    )
  }
  const [key = '', ...inside] = issue.path.map(String)
  const nested = 'issues' in issue && Array.isArray(issue.issues) ? issue.issues[0]?.message : undefined
  const value = inside.reduce<unknown>((at, part) => lookUp(at, part), lookUp(input, key))
  const shown = issue.code === 'invalid_key' ? inside.join('.') : String(value)
  throw unusable(`${originOf(key)}: expected ${nested ?? issue.message}, got ${JSON.stringify(shown)}.`)
}

function lookUp(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([name]) => name === key)?.[1]
    : undefined
}

export function unusable(sentence: string, cause?: unknown): InvokerError {
  return new InvokerError('ERR_CONFIG', sentence, { cause })
}
