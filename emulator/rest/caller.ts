/** Who calls an API, and what they may do: access tokens to principals, and permissions over the policies of a resource. */
import type { Api } from '../catalogue/product.ts'
import { decide } from '../iam/decide.ts'
import { parseMember } from '../iam/members.ts'
import { memberOf, type Principal } from '../iam/principal.ts'
import type { AttachedPolicy, Directory } from '../iam/question.ts'
import type { Permission } from '../iam/roles.ts'
import { projectResource, serviceResource } from '../state/names.ts'
import type {
  AccessTokens,
  Accounts,
  AddedRoles,
  IdentityPools,
  Placed,
  Projects,
  Read,
  Timed,
} from '../state/parts.ts'
import type { AccessToken, Project, Service, ServiceAccount } from '../state/resources.ts'
import type { Bucket } from '../state/stored-objects.ts'
import { ApiError, denied, errorInfo } from './errors.ts'

export type CallerState = Read<
  AccessTokens & Accounts & AddedRoles & Directory & IdentityPools & Placed & Projects & Timed
>

export interface Caller {
  readonly principal: Principal
  /** As a policy spells them. */
  readonly member: string
  /** What resources name as their creator: an email, or the member of a federated identity. */
  readonly name: string
}

const EXPECTED =
  'Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.'
const REALM = 'Bearer realm="https://accounts.google.com/"'
const PLATFORM_SCOPE = 'https://www.googleapis.com/auth/cloud-platform'

/** The caller that an `Authorization` header names, to the API that was asked. */
export function authenticate(state: CallerState, authorization: string | undefined, api: Api): Caller {
  if (!authorization) {
    throw new ApiError(
      'UNAUTHENTICATED',
      `Request is missing required authentication credential. ${EXPECTED}`,
      {
        details: [errorInfo('CREDENTIALS_MISSING', 'googleapis.com', { service: api.name })],
        challenge: REALM,
      },
    )
  }
  const token = /^bearer +(\S+)$/i.exec(authorization.trim())?.[1]
  const holder = token === undefined ? undefined : state.accessToken(token)
  const principal = holder && principalOf(state, holder)
  if (!holder || !principal) {
    // Google tells a foreign kind of token from an expired one; the sentence is the same.
    const reason = token?.startsWith('ya29.') ? 'ACCESS_TOKEN_EXPIRED' : 'ACCESS_TOKEN_TYPE_UNSUPPORTED'
    throw new ApiError('UNAUTHENTICATED', `Request had invalid authentication credentials. ${EXPECTED}`, {
      details: [errorInfo(reason, 'googleapis.com', { service: api.name })],
      challenge: `${REALM}, error="invalid_token"`,
    })
  }
  if (!hasScope(holder.scopes, api)) {
    throw new ApiError('PERMISSION_DENIED', 'Request had insufficient authentication scopes.', {
      details: [errorInfo('ACCESS_TOKEN_SCOPE_INSUFFICIENT', 'googleapis.com', { service: api.name })],
      challenge: `${REALM}, error="insufficient_scope", scope="${PLATFORM_SCOPE}"`,
    })
  }
  const member = memberOf(principal)
  return { principal, member, name: 'email' in principal ? principal.email : member }
}

/** Does the caller hold the permission by one of these policies? */
export function holds(
  state: CallerState,
  caller: Pick<Caller, 'principal'>,
  permission: Permission,
  policies: readonly AttachedPolicy[],
): boolean {
  return holdsAny(state, caller, permission, policies)
}

/** The same of whatever a caller may ask about; what is no permission nobody holds. */
export function holdsAny(
  state: CallerState,
  { principal }: Pick<Caller, 'principal'>,
  permission: string,
  policies: readonly AttachedPolicy[],
): boolean {
  const { groups, domains, addedRoles: added } = state
  return decide({ principal, permission, policies, groups, domains, added, now: state.clock() }).allowed
}

/** The policies that count for a project: its own. Nothing stands above it here. */
export function projectPolicies(project: Project | undefined): readonly AttachedPolicy[] {
  return project ? [{ resource: projectResource(project.projectId), policy: project.policy }] : []
}

export function servicePolicies(state: CallerState, service: Service): readonly AttachedPolicy[] {
  return [
    { resource: serviceResource(service), policy: service.policy },
    ...projectPolicies(state.project(service.project)),
  ]
}

export function bucketPolicies(state: CallerState, bucket: Bucket): readonly AttachedPolicy[] {
  const own = {
    resource: `//storage.googleapis.com/projects/_/buckets/${bucket.name}`,
    policy: bucket.policy,
  }
  // A bucket of Google's own stands in no project here, yet its members may be "whoever owns the project".
  return [own, ...projectPolicies(state.project(bucket.project ?? state.place.projectId))]
}

export function accountPolicies(state: CallerState, account: ServiceAccount): readonly AttachedPolicy[] {
  return [
    { resource: accountResource(account), policy: account.policy },
    ...projectPolicies(state.project(account.projectId)),
  ]
}

function accountResource({ projectId, email }: ServiceAccount): string {
  return `//iam.googleapis.com/projects/${projectId}/serviceAccounts/${email}`
}

/** facts 4: how IAM and its credentials API refuse. */
export function iamDenied(permission: Permission): ApiError {
  return denied(`Permission '${permission}' denied on resource (or it may not exist).`, [
    errorInfo('IAM_PERMISSION_DENIED', 'iam.googleapis.com', { permission }),
  ])
}

/** facts 6.9: an API that the project has not enabled. */
export function requireEnabled(project: Project, { name, title, enabled }: Api): void {
  if (enabled === 'always' || project.enabledServices.includes(name)) return
  const { projectId } = project
  const activationUrl = `https://console.developers.google.com/apis/api/${name}/overview?project=${projectId}`
  const message = `${title} has not been used in project ${projectId} before or it is disabled. Enable it by visiting ${activationUrl} then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry.`
  throw denied(message, [
    errorInfo('SERVICE_DISABLED', 'googleapis.com', {
      consumer: `projects/${projectId}`,
      service: name,
      serviceTitle: title,
      containerInfo: projectId,
      activationUrl,
    }),
    { '@type': 'type.googleapis.com/google.rpc.LocalizedMessage', locale: 'en-US', message },
    {
      '@type': 'type.googleapis.com/google.rpc.Help',
      links: [{ description: 'Google developers console API activation', url: activationUrl }],
    },
  ])
}

function principalOf(
  state: CallerState,
  { member, email, uniqueId, federation }: AccessToken,
): Principal | undefined {
  const parsed = parseMember(member)
  if (!parsed.ok) return undefined
  switch (parsed.member.kind) {
    case 'user':
      return { kind: 'user', email: email ?? parsed.member.email, uniqueId: uniqueId ?? '' }
    case 'serviceAccount': {
      // A token outlives neither its account nor the account's being switched off; one made anew under the name is another.
      const account = state.serviceAccount(parsed.member.email)
      if (!account || account.disabled || (uniqueId !== undefined && uniqueId !== account.uniqueId))
        return undefined
      return { kind: 'serviceAccount', email: account.email, uniqueId: account.uniqueId }
    }
    case 'principal': {
      const { pool, subject } = parsed.member
      // IAM's reference: tokens of a pool that is switched off, or deleted, are no use while it is; a provider's go on.
      const kept = state.workloadIdentityPools.get(pool)
      if (!kept || kept.disabled || kept.expireTime !== undefined) return undefined
      const { groups = [], attributes = {} } = federation ?? {}
      return { kind: 'federated', pool, subject, groups, attributes }
    }
    default:
      return undefined
  }
}

/** A token without any scope on record was issued without limits. */
function hasScope(scopes: readonly string[], { scopes: own = [] }: Api): boolean {
  if (scopes.length === 0 || scopes.includes(PLATFORM_SCOPE)) return true
  return own.some((scope) => scopes.includes(scope))
}
