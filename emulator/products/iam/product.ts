import type { RestProduct } from '../../rest/product.ts'
import {
  deletedServiceAccounts,
  serviceAccountKeys,
  serviceAccounts,
  workloadIdentityPoolProviders,
  workloadIdentityPools,
} from '../../state/collections.ts'

export const iam: RestProduct = {
  name: 'iam',
  api: {
    name: 'iam.googleapis.com',
    title: 'Identity and Access Management (IAM) API',
    enabled: 'initially',
  },
  hosts: ['iam.googleapis.com'],
  endpointOverrides: ['IAM'],
  serves: ['service accounts, their policies and keys', 'workload identity pools and their OIDC providers'],
  leavesOut: [
    'roles, predefined and custom',
    'deny policies, principal access boundaries',
    'workforce pools; AWS, SAML and X.509 providers',
  ],
  collections: [
    serviceAccounts,
    deletedServiceAccounts,
    serviceAccountKeys,
    workloadIdentityPools,
    workloadIdentityPoolProviders,
  ],
  async serve({ routes, ...google }) {
    const { iam } = await import('./iam.ts')
    const { serviceKeys } = await import('./service-account-keys.ts')
    const { workloadIdentityPools } = await import('./workload-identity-pools.ts')
    iam(routes, google)
    serviceKeys(routes, google)
    workloadIdentityPools(routes, google)
    return {}
  },
}
