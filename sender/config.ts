/** The sender's settings. */
import { z } from 'zod'
import { type Environment, httpUrl, platformSettings, readSettings } from '../service/environment.ts'
import type { ServiceConfig } from '../service/run.ts'

export interface SenderConfig extends ServiceConfig {
  /** What `GET /` calls, as it was given. */
  readonly receiver: URL
  /** Asked for as the ID token's `aud`; undefined when no token is sent. */
  readonly audience: string | undefined
}

/** Every variable that is read, by name. */
export const settings = {
  ...platformSettings,
  RECEIVING_SERVICE_URL: httpUrl.meta({
    expected: "the receiver's http or https URL, with no user name and no fragment",
    mend: 'Set it to what `gcloud run services describe receiving-service --format "value(status.url)"` prints.',
  }),
  RECEIVING_SERVICE_AUDIENCE: z
    .string()
    // google-auth-library writes the audience into the metadata server's URL without encoding it.
    .regex(/^[^\s&#%+]+$/)
    .optional()
    .meta({
      expected: 'a custom audience of the receiver, without white space or any of & # % +',
      mend: "Leave it out to use the receiver's own URL.",
    }),
  SENDER_AUTH: z.enum(['none', 'id-token']).default('id-token').meta({
    expected: 'none or id-token',
    mend: 'Leave it out to send an ID token.',
  }),
  SENDER_HOST: z.string().min(1).default('0.0.0.0').meta({
    expected: 'an address to listen on, such as 127.0.0.1',
    mend: 'Leave it out to listen on all.',
  }),
}

/** @throws {ConfigError} */
export function readConfig(env: Environment): SenderConfig {
  const read = readSettings(env, ['SENDER_', 'RECEIVING_SERVICE_'], settings)
  const receiver = read.RECEIVING_SERVICE_URL
  // facts 1.6, 7.1: the bare URL is always accepted as audience, one with a path as well, one with a query is not.
  const audience = read.RECEIVING_SERVICE_AUDIENCE ?? receiver.origin
  return {
    host: read.SENDER_HOST,
    port: read.PORT,
    project: read.GOOGLE_CLOUD_PROJECT,
    service: read.K_SERVICE,
    revision: read.K_REVISION,
    receiver,
    audience: read.SENDER_AUTH === 'none' ? undefined : audience,
  }
}
