/** Allow policies, spelled as Google's IAM API spells them. */

/** A CEL condition on a binding. Cloud Run recognises `request.time` (facts 6.7). */
export interface BindingCondition {
  readonly title: string
  readonly description?: string
  readonly expression: string
}

export interface Binding {
  readonly role: string
  readonly members: readonly string[]
  readonly condition?: BindingCondition
}

/** `etag` is base64 of opaque bytes; compare it decoded, never as a string. */
export interface Policy {
  readonly version: number
  readonly etag: string
  readonly bindings: readonly Binding[]
}

/** A policy nobody has set yet. Google shows this etag for it (facts 6.9). */
export const EMPTY_POLICY: Policy = { version: 1, etag: 'ACAB', bindings: [] }
