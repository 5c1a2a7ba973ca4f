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
  if (!isSignatureRemoved(token)) return nobody(notChecked(header, onCloudRun))
  // Anyone can write the marker: it means something only where an ingress writes it itself, and would have refused another's.
  if (!onCloudRun)
    return nobody(
      `The token in ${header} has no signature, and no Cloud Run ingress is known to stand before the receiver.`,
    )
  if (header === 'authorization')
    return nobody(
      'The token in authorization has no signature, which Cloud Run removes in x-serverless-authorization only: somebody else wrote it.',
    )
  const { claims } = readClaims(readJwt(token)?.claims)
  if (!claims) return nobody(`The token in ${header} does not hold the claims of a Google ID token.`)
  return {
    verified_by: 'cloud-run',
    caller: told(claims),
    why: 'Cloud Run checked the token in x-serverless-authorization and removed its signature, as it does for a service that requires authentication.',
  }
}

function nobody(why: string): Whoami {
  return { verified_by: 'nobody', caller: null, why }
}

/** facts 7.2: Cloud Run passes `Authorization` on as it came, checked or not; a public service is sent anything. */
function notChecked(header: Credential['header'], onCloudRun: boolean): string {
  const toCheck = 'RECEIVER_AUTH=verify has the receiver check it.'
  return onCloudRun && header === 'authorization'
    ? `Whether Cloud Run checked the token in authorization cannot be told from here: a service that requires authentication gets it as a public one does, with its signature. ${toCheck}`
    : `Nobody is known to have checked the token in ${header}. ${toCheck}`
}

function told({ email, email_verified, sub, aud, iss, iat, exp }: GoogleClaims): Caller {
  return { email, email_verified, sub, aud, iss, iat, exp }
}
