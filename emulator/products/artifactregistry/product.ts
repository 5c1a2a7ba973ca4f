import type { RestProduct } from '../../rest/product.ts'
import { repositories as collection } from '../../state/repositories.ts'

export const artifactregistry: RestProduct = {
  name: 'artifactregistry',
  api: { name: 'artifactregistry.googleapis.com', title: 'Artifact Registry API', enabled: 'on request' },
  hosts: ['artifactregistry.googleapis.com'],
  refused: ['gcr.io', '*.gcr.io', 'pkg.dev', '*.pkg.dev'],
  endpointOverrides: ['ARTIFACTREGISTRY'],
  serves: ['repositories'],
  leavesOut: [
    'packages, versions, tags and files: images are in the Docker engine',
    'policies of a repository: the project’s decide',
    'the registry protocol (gcr.io, pkg.dev), and so gcloud container images',
  ],
  collections: [collection],
  async serve({ routes, repositories, ...google }) {
    const { artifactRegistry } = await import('./artifactregistry.ts')
    artifactRegistry(routes, google, repositories)
    return {}
  },
}
