import { randomBytes } from 'node:crypto'
import { newEtag } from '../iam/etag.ts'
import type { Policy } from '../iam/policy.ts'

/** A policy with a fresh etag. */
export function newPolicy(bindings: Policy['bindings'], version = 1): Policy {
  return { version, etag: newEtag(randomBytes), bindings }
}
