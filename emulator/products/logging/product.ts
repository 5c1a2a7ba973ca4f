import type { RestProduct } from '../../rest/product.ts'

export const logging: RestProduct = {
  name: 'logging',
  api: {
    name: 'logging.googleapis.com',
    title: 'Cloud Logging API',
    enabled: 'initially',
    scopes: ['https://www.googleapis.com/auth/logging.admin', 'https://www.googleapis.com/auth/logging.read'],
  },
  hosts: ['logging.googleapis.com'],
  endpointOverrides: ['LOGGING'],
  serves: ['the entries of services and of the platform, by filter'],
  leavesOut: ['sinks, metrics, buckets, views, tailing', 'logs of anything but services'],
  async serve({ routes, ...google }) {
    const { logging } = await import('./logging.ts')
    logging(routes, google)
    return {}
  },
}
