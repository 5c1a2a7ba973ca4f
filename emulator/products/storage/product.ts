import type { RestProduct } from '../../rest/product.ts'
import { buckets, objects, uploads } from '../../state/stored-objects.ts'

export const storage: RestProduct = {
  name: 'storage',
  api: { name: 'storage.googleapis.com', title: 'Cloud Storage API', enabled: 'initially' },
  hosts: ['storage.googleapis.com'],
  endpointOverrides: ['STORAGE'],
  serves: ['buckets', 'objects: uploads, downloads, copies'],
  leavesOut: [
    'policies and ACLs of buckets',
    'composing, holds, versions, notifications, making managed folders',
    'the XML API, but for downloads',
  ],
  collections: [buckets, objects, uploads],
  async serve({ app, state, api, builds }) {
    if (!builds) return {}
    const { storage: register } = await import('./storage.ts')
    register(app, { state, product: storage, api, objects: builds.objects })
    return {}
  },
}
