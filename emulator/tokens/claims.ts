/** The claims of Google's ID tokens (facts 3), with their types. Whoever reads one reads it from here. */
import { z } from 'zod'
import type { JsonMembers } from './jwt.ts'

const schema = z.looseObject({
  iss: z.string(),
  aud: z.string(),
  azp: z.string().optional(),
  sub: z.string().min(1),
  email: z.string().min(1).optional(),
  email_verified: z.boolean().optional(),
  at_hash: z.string().optional(),
  nonce: z.string().optional(),
  iat: z.number(),
  exp: z.number(),
  nbf: z.number().optional(),
})

/** What an ID token says of its holder. Seconds since the epoch for the times. */
export type IdTokenClaims = Readonly<z.output<typeof schema>>

export type ClaimsResult =
  | { readonly claims: IdTokenClaims }
  /** The first claim that is missing, or of another type than Google writes. */
  | { readonly claims: undefined; readonly wrong: string }

export function readIdTokenClaims(members: JsonMembers): ClaimsResult {
  const result = schema.safeParse(members)
  if (result.success) return { claims: result.data }
  return { claims: undefined, wrong: String(result.error.issues[0]?.path[0]) }
}
