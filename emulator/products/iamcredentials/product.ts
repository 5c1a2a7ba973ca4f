import type { RestProduct } from '../../rest/product.ts'

export const iamcredentials: RestProduct = {
  name: 'iamcredentials',
  api: {
    name: 'iamcredentials.googleapis.com',
    title: 'IAM Service Account Credentials API',
    enabled: 'initially',
    scopes: ['https://www.googleapis.com/auth/iam'],
  },
  hosts: ['iamcredentials.googleapis.com'],
  endpointOverrides: ['IAMCREDENTIALS'],
  serves: ['access tokens, ID tokens and signatures in a service account’s name'],
  leavesOut: ['trust boundaries other than none'],
  async serve({ routes, ...google }) {
    const { iamCredentials } = await import('./iamcredentials.ts')
    iamCredentials(routes, google)
    return {}
  },
}
