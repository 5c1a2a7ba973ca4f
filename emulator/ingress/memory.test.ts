/** What is kept of requests: bounded, however long their heads are. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { weightOf } from '../decision/decision.ts'
import { openRig, type Rig } from './ingress.fixture.ts'

let rig: Rig
let host: string
beforeAll(async () => {
  rig = await openRig()
  host = rig.deploy('closed').host
})
afterAll(() => rig.close())

const KIB = 1024

test('a decision holds no more than the beginning of what a caller made long, with a mark', async () => {
  const long = 'x'.repeat(200 * KIB)
  await rig.call({ host, path: `/${long}` })
  expect(rig.lastDecision()).toMatchObject({ status: 403 })
  expect(rig.lastDecision().path).toBe(`/${'x'.repeat(1023)}… (204801 characters)`)
  const [entry] = rig.state.logs.list().slice(-1)
  expect(entry?.httpRequest?.requestUrl).toEndWith('… (204801 characters)')

  await rig.call({ host: `${long}.run.app` })
  expect(rig.lastDecision()).toMatchObject({ status: 404 })
  const token = await rig.token(rig.account('long'), long.slice(0, 100 * KIB))
  await rig.call({ host, headers: ['Authorization', `Bearer ${token}`] })
  expect(rig.lastDecision()).toMatchObject({ status: 401 })
  await rig.call({ host, headers: ['Authorization', `Basic ${long}`] })
  for (const decision of rig.state.decisions.list()) expect(weightOf(decision)).toBeLessThan(16 * KIB)
})

test('thousands of requests with long heads do not stay in memory', async () => {
  const long = 'y'.repeat(220 * KIB)
  const heads: readonly { readonly path?: string; readonly headers?: readonly string[] }[] = [
    { path: `/${long}` },
    { path: `/a?${long}` },
    { headers: ['Authorization', `Basic ${long}`] },
    { headers: ['Traceparent', `01-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01-${long}`] },
  ]
  const round = async (times: number) => {
    for (let time = 0; time < times; time++)
      await Promise.all(heads.map((head) => rig.call({ host, ...head })))
    Bun.gc(true)
    return process.memoryUsage().rss
  }
  const before = await round(20)
  const after = await round(150)
  // 600 heads of 220 KiB are 129 MiB.
  expect((after - before) / KIB / KIB).toBeLessThan(50)
}, 60_000)
