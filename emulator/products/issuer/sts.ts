/**
 * Security Token Service: the token of an outside identity becomes a federated access token (RFC 8693, facts 4).
 *
 * Only OIDC providers: AWS, SAML and X.509 are refused.
 */
import { z } from 'zod'
import { federate } from '../../iam/federation.ts'
import { principal } from '../../iam/members.ts'
import type { AccessTokens, IdentityPools, Timed } from '../../state/parts.ts'
import type { WorkloadIdentityPoolProvider } from '../../state/resources.ts'
import { seconds } from '../../tokens/clock.ts'
import { OAuthError, type Parameters } from './reply.ts'
import { splitScopes } from './scopes.ts'
import { createSubjectTokenVerifier, type SubjectTokenOptions } from './subject-token.ts'

/** Members in Google's order. */
export interface StsReply {
  readonly access_token: string
  readonly issued_token_type: typeof ACCESS_TOKEN
  readonly token_type: 'Bearer'
  readonly expires_in?: number
}

const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const OIDC_TYPES: readonly string[] = [`${TOKEN_TYPE}jwt`, `${TOKEN_TYPE}id_token`]
const PROVIDER =
  /^\/\/iam\.googleapis\.com\/((projects\/[^/]+\/locations\/global\/workloadIdentityPools\/[^/]+)\/providers\/[^/]+)$/
/** Seconds. */
const LONGEST = 3600
/** IAM's page on workload identity federation. Bytes. */
const SUBJECT_LIMIT = 127

const request = z.object({
  grant_type: z.literal(EXCHANGE),
  requested_token_type: z.literal(ACCESS_TOKEN),
  audience: z.string().regex(PROVIDER),
  scope: z.string().min(1),
  subject_token_type: z.enum(OIDC_TYPES as [string, ...string[]]),
  subject_token: z.string().min(1),
})

/** Answers for one state. Rejects with {@link OAuthError}. */
export function createTokenExchange(
  state: AccessTokens & IdentityPools & Timed,
  options: SubjectTokenOptions,
): (parameters: Parameters) => Promise<StsReply> {
  const verify = createSubjectTokenVerifier(options)

  return async function exchange(parameters) {
    const asked = read(parameters)
    const provider = providerAt(state, asked.audience)
    const now = seconds(state.clock())
    const { assertion, life } = await verify(asked.subject_token, provider, now)

    const { taken, identity } = federate(provider, assertion)
    // Seen (many).
    if (!taken) throw unauthorized('The given credential is rejected by the attribute condition.')
    const { subject, groups, attributes } = identity
    if (subject === undefined)
      throw unauthorized('Could not obtain a value for google.subject from the given credential.')
    // IAM's page on troubleshooting.
    if (Buffer.byteLength(subject) > SUBJECT_LIMIT)
      throw invalidRequest(
        'The size of mapped attribute google.subject exceeds the 127 bytes limit. Either modify your attribute mapping or the incoming assertion to produce a mapped attribute that is less than 127 bytes.',
      )

    // Measured: as long as the token that came, an hour at most.
    const lifetime = Math.min(life, LONGEST)
    const { token } = state.issueAccessToken(
      {
        member: principal(poolOf(provider), subject),
        scopes: splitScopes(asked.scope),
        federation: { groups, attributes },
      },
      lifetime * 1000,
    )
    return {
      access_token: token,
      issued_token_type: ACCESS_TOKEN,
      token_type: 'Bearer',
      ...(lifetime > 1 ? { expires_in: lifetime - 1 } : {}),
    }
  }
}

/** The pool of a provider, by name. */
function poolOf({ name }: WorkloadIdentityPoolProvider): string {
  return name.replace(/\/providers\/[^/]+$/, '')
}

function providerAt(
  state: AccessTokens & IdentityPools & Timed,
  audience: string,
): WorkloadIdentityPoolProvider {
  const [, name = '', poolName = ''] = PROVIDER.exec(audience) ?? []
  const pool = state.workloadIdentityPools.get(poolName)
  const provider = state.workloadIdentityPoolProviders.get(name)
  for (const needed of [pool, provider]) {
    // Seen (many); a project's id in place of its number comes out here too.
    if (!needed || needed.disabled || needed.expireTime !== undefined)
      throw new OAuthError(
        'invalid_target',
        'The target service indicated by the "audience" parameters is invalid. This might either be because the pool or provider is disabled or deleted or because it doesn\'t exist.',
      )
  }
  if (!provider) throw new Error('a provider that was found is gone')
  return provider
}

/** The REST reference spells JSON in camel case; forms and the libraries spell it as the RFC does. */
function read(parameters: Parameters): z.infer<typeof request> {
  const spelled = Object.fromEntries(
    [...parameters].map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value,
    ]),
  )
  const result = request.safeParse(spelled)
  if (result.success) return result.data
  const name = String(result.error.issues[0]?.path[0] ?? '')
  throw invalidRequest(SENTENCES[name] ?? `Invalid value for "${name}".`)
}

/** facts 4 for the audience; the others are formed after it (inferred). */
const SENTENCES: Readonly<Record<string, string>> = {
  audience:
    'Invalid value for "audience". This value should be the full resource name of the Identity Provider. See https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token for the list of possible formats.',
  grant_type: `Invalid value for "grant_type". This value should be "${EXCHANGE}".`,
  requested_token_type: `Invalid value for "requested_token_type". This value should be "${ACCESS_TOKEN}".`,
  subject_token_type: `Invalid value for "subject_token_type". The emulator takes the tokens of OIDC providers: ${OIDC_TYPES.map((type) => `"${type}"`).join(' or ')}.`,
}

function unauthorized(description: string): OAuthError {
  return new OAuthError('unauthorized_client', description)
}

function invalidRequest(description: string): OAuthError {
  return new OAuthError('invalid_request', description)
}
