/** Signed JWTs in compact form, read strictly. Whether a signature is right is not looked at here. */

type Members = Readonly<Record<string, unknown>>

export interface Jwt {
  readonly header: Members
  /** Nobody has checked their types. */
  readonly claims: Members
}

/** Deeper than any token of Google's; what is deeper still would take a reader's stack. */
const DEEPEST = 32

/** Undefined for whatever is not three segments of base64url, the first two of them JSON objects. */
export function readJwt(token: string): Jwt | undefined {
  const segments = token.split('.').map(decodeBase64url)
  const [head, payload, signature] = segments
  if (segments.length !== 3 || !head || !payload || !signature) return undefined
  const header = readObject(head)
  const claims = readObject(payload)
  return header && claims && { header, claims }
}

/** One spelling for each value: no padding, no other alphabet, no bits left over (RFC 7515, 2; RFC 4648, 3.5). */
export function decodeBase64url(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return text !== '' && bytes.toString('base64url') === text ? bytes : undefined
}

function readObject(bytes: Uint8Array): Members | undefined {
  try {
    // RFC 8259, 8.1: what begins with a byte order mark is no JSON.
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    const value: unknown = JSON.parse(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject && !isDeeper(value, DEEPEST) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((member) => isDeeper(member, levels - 1))
}
