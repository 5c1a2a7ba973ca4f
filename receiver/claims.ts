/** The claims of Google's ID tokens that tell of the caller (facts 3), with their types. Whoever reads one reads it from here. */
import { z } from 'zod'

/** Times in seconds since the epoch. `email` is not in every token. */
const schema = z.looseObject({
  iss: z.string(),
  aud: z.string(),
  azp: z.string().optional(),
  sub: z.string().min(1),
  email: z.string().min(1).optional(),
  email_verified: z.boolean().optional(),
  iat: z.number(),
  exp: z.number(),
  nbf: z.number().optional(),
})

export type GoogleClaims = Readonly<z.output<typeof schema>>

export type ClaimsResult =
  | { readonly claims: GoogleClaims }
  /** The first claim that is missing, or of another type than Google writes. */
  | { readonly claims: undefined; readonly wrong: string }

export function readClaims(members: unknown): ClaimsResult {
  const result = schema.safeParse(members)
  if (result.success) return { claims: result.data }
  return { claims: undefined, wrong: String(result.error.issues[0]?.path[0] ?? 'the payload') }
}
