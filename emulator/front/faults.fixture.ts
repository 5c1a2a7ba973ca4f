/**
 * A program for faults.test.ts: an emulator in which every guarded listener throws, one after the other, while all kinds of
 * requests are made. Prints which listeners threw, and each request that had no end.
 */
import { readFileSync } from 'node:fs'
import { plugin } from 'bun'

/** Throws where the listener that was registered here is to throw. */
let strike: (site: string) => void = () => {}
Reflect.set(globalThis, 'strike', (site: string) => strike(site))
Reflect.set(globalThis, 'siteOf', () => {
  const frames = (new Error().stack ?? '').split('\n').map((line) => /(\w[\w-]*\.ts:\d+)/.exec(line)?.[1])
  const outside = frames.filter((frame) => frame !== undefined && !/^(?:guard|fixture)\.ts/.test(frame))
  return outside.slice(0, 2).join(' < ')
})

// The guard as it is, but for a place where the guarded work may throw.
plugin({
  name: 'strikes',
  setup(build) {
    build.onLoad({ filter: /wire\/guard\.ts$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8')
      const armed = source
        .replace(
          '  return function guardedListener',
          '  const site = siteOf()\n  return function guardedListener',
        )
        .replace('() => work(...args),', '() => { strike(site); return work(...args) },')
      if (armed.split('strike').length !== 2) throw new Error('guard.ts is not written as it was')
      return {
        contents: `declare const siteOf: () => string, strike: (site: string) => void\n${armed}`,
        loader: 'ts',
      }
    })
  },
})

process.on('uncaughtException', (error) => report({ uncaught: String(error.stack) }))
process.on('unhandledRejection', (error) => report({ uncaught: String(error) }))

const { HOST, openWire, WAYS } = await import('./wire.fixture.ts')
const rig = await openWire()
const at = `127.0.0.1:${rig.container.port}`
const talk: typeof rig.talk = (way, bytes, options) => rig.talk(way, bytes, { patience: 5000, ...options })
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const CLOSE = 'Connection: close\r\n'
const POSTED = 'Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n'
const SOCKET = 'Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

/** What a container may do, so that every listener has something to hear. */
const ANSWERS = [
  OK,
  'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  `HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1_000_000)}`,
  'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut',
  'nonsense',
]

const REQUESTS: readonly (() => Promise<string | undefined>)[] = [
  ...WAYS.map((way) => () => talk(way, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n${CLOSE}\r\n`)),
  () => talk('main', `POST / HTTP/1.1\r\nHost: ${HOST}\r\n${CLOSE}${POSTED}`),
  () => talk('main', `GET / HTTP/1.1\r\nHost: ${HOST}\r\n${SOCKET}`, { half: true }),
  () => talk('main', `GET http://${at}/ HTTP/1.1\r\nHost: ${at}\r\n${CLOSE}\r\n`),
  () => talk('main', `POST http://${at}/ HTTP/1.1\r\nHost: ${at}\r\n${CLOSE}${POSTED}`),
  () => talk('main', `GET http://${at}/ HTTP/1.1\r\nHost: ${at}\r\n${SOCKET}`, { half: true }),
  () =>
    talk('main', `CONNECT ${at} HTTP/1.1\r\nHost: ${at}\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n`, {
      half: true,
    }),
  () => talk('main', 'CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: a\r\n\r\n'),
  () =>
    talk(
      'main',
      `GET / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n${CLOSE}\r\nhi`,
    ),
  () =>
    talk('main', `POST /x HTTP/1.1\r\nHost: nobody.us-central1.run.app\r\nContent-Length: 5\r\n\r\nhi`, {
      half: true,
    }),
  () => talk('main', 'nonsense\r\n\r\n'),
  () => talk('tls', 'nonsense\r\n\r\n'),
  push,
]

async function push(): Promise<string | undefined> {
  const body = '{"product":"scheduler","service":"api"}'
  const head = `POST /_emulator/push HTTP/1.1\r\nHost: localhost\r\n${CLOSE}Content-Type: application/json\r\n`
  return talk('main', `${head}Content-Length: ${body.length}\r\n\r\n${body}`)
}

/** Every request against every answer. Returns those that had no end. */
async function round(): Promise<string[]> {
  const endless: string[] = []
  for (const [kind, answer] of ANSWERS.entries()) {
    rig.container.answer = (socket) => {
      socket.write(answer, 'latin1')
      setTimeout(() => socket.end(), 10)
    }
    const ends = await Promise.all(REQUESTS.map((request) => request().catch(() => '')))
    for (const [index, end] of ends.entries()) {
      if (end === undefined) endless.push(`request ${index} to answer ${kind}`)
    }
  }
  return endless
}

function report(told: Readonly<Record<string, unknown>>): never {
  process.stdout.write(`${JSON.stringify(told)}\n`)
  process.exit(told.uncaught === undefined ? 0 : 1)
}

const sites = new Set<string>()
strike = (site) => void sites.add(site)
const healthy = await round()
const struck: string[] = []
const endless: string[] = healthy.map((request) => `none: ${request}`)
for (const chosen of sites) {
  let times = 0
  strike = (site) => {
    if (site !== chosen) return
    times += 1
    throw new Error(`struck at ${site}`)
  }
  endless.push(...(await round()).map((request) => `${chosen}: ${request}`))
  if (times > 0) struck.push(chosen)
  strike = () => {}
  rig.container.answer = (socket) => socket.end(OK)
  const next = await talk('main', `GET / HTTP/1.1\r\nHost: ${HOST}\r\n${CLOSE}\r\n`)
  if (!next?.endsWith('\r\n\r\nok')) endless.push(`${chosen}: the request after it`)
}
report({ sites: [...sites], struck, endless })
