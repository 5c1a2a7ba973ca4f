/** Resource versions: which state of a service a client has read. */

import { ApiError } from '../../rest/errors.ts'
import type { Service } from '../../state/resources.ts'

/** Refuses a change to another version of the service than the client has read. */
export function requireVersion(service: Service, expected: string | undefined): void {
  if (expected === undefined || expected === service.resourceVersion) return
  // Inferred wording.
  throw new ApiError(
    'ABORTED',
    `Conflict for resource '${service.name}': version '${expected}' was specified but current version is '${service.resourceVersion}'.`,
  )
}

/** Like Google's `AAZDbzbhlt8`: eight bytes of microseconds, never going back. */
export function nextVersion(now: number, previous?: string): string {
  const last = previous === undefined ? 0n : Buffer.from(previous, 'base64url').readBigUInt64BE()
  const time = BigInt(now) * 1000n
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(time > last ? time : last + 1n)
  return bytes.toString('base64url')
}
