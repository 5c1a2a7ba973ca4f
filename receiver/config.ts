/** The receiver's settings. */
import { z } from 'zod'
import {
  ConfigError,
  type Environment,
  httpUrl,
  platformSettings,
  readSettings,
} from '../service/environment.ts'
import type { ServiceConfig } from '../service/run.ts'
import { GOOGLE_JWKS_URL, type GoogleAuthOptions } from './google-auth.ts'

export interface ReceiverConfig extends ServiceConfig {
  /** How the receiver verifies its callers itself; undefined when the platform does it. */
  readonly auth: GoogleAuthOptions | undefined
}

const AUDIENCE = {
  expected: 'one or more audiences, separated by commas',
  mend: "Set it to this service's URL, as its callers ask for in their ID tokens.",
}
const CALLERS = {
  expected: 'email addresses or unique ids (21 digits) of the accounts that may call, separated by commas',
  mend: 'Write a service account without the serviceAccount: that an IAM policy has before it.',
}

/** Every variable that is read, by name. */
export const settings = {
  ...platformSettings,
  RECEIVER_AUTH: z.enum(['none', 'verify']).default('none').meta({
    expected: 'none (Cloud Run verifies) or verify (the receiver does)',
    mend: 'Leave it out where Cloud Run lets in only whom it may.',
  }),
  RECEIVER_AUDIENCE: list(z.string().min(1)).optional().meta(AUDIENCE),
  RECEIVER_ALLOWED_CALLERS: list(z.union([z.email(), z.string().regex(/^\d{10,30}$/)]))
    .optional()
    .meta(CALLERS),
  RECEIVER_JWKS_URL: httpUrl.optional().meta({
    expected: 'the http or https URL of a JSON Web Key Set',
    mend: `Leave it out to use Google's, ${GOOGLE_JWKS_URL}.`,
  }),
  RECEIVER_HOST: z.string().min(1).default('0.0.0.0').meta({
    expected: 'an address to listen on, such as 127.0.0.1',
    mend: 'Leave it out to listen on all.',
  }),
}

/** @throws {ConfigError} */
export function readConfig(env: Environment): ReceiverConfig {
  const read = readSettings(env, ['RECEIVER_'], settings)
  return {
    host: read.RECEIVER_HOST,
    port: read.PORT,
    project: read.GOOGLE_CLOUD_PROJECT,
    service: read.K_SERVICE,
    revision: read.K_REVISION,
    auth: authOf(read),
  }
}

function authOf(read: z.output<z.ZodObject<typeof settings>>): GoogleAuthOptions | undefined {
  const { RECEIVER_AUDIENCE, RECEIVER_ALLOWED_CALLERS, RECEIVER_JWKS_URL } = read
  if (read.RECEIVER_AUTH === 'none') {
    const meant = Object.entries({ RECEIVER_AUDIENCE, RECEIVER_ALLOWED_CALLERS, RECEIVER_JWKS_URL })
    const idle = meant.find(([, value]) => value !== undefined)
    // Whoever set it believes that callers are checked.
    if (idle) {
      throw new ConfigError(
        `${idle[0]} is set, but RECEIVER_AUTH is none; expected both or neither. Set RECEIVER_AUTH=verify, or unset ${idle[0]}.`,
      )
    }
    return undefined
  }
  if (!RECEIVER_AUDIENCE) throw missing('RECEIVER_AUDIENCE', AUDIENCE)
  if (!RECEIVER_ALLOWED_CALLERS) throw missing('RECEIVER_ALLOWED_CALLERS', CALLERS)
  return {
    audience: RECEIVER_AUDIENCE,
    allowedCallers: RECEIVER_ALLOWED_CALLERS,
    ...(RECEIVER_JWKS_URL ? { jwksUrl: RECEIVER_JWKS_URL } : {}),
  }
}

function missing(name: string, { expected, mend }: typeof AUDIENCE): ConfigError {
  return new ConfigError(
    `${name} is not set, which RECEIVER_AUTH=verify needs; expected ${expected}. ${mend}`,
  )
}

/** Comma separated; at least one, none empty. */
function list<Item extends z.ZodType<string, string>>(item: Item) {
  return z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .pipe(z.array(item))
}
