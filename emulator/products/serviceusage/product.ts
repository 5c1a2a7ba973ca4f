import type { RestProduct } from '../../rest/product.ts'

export const serviceusage: RestProduct = {
  name: 'serviceusage',
  api: {
    name: 'serviceusage.googleapis.com',
    title: 'Service Usage API',
    // Inferred: it always answers, or nothing could ever be enabled.
    enabled: 'always',
  },
  hosts: ['serviceusage.googleapis.com'],
  endpointOverrides: ['SERVICEUSAGE'],
  serves: ['which APIs a project has enabled'],
  leavesOut: [
    'quotas, service identities, API keys',
    'which names of APIs Google has: any name of the form `name.googleapis.com` can be enabled',
  ],
  async serve({ routes, catalogue, ...google }) {
    const { serviceUsage } = await import('./serviceusage.ts')
    serviceUsage(routes, google, catalogue)
    return {}
  },
}
