/** Who called, and who says so. A claim that nobody verified is not repeated: it would read as the truth. */
import { readJwt } from '../service/jwt.ts'
import { type GoogleClaims, readClaims } from './claims.ts'
import { type Credential, isSignatureRemoved } from './credential.ts'
import type { GoogleCaller } from './google-auth.ts'

export interface Whoami {
  /** `cloud-run`: its ingress, before the request came here. `receiver`: this process. `nobody`: there is no caller to tell of. */
  readonly verified_by: 'cloud-run' | 'receiver' | 'nobody'
  readonly caller: Caller | null
  /** One sentence: what the answer rests on. */
  readonly why: string
}

export type Caller = Pick<GoogleClaims, 'email' | 'email_verified' | 'sub' | 'aud' | 'iss' | 'iat' | 'exp'>

export interface WhoamiInput {
  readonly credential: Credential | undefined
  /** Set when this process has verified the token. */
  readonly verified: GoogleCaller | undefined
  /** Whether a Cloud Run ingress stands before this process. */
  readonly onCloudRun: boolean
}

export function whoami({ credential, verified, onCloudRun }: WhoamiInput): Whoami {
  if (verified) {
    return {
      verified_by: 'receiver',
      caller: told(verified.claims),
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
  const { claims } = readClaims(readJwt(token)?.claims)
  if (!claims) return nobody(`The token in ${header} does not hold the claims of a Google ID token.`)
  return {
    verified_by: 'cloud-run',
    caller: told(claims),
    why: 'Cloud Run checked the token and removed its signature. This holds while the service requires authentication: a public one is sent anything.',
  }
}

function nobody(why: string): Whoami {
  return { verified_by: 'nobody', caller: null, why }
}

function told({ email, email_verified, sub, aud, iss, iat, exp }: GoogleClaims): Caller {
  return { email, email_verified, sub, aud, iss, iat, exp }
}
