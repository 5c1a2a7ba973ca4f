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
  serves: ['the entries of services and of the platform, by filter', 'writing entries'],
  leavesOut: [
    'sinks, metrics, buckets, views, tailing, lists of logs',
    '`SEARCH()` and other functions of filters',
  ],
  async serve({ routes, ...google }) {
    const { logging } = await import('./logging.ts')
    logging(routes, google)
    return {}
  },
}
