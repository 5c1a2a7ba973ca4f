/** The collections of the state: what each holds, what it is found by, and what it survives. */
import type { SigningKey } from '../tokens/keys.ts'
import type { CollectionDeclaration } from './collection.ts'
import { serviceKey } from './names.ts'
import type {
  AccessToken,
  AuthorizationCode,
  Operation,
  Project,
  RefreshToken,
  Revision,
  Service,
  ServiceAccount,
  ServiceAccountKey,
  User,
  WorkloadIdentityPool,
  WorkloadIdentityPoolProvider,
} from './resources.ts'

/** What a project is made of goes with a reset and outlives a restart. */
const PROJECTS_OWN = { survivesReset: false, survivesRestart: true } as const

/** By id. */
export const projects: CollectionDeclaration<Project, 'number'> = {
  name: 'projects',
  ...PROJECTS_OWN,
  indexes: { number: ({ projectNumber }) => projectNumber },
}

/** By email. */
export const serviceAccounts: CollectionDeclaration<ServiceAccount, 'uniqueId'> = {
  name: 'serviceAccounts',
  ...PROJECTS_OWN,
  indexes: { uniqueId: ({ uniqueId }) => uniqueId },
}

/** Accounts that may be undeleted, by unique id. */
export const deletedServiceAccounts: CollectionDeclaration<ServiceAccount> = {
  name: 'deletedServiceAccounts',
  ...PROJECTS_OWN,
}

/** By key id. */
export const serviceAccountKeys: CollectionDeclaration<ServiceAccountKey, 'account'> = {
  name: 'serviceAccountKeys',
  ...PROJECTS_OWN,
  indexes: { account: ({ account }) => account },
}

/** By name. */
export const workloadIdentityPools: CollectionDeclaration<WorkloadIdentityPool> = {
  name: 'workloadIdentityPools',
  ...PROJECTS_OWN,
}

/** By name. */
export const workloadIdentityPoolProviders: CollectionDeclaration<WorkloadIdentityPoolProvider> = {
  name: 'workloadIdentityPoolProviders',
  ...PROJECTS_OWN,
}

/** By email. */
export const users: CollectionDeclaration<User, 'uniqueId'> = {
  name: 'users',
  ...PROJECTS_OWN,
  indexes: { uniqueId: ({ uniqueId }) => uniqueId },
}

/** By {@link serviceKey}. */
export const services: CollectionDeclaration<Service, 'name'> = {
  name: 'services',
  ...PROJECTS_OWN,
  // Several regions may have one of the name.
  indexes: { name: ({ name }) => name },
}

/** By {@link serviceKey} of the revision's own name. */
export const revisions: CollectionDeclaration<Revision, 'service' | 'name'> = {
  name: 'revisions',
  ...PROJECTS_OWN,
  indexes: {
    service: ({ project, region, service }) => serviceKey({ project, region, name: service }),
    name: ({ name }) => name,
  },
}

/** By name. */
export const operations: CollectionDeclaration<Operation> = { name: 'operations', ...PROJECTS_OWN }

/** By the SHA-256 of the token. */
export const accessTokens: CollectionDeclaration<AccessToken> = { name: 'accessTokens', ...PROJECTS_OWN }

/** By the SHA-256 of the code. */
export const authorizationCodes: CollectionDeclaration<AuthorizationCode> = {
  name: 'authorizationCodes',
  ...PROJECTS_OWN,
}

/** By the SHA-256 of the token. */
export const refreshTokens: CollectionDeclaration<RefreshToken> = { name: 'refreshTokens', ...PROJECTS_OWN }

/** By `kid`. Clients keep what they have read of them, so a reset leaves them. */
export const signingKeys: CollectionDeclaration<SigningKey> = {
  name: 'signingKeys',
  survivesReset: true,
  survivesRestart: true,
}
