import type { RestProduct } from '../../rest/product.ts'

export const compute: RestProduct = {
  name: 'compute',
  api: {
    name: 'compute.googleapis.com',
    title: 'Compute Engine API',
    enabled: 'initially',
    scopes: ['https://www.googleapis.com/auth/compute', 'https://www.googleapis.com/auth/compute.readonly'],
  },
  hosts: ['compute.googleapis.com'],
  endpointOverrides: ['COMPUTE'],
  serves: ['regions'],
  leavesOut: ['everything else: networks, machines, load balancers'],
  async serve({ routes }) {
    const { compute } = await import('./compute.ts')
    compute(routes)
    return {}
  },
}
