/** Settings from environment variables: one schema, unknown names refused, and one line for a person who got one wrong. */
import { z } from 'zod'

/** A mistake in the configuration. The message is one line: what was wrong, what was expected, how to mend it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code = 'ERR_CONFIG'
}

export type Environment = Readonly<Record<string, string | undefined>>

/** For a person who got a setting wrong; goes into a schema's `.meta()`. */
interface Help {
  readonly expected: string
  readonly mend: string
}

const PORT_HELP: Help = {
  expected: 'a port number from 0 (any free one) to 65535',
  mend: 'Set PORT=8080, or leave it out.',
}

/** What every Cloud Run container is given (facts 1.8), beside its own settings. */
export const platformSettings = {
  PORT: z
    .string()
    .regex(/^\d{1,5}$/)
    .transform(Number)
    .refine((port) => port <= 65_535)
    .default(8080)
    .meta({ ...PORT_HELP }),
  /** The project that log entries name their traces in. */
  GOOGLE_CLOUD_PROJECT: optionalText(),
  K_SERVICE: optionalText(),
  K_REVISION: optionalText(),
}

/** An absolute http or https URL, without user information or fragment: neither would reach the other side. */
export const httpUrl = z
  .url({ protocol: /^https?$/, hostname: /./ })
  .transform((text) => new URL(text))
  .refine((url) => url.username === '' && url.password === '' && url.hash === '')

/**
 * Reads the settings of `shape` out of `env`. A variable that begins with one of `prefixes` and is not in `shape` is an error:
 * a mistyped name must not leave a setting silently at its default.
 *
 * @throws {ConfigError} for the first setting that is missing, malformed or unknown
 */
export function readSettings<Shape extends z.ZodRawShape>(
  env: Environment,
  prefixes: readonly string[],
  shape: Shape,
): z.output<z.ZodObject<Shape>> {
  const given = Object.entries(env).filter(
    ([name, value]) =>
      value !== undefined &&
      (Object.hasOwn(shape, name) ||
        (prefixes.some((prefix) => name.startsWith(prefix)) && !isServiceLink(name, value))),
  )
  const unknown = given.find(([name]) => !Object.hasOwn(shape, name))
  if (unknown) {
    const known = Object.keys(shape).filter((name) => prefixes.some((prefix) => name.startsWith(prefix)))
    throw new ConfigError(
      `${unknown[0]} is not a setting; expected one of ${known.join(', ')}. Correct the name, or unset it.`,
    )
  }
  const result = z.object(shape).safeParse(Object.fromEntries(given))
  if (result.success) return result.data
  const name = String(result.error.issues[0]?.path[0])
  throw new ConfigError(`${name} ${described(env[name])}; ${helpFor(shape, name)}`)
}

/** Set by the platform and not by a person: empty means that it does not know. */
function optionalText() {
  return z
    .string()
    .transform((text) => text || undefined)
    .optional()
}

function helpFor(shape: z.ZodRawShape, name: string): string {
  const schema = shape[name]
  const { expected, mend } = (schema && z.globalRegistry.get(schema)) ?? {}
  return `expected ${expected ?? 'another value'}. ${mend ?? ''}`.trim()
}

function described(value: string | undefined): string {
  if (value === undefined) return 'is not set'
  if (value === '') return 'is empty'
  // A URL may carry a password, and this line ends up in a log.
  const shown = value.replace(/\/\/[^@/]*@/, '//…@').slice(0, 120)
  return `is ${JSON.stringify(shown)}`
}

/**
 * Kubernetes gives every container `NAME_SERVICE_HOST`, `NAME_PORT_80_TCP_ADDR` and their like for each Service in its namespace,
 * so a Service called `receiver` would otherwise look like a mistyped setting.
 */
function isServiceLink(name: string, value: string | undefined): boolean {
  return (
    /_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name) ||
    (name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(value ?? ''))
  )
}
