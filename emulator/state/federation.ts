/** Workload identity pools as resources: the names they have, and what can be set of a provider. */
import { z } from 'zod'
import { federationTrouble } from '../iam/federation.ts'
import type { IdentityPools, Stored } from './parts.ts'
import type { WorkloadIdentityPool, WorkloadIdentityPoolProvider } from './resources.ts'

/** 4 to 32 letters, digits and hyphens; `gcp-` is Google's (IAM's reference). */
export const POOL_ID = /^(?!gcp-)[a-z0-9-]{4,32}$/
const MOST_AUDIENCES = 10

export function poolName(projectNumber: string, pool: string): string {
  return `projects/${projectNumber}/locations/global/workloadIdentityPools/${pool}`
}

/** Is the pool, or the provider, there to be used? A deleted one is kept for 30 days, and is not. */
export function isLive({ expireTime }: WorkloadIdentityPool): boolean {
  return expireTime === undefined
}

/** What is wrong with a provider, as one sentence; undefined when it can be set. `schemes` of the issuer: Google takes https alone. */
export function providerTrouble(
  provider: WorkloadIdentityPoolProvider,
  schemes: readonly string[] = ['https:'],
): string | undefined {
  const { oidc } = provider
  // Measured at Google in September 2026: both.
  if (!URL.canParse(oidc.issuerUri)) return 'Invalid OIDC issuer URI.'
  if (!schemes.includes(new URL(oidc.issuerUri).protocol))
    return 'Invalid OIDC issuer URI. The scheme must be https.'
  if (oidc.allowedAudiences.length > MOST_AUDIENCES)
    return `At most ${MOST_AUDIENCES} allowed audiences can be set.`
  return jwksTrouble(oidc.jwksJson) ?? federationTrouble(provider) ?? sharedIssuerTrouble(provider)
}

/** Puts providers where they are not, or not so: what a file says of them counts. Their pools come with them. */
export function putProviders(
  state: IdentityPools & Stored,
  providers: readonly WorkloadIdentityPoolProvider[],
): void {
  state.store.transaction(() => {
    for (const provider of providers) {
      const name = provider.name.replace(/\/providers\/.*$/, '')
      if (!state.workloadIdentityPools.has(name))
        state.workloadIdentityPools.put(name, { name, displayName: '', description: '', disabled: false })
      state.workloadIdentityPoolProviders.put(provider.name, provider)
    }
  })
}

const jwk = z.looseObject({ kty: z.enum(['RSA', 'EC']), crv: z.literal('P-256').optional() })
const jwks = z.looseObject({ keys: z.array(z.looseObject({})).min(1) })

function jwksTrouble(json: string | undefined): string | undefined {
  if (json === undefined) return undefined
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    // IAM's page on troubleshooting.
    return 'Input JWK is not in a valid json format'
  }
  const set = jwks.safeParse(value)
  if (!set.success) return 'Input JWK is not in a valid json format'
  // Measured, in part.
  return set.data.keys.every((key) => jwk.safeParse(key).success)
    ? undefined
    : 'Invalid JWKs. Only RSA, EC key types are supported.'
}

/** Issuers that anyone may get a token from: a provider must say whose it takes. */
const SHARED = /^https:\/\/(?:token\.actions\.githubusercontent\.com|gitlab\.com|app\.terraform\.io)\/?$/

function sharedIssuerTrouble({ oidc, attributeCondition }: WorkloadIdentityPoolProvider): string | undefined {
  if (!SHARED.test(oidc.issuerUri) || /\b(?:assertion|attribute|google)\b/.test(attributeCondition))
    return undefined
  // Seen (many).
  return "The attribute condition must reference one of the provider's claims. For more information, see https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines#conditions"
}
