/** Google's own libraries in Go and Python, as they come: a 403 becomes a 200 by a grant, both ways. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { type CloudRun, connectEmulator } from '../../emulator/testing/testing.ts'
import { composeUp, engineHas, type Up } from '../compose.fixture.ts'

setDefaultTimeout(60_000)
/** A first build downloads modules and packages. Milliseconds. */
const BUILD = 15 * 60_000

const possible = await engineHas(
  'services in Go and Python that call each other',
  'golang:1.26-bookworm',
  'python:3.11-slim',
  'gcr.io/distroless/base-debian12:nonroot',
  'oven/bun:1.4.5-slim',
)

test('the emulator is under ten lines, and without them the file is the services alone', () => {
  const lines = readFileSync(join(import.meta.dir, 'docker-compose.yml'), 'utf8').split('\n')
  const added = lines.filter((line) => line.endsWith('# +'))
  expect(added.length).toBeLessThan(10)
  const without = lines.filter((line) => !line.endsWith('# +')).join('\n')
  expect(Object.keys(parse(without).services)).toEqual(['orders', 'billing'])
  expect(without.replace(/^\s*#.*/gm, '')).not.toMatch(/google|metadata|invoker|ca:/i)
})

describe.skipIf(!possible)('services in Go and Python', () => {
  let up: Up
  let cloud: CloudRun
  const urls = { orders: '', billing: '' }
  beforeAll(async () => {
    up = await composeUp('two-languages', { EMULATOR_PORT: '0', ORDERS_PORT: '0', BILLING_PORT: '0' })
    cloud = await connectEmulator(await up.url('google', 80))
    urls.orders = await up.url('orders', 8080)
    urls.billing = await up.url('billing', 8080)
    // A container that runs may not listen yet.
    for (const url of Object.values(urls)) while (!(await answers(url))) await Bun.sleep(50)
  }, BUILD)
  afterAll(() => up?.down())

  const answers = (url: string) =>
    fetch(url).then(
      () => true,
      () => false,
    )
  const said = async (service: 'orders' | 'billing') => (await fetch(urls[service])).text()

  test.each([
    ['orders', 'billing', 'hello from billing, in Python\n'],
    ['billing', 'orders', 'hello from orders, in Go\n'],
  ] as const)('%s calls %s: 403, and 200 once that is granted', async (caller, called, hello) => {
    expect(await said(caller)).toStartWith(`${called} answered 403: \n<html>`)
    const [decision] = (await cloud.decisions(called)).slice(-1)
    expect(decision?.caller?.member).toBe(`serviceAccount:${caller}-sa@demo-project.iam.gserviceaccount.com`)

    await cloud.grant(called, `${caller}-sa`)
    expect(await said(caller)).toBe(`${called} answered 200: ${hello}`)
  })
})
