import { createHash } from 'node:crypto'

/** Key of a secret in its collection: the secret itself is not kept. */
export function tokenKey(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
