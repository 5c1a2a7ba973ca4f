/** Who calls: what a verified credential says, and the members of a policy that mean this caller. */
import { principal as federated, principalSet } from './members.ts'

/** `uniqueId` is the account's numeric id, the token's `sub`. */
export interface AccountPrincipal {
  readonly kind: 'serviceAccount' | 'user'
  readonly email: string
  readonly uniqueId: string
}

/** `pool` is a resource name such as `projects/123/locations/global/workloadIdentityPools/p`. */
export interface FederatedPrincipal {
  readonly kind: 'federated'
  readonly pool: string
  readonly subject: string
  readonly groups: readonly string[]
  readonly attributes: Readonly<Record<string, string>>
}

export type Principal = { readonly kind: 'anonymous' } | AccountPrincipal | FederatedPrincipal

export const ANONYMOUS: Principal = { kind: 'anonymous' }

/** The member to name in a policy for this caller alone; `allUsers` for one that showed no credential. */
export function memberOf(principal: Principal): string {
  switch (principal.kind) {
    case 'anonymous':
      return 'allUsers'
    case 'serviceAccount':
    case 'user':
      return `${principal.kind}:${principal.email.toLowerCase()}`
    case 'federated':
      return federated(principal.pool, principal.subject)
  }
}

/** Every member that means this caller whatever the directory holds, most particular first. */
export function membersOf(principal: Principal): readonly string[] {
  const own = memberOf(principal)
  switch (principal.kind) {
    case 'anonymous':
      return [own]
    case 'serviceAccount':
      return [own, 'allAuthenticatedUsers', 'allUsers']
    case 'user':
      return [own, `domain:${domainOf(principal.email)}`, 'allAuthenticatedUsers', 'allUsers']
    case 'federated': {
      const { pool, groups, attributes } = principal
      return [
        own,
        ...groups.map((group) => principalSet(pool, { by: 'group', group })),
        ...Object.entries(attributes).map(([name, value]) =>
          principalSet(pool, { by: 'attribute', name, value }),
        ),
        principalSet(pool, { by: 'pool' }),
        // IAM's page on principals: allAuthenticatedUsers does not include federated identities.
        'allUsers',
      ]
    }
  }
}

function domainOf(email: string): string {
  return email.slice(email.lastIndexOf('@') + 1).toLowerCase()
}
