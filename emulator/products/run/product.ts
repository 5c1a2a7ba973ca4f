import type { RestProduct } from '../../rest/product.ts'
import { revisions, services } from '../../state/collections.ts'

export const run: RestProduct = {
  name: 'run',
  api: { name: 'run.googleapis.com', title: 'Cloud Run Admin API', enabled: 'initially' },
  hosts: ['run.googleapis.com', 'REGION-run.googleapis.com'],
  endpointOverrides: ['RUN'],
  serves: ['services, their policies and revisions (v1 and v2)', 'operations', 'locations'],
  leavesOut: [
    'Identity-Aware Proxy, Binary Authorization, volumes, sidecars, probes, GPUs: taken, and said to have no effect in the condition `NotEmulated` and the log',
    'jobs, executions, tasks',
    'worker pools',
    'instances',
    'domain mappings',
  ],
  collections: [services, revisions],
  async serve({ routes, runtime, ...google }) {
    const { Deployer } = await import('./deployer.ts')
    const { runOperations } = await import('./operations.ts')
    const { runV1 } = await import('./v1.ts')
    const { runV2 } = await import('./v2.ts')
    const deployer = new Deployer({ ...google, runtime })
    runV1(routes, { ...google, deployer })
    runV2(routes, { ...google, deployer })
    runOperations(routes, google)
    return { start: () => deployer.restore(), idle: () => deployer.idle() }
  },
}
