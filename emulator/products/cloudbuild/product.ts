import type { RestProduct } from '../../rest/product.ts'
import { builds as collection } from './builds.ts'

export const cloudbuild: RestProduct = {
  name: 'cloudbuild',
  api: { name: 'cloudbuild.googleapis.com', title: 'Cloud Build API', enabled: 'initially' },
  hosts: ['cloudbuild.googleapis.com'],
  endpointOverrides: ['CLOUDBUILD'],
  serves: ['builds from an uploaded source, and their operations'],
  leavesOut: [
    'builders other than Docker’s, buildpacks',
    'triggers, worker pools, connections',
    'sources that are not in Cloud Storage',
  ],
  collections: [collection],
  async serve({ routes, state, repositories, builds, log }) {
    if (!builds) return {}
    const { cloudBuild } = await import('./cloudbuild.ts')
    const { BuildRunner } = await import('./runner.ts')
    const runner = new BuildRunner({ ...builds, repositories, state, log })
    cloudBuild(routes, { state, objects: builds.objects, runner })
    return {
      start: async () => runner.restore(),
      idle: () => runner.idle(),
      close: async () => runner.close(),
    }
  },
}
