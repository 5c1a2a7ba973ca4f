/** IAM policies of whatever has one: read, replaced under their etag, asked for permissions. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { newEtag, sameEtag } from '../iam/etag.ts'
import { type Binding, EMPTY_POLICY, type Policy } from '../iam/policy.ts'
import type { AttachedPolicy } from '../iam/question.ts'
import type { Permission, ResourceKind } from '../iam/roles.ts'
import { normalisePolicy, validatePolicy } from '../iam/validate.ts'
import { type Caller, type CallerState, holdsAny } from './caller.ts'
import { ApiError, invalid } from './errors.ts'
import { bytes, int, message, strings, text } from './messages.ts'
import type { Call, RandomBytes, Router } from './route.ts'

/** A policy as IAM's API spells it: members that are empty are left out. */
interface PolicyDocument {
  readonly version?: number
  readonly etag: string
  readonly bindings?: readonly Binding[]
}

const policyMessage = message({
  version: int,
  etag: bytes,
  bindings: z.array(
    message({
      role: text,
      members: strings,
      condition: message({ title: text, description: text, expression: text, location: text }),
    }),
  ),
  auditConfigs: z.array(z.unknown()),
})

const getPolicyMessage = message({ options: message({ requestedPolicyVersion: int }) })
const setPolicyMessage = message({ policy: policyMessage, updateMask: text })
const testPermissionsMessage = message({ permissions: strings })

/**
 * What getIamPolicy answers. Conditions are shown only to whoever asks for version 3; others see the role with a suffix in
 * the condition's place, so that the policy cannot be taken for an unconditional one (IAM's page on policy versions).
 */
function showPolicy(policy: Policy, requestedVersion = 0): PolicyDocument {
  // facts 6.9: a policy that nobody has set is its etag alone.
  if (sameEtag(policy.etag, EMPTY_POLICY.etag)) return { etag: EMPTY_POLICY.etag }
  const { version, etag, bindings } = policy
  const shown = requestedVersion >= 3 ? bindings : bindings.map(withoutCondition)
  return {
    version: requestedVersion >= 3 ? version : 1,
    etag,
    ...(shown.length ? { bindings: shown } : {}),
  }
}

/** Reads `options.requestedPolicyVersion` of the query, where it is not in the body. */
function requestedVersion(value: string | undefined): number {
  if (value === undefined) return 0
  const version = Number(value)
  if (![0, 1, 2, 3].includes(version)) throw invalid('Request contains an invalid argument.')
  return version
}

/** A kind of resource that carries a policy. */
export interface PolicyCarrier<T extends { readonly policy: Policy }> {
  readonly kind: ResourceKind
  readonly permissions: { readonly get: Permission; readonly set: Permission }
  /** How Google reads the policy: a version that is asked for stands in the query of a GET, in the body of a POST. */
  readonly readBy: readonly ('GET' | 'POST')[]
  /** The resource of the path, where the caller holds the permission on it; else it throws. */
  find(call: Call, permission: Permission): T
  put(resource: T, policy: Policy): void
  /** The policies that decide what a caller may do there. */
  policies(call: Call): readonly AttachedPolicy[]
}

/** `getIamPolicy`, `setIamPolicy` and `testIamPermissions` of the resources at a template. */
export function policyRoutes<T extends { readonly policy: Policy }>(
  routes: Router,
  { state, random }: { readonly state: CallerState; readonly random: RandomBytes },
  template: string,
  carrier: PolicyCarrier<T>,
): void {
  const show = (call: Call, version = 0) => {
    const { policy } = carrier.find(call, carrier.permissions.get)
    return showPolicy(policy, requestedVersion(call.query('options.requestedPolicyVersion')) || version)
  }
  if (carrier.readBy.includes('GET')) routes.get(`${template}:getIamPolicy`, (call) => show(call))
  if (carrier.readBy.includes('POST'))
    routes.post(`${template}:getIamPolicy`, async (call) => {
      const { options } = await call.body(getPolicyMessage)
      return show(call, options?.requestedPolicyVersion)
    })
  routes.post(`${template}:setIamPolicy`, async (call) => {
    const request = await call.body(setPolicyMessage)
    // From reading the current policy to writing the new one nothing waits, so that of two racers one wins.
    const resource = carrier.find(call, carrier.permissions.set)
    const replaced = replacement(state, random, carrier.kind, resource.policy, request)
    carrier.put(resource, replaced)
    return showPolicy(replaced, 3)
  })
  routes.post(`${template}:testIamPermissions`, async (call) => {
    const request = await call.body(testPermissionsMessage)
    return testPermissions(state, call.caller, carrier.policies(call), request)
  })
}

/** What a policy becomes. */
function replacement(
  state: CallerState,
  random: RandomBytes,
  resourceKind: ResourceKind,
  existing: Policy,
  request: z.output<typeof setPolicyMessage>,
): Policy {
  const { policy = {}, updateMask } = request
  if (policy.auditConfigs?.length)
    throw new ApiError('UNIMPLEMENTED', 'Audit configurations are not emulated.')
  const fields = updateMask?.split(',').map((field) => field.trim())
  const replacesBindings = !fields || fields.includes('bindings') || fields.includes('*')
  const input = {
    ...(policy.version === undefined ? {} : { version: policy.version }),
    ...(policy.etag ? { etag: policy.etag } : {}),
    bindings: replacesBindings ? (policy.bindings ?? []).map(bindingOf) : existing.bindings,
  }
  // facts 6.9: a stale etag is a lost race; none at all overwrites.
  if (input.etag !== undefined && !sameEtag(input.etag, existing.etag)) {
    throw new ApiError(
      'ABORTED',
      'There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.',
    )
  }
  const violation = validatePolicy(input, {
    resourceKind,
    accountExists: (email) => state.serviceAccount(email) !== undefined,
    groupExists: (email) => state.groups.has(email),
    added: state.addedRoles,
    existing,
  })
  if (violation) throw new ApiError(violation.status, violation.message)
  return normalisePolicy(input, newEtag(random))
}

/** Which of the permissions the caller holds. Nobody needs a permission to ask. */
function testPermissions(
  state: CallerState,
  caller: Caller,
  policies: readonly AttachedPolicy[],
  { permissions = [] }: z.output<typeof testPermissionsMessage>,
): { readonly permissions?: readonly string[] } {
  const wildcard = permissions.find((permission) => permission.includes('*'))
  if (wildcard !== undefined) throw invalid(`Permission ${wildcard} is not valid for this resource.`)
  const held = permissions.filter((permission) => holdsAny(state, caller, permission, policies))
  return held.length ? { permissions: held } : {}
}

type BindingMessage = NonNullable<z.output<typeof policyMessage>['bindings']>[number]

function bindingOf({ role = '', members = [], condition }: BindingMessage): Binding {
  if (!condition) return { role, members }
  const { title = '', description, expression = '' } = condition
  return { role, members, condition: { title, ...(description ? { description } : {}), expression } }
}

function withoutCondition({ role, members, condition }: Binding): Binding {
  if (!condition) return { role, members }
  const digest = createHash('sha256').update(JSON.stringify(condition)).digest('hex').slice(0, 20)
  return { role: `${role}_withcond_${digest}`, members }
}
