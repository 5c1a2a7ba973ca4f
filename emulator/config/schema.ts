/** The one schema of everything that can be set, with the defaults. What is not in it is refused. */
import { z } from 'zod'
import { providerTrouble } from '../state/federation.ts'
import { REGIONS } from '../state/names.ts'

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

export const schema = z.strictObject({
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
  frontEndRules: z.enum(['strict', 'lenient'], 'strict or lenient').default('strict'),
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
