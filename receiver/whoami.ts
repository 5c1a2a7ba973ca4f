/** Who called, and who says so. A claim that nobody verified is not repeated: it would read as the truth. */
import { decodeJwt } from 'jose'
import { z } from 'zod'
import { type Credential, isSignatureRemoved } from './credential.ts'
import type { GoogleCaller } from './google-auth.ts'

export interface Whoami {
  /** `cloud-run`: its ingress, before the request came here. `receiver`: this process. `nobody`: there is no caller to tell of. */
  readonly verified_by: 'cloud-run' | 'receiver' | 'nobody'
  readonly caller: Caller | null
  /** One sentence: what the answer rests on. */
  readonly why: string
}

export type Caller = z.output<typeof claimsOfCaller>

/** facts 3: the claims that tell of the caller; times in seconds since the epoch. `email` is not in every token. */
const claimsOfCaller = z.object({
  email: z.string().optional().catch(undefined),
  email_verified: z.boolean().optional().catch(undefined),
  sub: z.string(),
  aud: z.string(),
  iss: z.string(),
  iat: z.number().optional().catch(undefined),
  exp: z.number(),
})

export interface WhoamiInput {
  readonly credential: Credential | undefined
  /** Set when this process has verified the token. */
  readonly verified: GoogleCaller | undefined
  /** Whether a Cloud Run ingress stands before this process. */
  readonly onCloudRun: boolean
}

export function whoami({ credential, verified, onCloudRun }: WhoamiInput): Whoami {
  if (verified) {
    const caller = claimsOfCaller.parse(verified.claims)
    return {
      verified_by: 'receiver',
      caller,
      why: "The receiver checked the token's signature, audience, expiry and owner.",
    }
  }
  if (!credential) return nobody('The request carries no credential.')
  const { header, token } = credential
  if (!token) return nobody(`${header} does not hold Bearer and one token.`)
  if (!isSignatureRemoved(token)) {
    return nobody(
      `The token in ${header} still has its signature, so Cloud Run did not check it, and the receiver was not asked to (RECEIVER_AUTH=verify).`,
    )
  }
  // Anyone can write the marker: it means something only where an ingress would have refused it.
  if (!onCloudRun)
    return nobody(
      `The token in ${header} has no signature, and no Cloud Run ingress is known to stand before the receiver.`,
    )
  const caller = removedClaims(token)
  if (!caller) return nobody(`The token in ${header} does not hold the claims of a Google ID token.`)
  return {
    verified_by: 'cloud-run',
    caller,
    why: 'Cloud Run checked the token and removed its signature. This holds while the service requires authentication: a public one is sent anything.',
  }
}

function nobody(why: string): Whoami {
  return { verified_by: 'nobody', caller: null, why }
}

function removedClaims(token: string): Caller | undefined {
  try {
    return claimsOfCaller.safeParse(decodeJwt(token)).data
  } catch {
    return undefined
  }
}
