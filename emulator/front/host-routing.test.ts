import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { callApi, manifest, SERVICES, signIn } from '../emulator.fixture.ts'
import { HOST, openWire, type WireRig } from './wire.fixture.ts'

setDefaultTimeout(20_000)

/** Open to everyone is `api` only; `billing` answers 403. */
const BILLING = HOST.replace('api', 'billing')
let rig: WireRig
beforeAll(async () => {
  rig = await openWire()
  const { accessToken } = await signIn(rig.emulator.url)
  await callApi(rig.emulator.url, accessToken, 'POST', SERVICES, manifest('billing'))
})
afterAll(() => rig.close())

const ask = async (way: Parameters<WireRig['talk']>[0], target: string, host: string) =>
  (await rig.talk(way, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)) ?? 'nothing'
const NOBODY = 'HTTP/1.1 404 Not Found'

test('facts 7.13: towards a service Host alone decides, whatever name the connection was made to', async () => {
  for (const way of ['main', 'instance'] as const) {
    expect(await ask(way, `http://${BILLING}/`, HOST)).toStartWith('HTTP/1.1 200')
    expect(await ask(way, `http://${HOST}/`, BILLING)).toStartWith('HTTP/1.1 403')
    expect(await ask(way, `http://${HOST}/`, `${HOST}:80`)).toStartWith('HTTP/1.1 200')
  }
  for (const way of ['connect', 'connect-tls', 'tls'] as const) {
    expect(await ask(way, '/', BILLING)).toStartWith('HTTP/1.1 403')
    expect(await ask(way, '/', HOST)).toStartWith('HTTP/1.1 200')
  }
  expect(rig.emulator.state.decisions.list().map(({ service }) => service)).toContain('billing')
})

test("facts 7.13: a Host that is nobody's, on a connection to Google: Google's 404 page", async () => {
  for (const host of ['www.example.com', 'localhost', '127.0.0.1', `nobody-${HOST}`])
    for (const [way, target] of [
      ['main', `http://${HOST}/`],
      ['instance', `http://${HOST}/`],
      ['connect', '/'],
      ['connect-tls', '/'],
    ] as const) {
      const answer = await ask(way, target, host)
      expect([way, host, answer.split('\r\n')[0]]).toEqual([way, host, NOBODY])
      expect(answer).toContain('<h2>The requested URL was not found on this server.</h2>')
      expect(answer).toContain('\r\nserver: Google Frontend\r\n')
    }
  expect(rig.emulator.state.decisions.list().at(-1)).toMatchObject({ status: 404, allowed: false })
})

test('at the emulator itself it is told what to do', async () => {
  const answer = await ask('main', '/computeMetadata/v1/', 'www.example.com')
  expect(answer).toStartWith('HTTP/1.1 403')
  expect(answer).toContain('--alias www.example.com')
})

test('a port that stands for a service takes every Host', async () => {
  for (const host of ['www.example.com', BILLING])
    expect(await ask('published', '/', host)).toStartWith('HTTP/1.1 200')
})

test('as a proxy to other servers the URL decides', async () => {
  const at = `127.0.0.1:${rig.container.port}`
  expect(await ask('main', `http://${at}/`, BILLING)).toStartWith('HTTP/1.1 200')
})

test('a WebSocket is routed in the same way', async () => {
  const upgrade = (target: string, host: string) =>
    rig.talk(
      'main',
      `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    )
  expect(await upgrade(`http://${HOST}/`, BILLING)).toStartWith('HTTP/1.1 403')
  expect(await upgrade(`http://${HOST}/`, 'www.example.com')).toStartWith(NOBODY)
})
