/**
 * Signed JWTs in compact form, read as strictly as the RFCs write them: there is one spelling for each, and a value that
 * can be read in two ways is not read. Whether a signature is right is not looked at here.
 */

/** The members of a header or of a payload. Nobody has checked their types. */
export type JsonMembers = Readonly<Record<string, unknown>>

export interface SignedJwt {
  readonly header: JsonMembers
  readonly payload: Uint8Array
}

/** Objects and lists in one another; Google's tokens have one level. More would take a reader's stack. */
const DEEPEST = 32

/** Undefined where a segment is missing or not base64url, or where the header is no JSON object. The signature may be empty. */
export function readJwt(token: string): SignedJwt | undefined {
  const segments = token.split('.')
  const [header, payload, signature] = segments.map(decodeBase64url)
  if (segments.length !== 3 || !header?.length || !payload?.length || !signature) return undefined
  const members = readMembers(header)
  return members && { header: members, payload }
}

/**
 * Header and claims at once, for a token whose claims say by which key it is verified. None with a critical extension is
 * read: one of them changes how the payload is written (RFC 7797).
 */
export function readJwtClaims(
  token: string,
): { readonly header: JsonMembers; readonly claims: JsonMembers } | undefined {
  const jwt = readJwt(token)
  if (!jwt || 'crit' in jwt.header) return undefined
  const claims = readMembers(jwt.payload)
  return claims && { header: jwt.header, claims }
}

/** The JSON object that a segment holds; undefined where it holds something else. */
export function readMembers(bytes: Uint8Array): JsonMembers | undefined {
  try {
    // A byte order mark is kept, and so is no JSON (RFC 8259, 8.1).
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    const value: unknown = JSON.parse(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject && !isDeeper(value, DEEPEST) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

/** RFC 7515, 2: no padding, no other character, and (RFC 4648, 3.5) no bits left over. */
function decodeBase64url(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((member) => isDeeper(member, levels - 1))
}
