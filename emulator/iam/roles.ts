/**
 * Roles: what each one permits, where it can be granted, and which one to suggest. Google's predefined ones stand in
 * roles.json, with their source and date (facts 1.7).
 */
import table from './roles.json' with { type: 'json' }

/** A permission that the emulator's APIs ask for: a row of roles.json, or one that a product adds. */
export type Permission = keyof typeof table.permissions | AddedPermission

declare const added: unique symbol
/** A permission of a product that Google's table here does not have. Made by {@link addedPermission}. */
export type AddedPermission = string & { readonly [added]: true }

/** @throws {Error} for a name that is not spelled as a permission: `toy.things.get` */
export function addedPermission(name: string): AddedPermission {
  if (isPermissionName(name)) return name
  throw new Error(`Expected a permission such as toy.things.get, got ${JSON.stringify(name)}.`)
}

function isPermissionName(name: string): name is AddedPermission {
  return /^[a-z][a-z0-9]*\.[A-Za-z]+\.[A-Za-z]+$/.test(name)
}

export interface Role {
  readonly title: string
  readonly permissions: ReadonlySet<string>
  /** Kinds of resources whose policies may grant it, beside a project's: of roles that products add. */
  readonly grantableOn?: ReadonlySet<string>
}

/** Roles by full name: `roles/run.invoker`, `projects/p/roles/caller`. */
export type Roles = ReadonlyMap<string, Role>

/** Roles beside Google's table. */
export interface MoreRoles {
  /** Custom ones. */
  readonly roles?: Roles
  /** Those of products that add their own, and what roles of the table hold of such products. */
  readonly added?: Roles
}

/**
 * What carries a policy: a Cloud Run service, a service account, a project (folders and organizations alike), or a kind that
 * a product adds, on which its own roles say whether they can be granted.
 */
export type ResourceKind = 'service' | 'serviceAccount' | 'project' | (string & {})

export const PREDEFINED_ROLES: Roles = new Map(
  Object.entries(table.titles).map(([name, title]) => {
    const held = Object.entries(table.permissions).filter(([, roles]) => roles.includes(name))
    return [`roles/${name}`, { title, permissions: new Set(held.map(([permission]) => permission)) }]
  }),
)

/** Services of which every role is in the table: another role of theirs does not exist. */
const COMPLETE_SERVICES: ReadonlySet<string> = new Set(table.complete)
const CUSTOM_ROLE = /^(?:projects|organizations)\/[^/\s]+\/roles\/[\w.]+$/
const FOREIGN_ROLE = /^roles\/([a-z][a-z0-9]*)(?:\.[A-Za-z][A-Za-z0-9]*)+$/
const BASIC_ROLES: ReadonlySet<string> = new Set(['roles/owner', 'roles/editor', 'roles/viewer'])

// Inferred from the role reference ("lowest-level resource where you can grant this role"); basic and security roles
// are offered on every resource that has a policy.
const ANYWHERE = [...BASIC_ROLES, 'roles/iam.securityAdmin', 'roles/iam.securityReviewer']
const GRANTABLE: Readonly<Record<string, ReadonlySet<string>>> = {
  service: new Set([
    ...ANYWHERE,
    'roles/run.admin',
    'roles/run.developer',
    'roles/run.editor',
    'roles/run.invoker',
    'roles/run.servicesInvoker',
    'roles/run.viewer',
  ]),
  serviceAccount: new Set([
    ...ANYWHERE,
    'roles/iam.serviceAccountAdmin',
    'roles/iam.serviceAccountDeleter',
    'roles/iam.serviceAccountKeyAdmin',
    'roles/iam.serviceAccountOpenIdTokenCreator',
    'roles/iam.serviceAccountTokenCreator',
    'roles/iam.serviceAccountUser',
    'roles/iam.serviceAccountViewer',
    'roles/iam.workloadIdentityUser',
  ]),
}

/** The usual role for a permission, where the narrowest one is not what Google's pages tell people to grant. */
const USUAL_ROLE: ReadonlyMap<string, string> = new Map([
  ['run.routes.invoke', 'roles/run.invoker'],
  ['iam.serviceAccounts.actAs', 'roles/iam.serviceAccountUser'],
  ['iam.serviceAccounts.getAccessToken', 'roles/iam.serviceAccountTokenCreator'],
])

/** A role by its full name: predefined ones first, then those passed in. */
export function findRole(name: string, more: MoreRoles = {}): Role | undefined {
  return PREDEFINED_ROLES.get(name) ?? broughtRole(name, more)
}

/** What is passed in under a name. A custom role cannot stand in for one of Google's. */
export function broughtRole(name: string, { roles, added }: MoreRoles): Role | undefined {
  return (isCustomRole(name) ? roles : added)?.get(name)
}

/** Does the role hold the permission, by Google's table or by what is passed in? */
export function permits(role: string, permission: string, more: MoreRoles): boolean {
  return [PREDEFINED_ROLES.get(role), broughtRole(role, more)].some(
    (found) => found?.permissions.has(permission) === true,
  )
}

export function isCustomRole(name: string): boolean {
  return CUSTOM_ROLE.test(name)
}

/** Owner, Editor and Viewer. */
export function isBasicRole(name: string): boolean {
  return BASIC_ROLES.has(name)
}

export function isKnownPermission(permission: string): permission is Permission {
  return Object.hasOwn(table.permissions, permission)
}

/**
 * Can this role be granted in a policy of such a resource? If not, setIamPolicy answers 400 (facts 6.9).
 *
 * On a project, a role of a service that the emulator does not serve is taken on trust: it exists at Google, as far as we
 * know, and permits nothing here.
 */
export function grantableOn(role: string, kind: ResourceKind, more: MoreRoles = {}): boolean {
  const brought = broughtRole(role, more)
  if (isCustomRole(role)) return brought !== undefined
  if (kind !== 'project')
    return (GRANTABLE[kind]?.has(role) ?? ANYWHERE.includes(role)) || brought?.grantableOn?.has(kind) === true
  // Legacy bucket and object roles are for buckets alone.
  if (PREDEFINED_ROLES.has(role)) return !role.startsWith('roles/storage.legacy')
  const [, service] = FOREIGN_ROLE.exec(role) ?? []
  return brought !== undefined || (service !== undefined && !COMPLETE_SERVICES.has(service))
}

/** The role to suggest to someone who lacks this permission: the usual one, or else the narrowest that can be granted there. */
export function suggestedRole(permission: string, kind: ResourceKind): string | undefined {
  const usual = USUAL_ROLE.get(permission)
  if (usual !== undefined && grantableOn(usual, kind)) return usual
  let best: string | undefined
  let fewest = Number.POSITIVE_INFINITY
  for (const [name, { permissions }] of PREDEFINED_ROLES) {
    if (!permissions.has(permission) || permissions.size >= fewest) continue
    if (name.toLowerCase().endsWith('serviceagent') || !grantableOn(name, kind)) continue
    best = name
    fewest = permissions.size
  }
  return best
}
