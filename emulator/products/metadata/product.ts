import type { OwnProduct } from '../../rest/product.ts'

export const metadata: OwnProduct = {
  name: 'metadata',
  hosts: ['metadata.google.internal', 'metadata', '169.254.169.254', '*.metadata.google.internal'],
  // Clients find a metadata server by `GET /`.
  paths: /^\/(?:computeMetadata|$)/,
  serves: ['the project, the region and the identity of a Cloud Run instance, its tokens'],
  leavesOut: ['instance attributes', '`wait_for_change`, ETags'],
  async serve({ state, runtime }) {
    const { createMetadata } = await import('./metadata.ts')
    return { app: createMetadata({ state, runtime }) }
  },
}
