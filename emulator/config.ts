/**
 * One schema for everything that can be set, by flag, by environment variable (`INVOKER_…`) or in a file.
 *
 * A flag wins over its variable, and that over the file. What is not known is refused: a mistyped setting that silently did
 * nothing would be the worst kind of emulator.
 */
import { readFileSync } from 'node:fs'
import { Command, CommanderError, Option } from 'commander'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { InvokerError, reasonOf } from './errors/errors.ts'
import { providerTrouble } from './state/federation.ts'
import { REGIONS } from './state/names.ts'

const PREFIX = 'INVOKER_'
const SERVICE_NAME = /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/

const port = z.coerce
  .number('a port number')
  .int()
  .min(0, 'a port from 0 to 65535')
  .max(65535, 'a port from 0 to 65535')
const httpUrl = z.url({ protocol: /^https?$/, error: 'an http URL, such as http://127.0.0.1:3000' })
const email = z.email('an email address')
const names = z.array(z.string())

/** As `gcloud iam workload-identity-pools providers describe` prints it. */
const provider = z
  .strictObject({
    name: z
      .string()
      .regex(
        /^projects\/\d+\/locations\/global\/workloadIdentityPools\/[a-z0-9-]{4,32}\/providers\/[a-z0-9-]{4,32}$/,
        'projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER',
      ),
    displayName: z.string().default(''),
    description: z.string().default(''),
    state: z.literal('ACTIVE').optional(),
    disabled: z.boolean().default(false),
    attributeMapping: z.record(z.string(), z.string()),
    attributeCondition: z.string().default(''),
    oidc: z.strictObject({
      issuerUri: z.string(),
      allowedAudiences: z.array(z.string()).default([]),
      jwksJson: z.string().min(1).optional(),
    }),
  })
  .transform(({ state: _, oidc: { jwksJson, ...oidc }, ...rest }) => {
    return { ...rest, oidc: { ...oidc, ...(jwksJson === undefined ? {} : { jwksJson }) } }
  })
  .superRefine((value, context) => {
    // Google takes https alone; an issuer that runs beside the emulator may have no certificate.
    const trouble = providerTrouble(value, ['https:', 'http:'])
    if (trouble !== undefined)
      context.addIssue({
        code: 'custom',
        path: ['name'],
        message: `a provider that can be used (${trouble})`,
      })
  })

const schema = z.strictObject({
  port: port.default(8080),
  tlsPort: port.optional(),
  caDir: z.string().min(1, 'the path of a folder').optional(),
  host: z.string().min(1).default('127.0.0.1'),
  alias: z
    .array(z.string().regex(/^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/i, 'a host name, without scheme and port'))
    .default([]),
  project: z
    .string()
    .regex(
      /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/,
      'a project id: 6 to 30 lower-case letters, digits and hyphens, a letter first',
    )
    .default('demo-project'),
  projectNumber: z
    .string()
    .regex(/^[1-9]\d{5,14}$/, 'a project number: digits only')
    .default('123456789012'),
  region: z
    .enum(REGIONS as [string, ...string[]], `a Cloud Run region, such as us-central1`)
    .default('us-central1'),
  data: z.string().min(1, 'the path of a folder').optional(),
  scheme: z.enum(['http', 'https'], 'http or https').default('http'),
  account: email.default('developer@example.com'),
  audiencePath: z.enum(['accept', 'refuse'], 'accept or refuse').default('accept'),
  upstream: z.record(z.string().regex(SERVICE_NAME, 'SERVICE=URL, or REVISION=URL'), httpUrl).default({}),
  image: z.record(z.string().min(1), z.string().min(1, "NAME='COMMAND'")).default({}),
  publish: z
    .record(z.string().regex(/^\d{1,5}$/, 'PORT=SERVICE'), z.string().regex(SERVICE_NAME, 'PORT=SERVICE'))
    .default({}),
  instance: z
    .record(z.string().regex(/^\d{1,5}$/, 'PORT=SERVICE'), z.string().regex(SERVICE_NAME, 'PORT=SERVICE'))
    .default({}),
  manifests: z.string().min(1, 'the path of a file or folder').optional(),
  workloadIdentityPoolProviders: z.array(provider).default([]),
  group: z.record(email, names).default({}),
  domain: z.record(z.string().regex(/^[a-z0-9.-]+\.[a-z]{2,}$/, 'DOMAIN=EMAIL,…'), names).default({}),
})

/** Everything that can be set, with defaults filled in. */
export type Config = z.infer<typeof schema>
/** What has to be given: nothing. */
export type ConfigInput = z.input<typeof schema>

type Shape = 'value' | 'list' | 'pairs' | 'lists'
interface Setting {
  readonly key: keyof Config
  readonly flag: string
  readonly argument: string
  readonly shape: Shape
  readonly help: string
}

/** The settings, in the order that `--help` shows them. */
export const SETTINGS: readonly Setting[] = [
  {
    key: 'port',
    flag: 'port',
    argument: 'N',
    shape: 'value',
    help: 'the one port; 0 takes any free one (8080)',
  },
  {
    key: 'tlsPort',
    flag: 'tls-port',
    argument: 'N',
    shape: 'value',
    help: 'a port for TLS, with a certificate for whatever name is asked for (none)',
  },
  {
    key: 'caDir',
    flag: 'ca-dir',
    argument: 'DIR',
    shape: 'value',
    help: 'folder that its CA is written to: ca.pem, bundle.pem, truststore.p12',
  },
  {
    key: 'host',
    flag: 'host',
    argument: 'ADDRESS',
    shape: 'value',
    help: 'the address to listen on (127.0.0.1)',
  },
  {
    key: 'alias',
    flag: 'alias',
    argument: 'NAME',
    shape: 'list',
    help: 'a host name that the emulator answers to, beside localhost, addresses and names without a dot; may be repeated',
  },
  { key: 'project', flag: 'project', argument: 'ID', shape: 'value', help: 'project id (demo-project)' },
  {
    key: 'projectNumber',
    flag: 'project-number',
    argument: 'N',
    shape: 'value',
    help: 'project number (123456789012)',
  },
  {
    key: 'region',
    flag: 'region',
    argument: 'REGION',
    shape: 'value',
    help: 'region of services that name none (us-central1)',
  },
  {
    key: 'data',
    flag: 'data',
    argument: 'DIR',
    shape: 'value',
    help: 'folder that keeps the state; without it the state is in memory',
  },
  {
    key: 'scheme',
    flag: 'scheme',
    argument: 'SCHEME',
    shape: 'value',
    help: "scheme of a service's URL: http or https (http)",
  },
  {
    key: 'account',
    flag: 'account',
    argument: 'EMAIL',
    shape: 'value',
    help: 'the person who owns the project (developer@example.com)',
  },
  {
    key: 'audiencePath',
    flag: 'audience-path',
    argument: 'ANSWER',
    shape: 'value',
    help: "what becomes of a token for a service's URL with a path: accept or refuse (accept)",
  },
  {
    key: 'upstream',
    flag: 'upstream',
    argument: 'SERVICE=URL',
    shape: 'pairs',
    help: 'a service, or one of its revisions, that someone else runs; may be repeated',
  },
  {
    key: 'image',
    flag: 'image',
    argument: "NAME='COMMAND'",
    shape: 'pairs',
    help: 'a command to run as a local process where an image of this name is deployed; may be repeated',
  },
  {
    key: 'publish',
    flag: 'publish',
    argument: 'PORT=SERVICE',
    shape: 'pairs',
    help: 'a port that stands for a service, for clients that cannot name its host; may be repeated',
  },
  {
    key: 'instance',
    flag: 'instance',
    argument: 'PORT=SERVICE',
    shape: 'pairs',
    help: "a port whose callers are a service's own programs: its metadata server answers them; may be repeated",
  },
  {
    key: 'manifests',
    flag: 'manifests',
    argument: 'PATH',
    shape: 'value',
    help: 'services to deploy at start: Knative manifests, and SERVICE.policy.yaml as get-iam-policy prints it',
  },
  {
    key: 'group',
    flag: 'group',
    argument: 'EMAIL=MEMBER,…',
    shape: 'lists',
    help: 'who is in a group, such as user:a@example.com; may be repeated',
  },
  {
    key: 'domain',
    flag: 'domain',
    argument: 'DOMAIN=EMAIL,…',
    shape: 'lists',
    help: 'accounts of a domain beside those with its name; may be repeated',
  },
]

/** Too large for a flag: these stand in the file alone. */
const FILE_SETTINGS: readonly (keyof Config)[] = ['workloadIdentityPoolProviders']

/** The environment variable of a setting. */
export function variableOf(setting: Setting): string {
  return PREFIX + setting.flag.replaceAll('-', '_').toUpperCase()
}

/** Checks a configuration given as an object, filling in defaults. */
export function configure(input: ConfigInput): Config {
  return check(input, (path) => String(path))
}

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

function check(input: unknown, originOf: (key: string) => string): Config {
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

function unusable(sentence: string, cause?: unknown): InvokerError {
  return new InvokerError('ERR_CONFIG', sentence, { cause })
}
