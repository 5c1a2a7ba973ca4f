import { afterAll, beforeAll, expect, test } from 'bun:test'
import { type CloudRun, startEmulator } from 'invoker/testing'

// The service under test, in this process.
const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('an invoice\n') })
let cloud: CloudRun

beforeAll(async () => {
  cloud = await startEmulator({
    services: { billing: { upstream: server.url } },
    serviceAccounts: ['orders-sa'],
  })
})

afterAll(async () => {
  await cloud.close()
  await server.stop()
})

test('orders may call billing only once that is granted', async () => {
  expect((await cloud.call('billing', { as: 'orders-sa' })).status).toBe(403)
  await cloud.grant('billing', 'orders-sa', 'roles/run.invoker')
  expect((await cloud.call('billing', { as: 'orders-sa' })).status).toBe(200)
})

test('a token lives for an hour', async () => {
  const authorization = `Bearer ${await cloud.token({ as: 'orders-sa', audience: 'billing' })}`
  const call = () => cloud.call('billing', { headers: { authorization } })
  expect((await call()).status).toBe(200)
  await cloud.clock.advance(61 * 60_000)
  expect((await call()).status).toBe(401)
})
