import type { RestProduct } from '../../rest/product.ts'
import { projects } from '../../state/collections.ts'

export const resourcemanager: RestProduct = {
  name: 'resourcemanager',
  api: {
    name: 'cloudresourcemanager.googleapis.com',
    title: 'Cloud Resource Manager API',
    enabled: 'initially',
  },
  hosts: ['cloudresourcemanager.googleapis.com'],
  endpointOverrides: ['CLOUDRESOURCEMANAGER'],
  serves: ['projects and their policies (v1 and v3)'],
  leavesOut: ['folders, organizations, tags, liens', 'making and deleting projects'],
  collections: [projects],
  async serve({ routes, ...google }) {
    const { cloudResourceManager } = await import('./resourcemanager.ts')
    cloudResourceManager(routes, google)
    return {}
  },
}
