import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CloudRunEmulatorContainer, type StartedCloudRunEmulatorContainer } from 'invoker/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'

// The services under test, on a port of this machine: here one that stands for both.
const server = createServer((_request, response) => response.end('an invoice\n'))
let cloud: StartedCloudRunEmulatorContainer

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  cloud = await new CloudRunEmulatorContainer()
    .withService('orders', { upstream: port, serviceAccount: 'orders-sa' })
    .withService('billing', { upstream: port })
    .start()
}, 60_000)

afterAll(async () => {
  await cloud?.close()
  server.close()
})

test('orders may call billing only once that is granted', async () => {
  expect((await cloud.call('billing', { as: 'orders-sa' })).status).toBe(403)

  await cloud.grant('billing', 'orders-sa', 'roles/run.invoker')

  const response = await cloud.call('billing', { as: 'orders-sa' })
  expect(response.status).toBe(200)
  expect(await response.text()).toBe('an invoice\n')
})

test('a refusal says why', async () => {
  await cloud.reset()
  await cloud.call('billing', { as: 'orders-sa' })
  const [decision] = await cloud.decisions('billing')
  expect(decision?.why).toContain('gcloud run services add-iam-policy-binding billing')
})
