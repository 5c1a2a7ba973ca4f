/**
 * Is this the token of an identity that a provider stands for? Google's sentences, as a public project measured them at
 * sts.googleapis.com in September 2026; where several things are wrong, the order is inferred.
 */
import { type CompactVerifyGetKey, compactVerify, createLocalJWKSet, createRemoteJWKSet, errors } from 'jose'
import { z } from 'zod'
import type { Assertion } from '../../iam/federation.ts'
import type { WorkloadIdentityPoolProvider } from '../../state/resources.ts'
import { type JsonMembers, readJwtClaims } from '../../tokens/jwt.ts'
import { OAuthError } from './reply.ts'

/** Google takes RS256 and ES256, no others. */
const ALGORITHMS = ['RS256', 'ES256']
/** Measured: a minute, either way. Seconds. */
const SKEW = 60
/** How long an issuer may take to answer. Milliseconds; Google's own is not established. */
const PATIENCE = 5000

export interface SubjectToken {
  readonly assertion: Assertion
  /** Seconds that it still has to live; at least one. */
  readonly life: number
}

export interface SubjectTokenOptions {
  /** Where somebody can read why an issuer could not be asked: Google's own sentence does not say. */
  readonly log: (line: string) => void
}

/** Verifies tokens; what was fetched of an issuer is kept, per provider, and fetched anew as jose sees fit. Rejects with {@link OAuthError}. */
export function createSubjectTokenVerifier({ log }: SubjectTokenOptions) {
  const fetched = new Map<string, Promise<CompactVerifyGetKey>>()

  /** The key set of a provider: the one that it was given, or the issuer's. */
  function keysOf({
    oidc: { jwksJson, issuerUri },
  }: WorkloadIdentityPoolProvider): Promise<CompactVerifyGetKey> {
    const source = jwksJson ?? issuerUri
    const known = fetched.get(source)
    if (known) return known
    const keys = jwksJson === undefined ? remoteKeys(issuerUri) : localKeys(jwksJson)
    fetched.set(source, keys)
    // What could not be had is asked for again at the next token.
    keys.catch(() => fetched.delete(source))
    return keys
  }

  return async function verify(
    token: string,
    provider: WorkloadIdentityPoolProvider,
    /** Seconds since the epoch. */
    now: number,
  ): Promise<SubjectToken> {
    const { header, assertion, claims } = read(token)
    const { iss, aud, iat, exp } = claims
    const { issuerUri } = provider.oidc
    if (iss !== issuerUri)
      throw invalidGrant(
        `The issuer in ID Token ${shown(iss)} does not match the expected one in config: ${issuerUri}.`,
      )
    if (!aud.some((audience) => allowedAudiences(provider).includes(audience)))
      throw invalidGrant(`The audience in ID Token [${aud.join(', ')}] does not match the expected audience.`)
    if (iat === undefined || exp === undefined || iat > now + SKEW || exp <= now - SKEW)
      throw invalidGrant(`ID Token issued at ${shown(iat)} is stale to sign-in.`)
    await checkSignature(token, header, provider)
    // Measured: one that is over, but within the minute, gets a minute.
    return { assertion, life: exp > now ? Math.ceil(exp - now) : SKEW }
  }

  async function checkSignature(
    token: string,
    { alg }: JsonMembers,
    provider: WorkloadIdentityPoolProvider,
  ): Promise<void> {
    if (typeof alg !== 'string' || !ALGORITHMS.includes(alg)) throw badSignature()
    try {
      await verifyWith(token, await keysOf(provider))
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed) throw badSignature()
      // Measured: a key id that the issuer does not have is answered as an issuer that is not there.
      log(`sts: ${provider.name}: the keys of ${provider.oidc.issuerUri}: ${messageOf(error)}`)
      throw invalidGrant("Error connecting to the given credential's issuer.")
    }
  }
}

/** The audiences that a provider takes: its list, or, without one, its own name (IAM's reference). */
function allowedAudiences({ name, oidc }: WorkloadIdentityPoolProvider): readonly string[] {
  if (oidc.allowedAudiences.length > 0) return oidc.allowedAudiences
  return [`//iam.googleapis.com/${name}`, `https://iam.googleapis.com/${name}`]
}

async function verifyWith(token: string, keys: CompactVerifyGetKey): Promise<void> {
  try {
    await compactVerify(token, keys, { algorithms: ALGORITHMS })
  } catch (error) {
    // A token without a key id, and more than one key that could have signed it.
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
    for await (const key of error) {
      try {
        await compactVerify(token, key, { algorithms: ALGORITHMS })
        return
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure
      }
    }
    throw new errors.JWSSignatureVerificationFailed()
  }
}

const keySet = z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })) })

async function localKeys(jwksJson: string): Promise<CompactVerifyGetKey> {
  return createLocalJWKSet(keySet.parse(JSON.parse(jwksJson)))
}

const discovery = z.looseObject({ jwks_uri: z.url({ protocol: /^https?$/ }) })

async function remoteKeys(issuerUri: string): Promise<CompactVerifyGetKey> {
  const url = `${issuerUri.replace(/\/$/, '')}/.well-known/openid-configuration`
  const response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE), redirect: 'manual' })
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
  const { jwks_uri } = discovery.parse(await response.json())
  return createRemoteJWKSet(new URL(jwks_uri), { timeoutDuration: PATIENCE })
}

/** What is missing, or of a type that OpenID Connect does not give it, is as if it were not there. The mapping reads the rest. */
const claimsOf = z.object({
  iss: z.string().optional().catch(undefined),
  aud: z.union([z.string().transform((one) => [one]), z.array(z.string())]).catch([]),
  iat: z.number().optional().catch(undefined),
  exp: z.number().optional().catch(undefined),
})

interface Read {
  readonly header: JsonMembers
  readonly assertion: Assertion
  readonly claims: z.output<typeof claimsOf>
}

function read(token: string): Read {
  const jwt = readJwtClaims(token)
  // Seen from Identity Platform, which shares these sentences.
  if (!jwt) throw invalidGrant('Unable to parse the ID Token.')
  return { header: jwt.header, assertion: jwt.claims, claims: claimsOf.parse(jwt.claims) }
}

/** Measured: a claim that is missing is written `null`. */
function shown(value: string | number | undefined): string {
  return value === undefined ? 'null' : String(value)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function badSignature(): OAuthError {
  return invalidGrant('Unable to verify the ID Token signature.')
}

function invalidGrant(description: string): OAuthError {
  return new OAuthError('invalid_grant', description)
}
