import { expect, test } from 'bun:test'
import { ConfigError } from './environment.ts'
import { listen } from './serve.ts'
import { connectTo } from './socket.fixture.ts'

/** A listener whose requests come to `arrived` and are answered when `release` is called. */
async function held() {
  const arrived = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const listener = await listen(
    async () => {
      arrived.resolve()
      await gate.promise
      return new Response('finished')
    },
    '127.0.0.1',
    0,
  )
  return {
    listener,
    url: `http://127.0.0.1:${listener.port}/`,
    arrived: arrived.promise,
    release: gate.resolve,
  }
}

test('draining lets the requests in flight finish, and refuses new connections', async () => {
  const { listener, url, arrived, release } = await held()
  const inFlight = fetch(url)
  await arrived
  const drained = listener.drain()
  while (await isTaken(listener.port)) await Bun.sleep(20)
  release()
  expect(await (await inFlight).text()).toBe('finished')
  expect(await drained).toBe(true)
})

function isTaken(port: number): Promise<boolean> {
  return connectTo(port).then(
    (caller) => {
      caller.end()
      return true
    },
    () => false,
  )
}

test('of callers that ask again and again none is cut: answers in the drain say Connection: close', async () => {
  const listener = await listen(() => new Response('finished'), '127.0.0.1', 0)
  const asking = Promise.all(
    Array.from({ length: 64 }, async () => {
      const caller = await connectTo(listener.port)
      for (let answer = ''; !/\r\nconnection: close\r\n/i.test(answer); ) {
        await Bun.sleep(5)
        caller.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        answer = await caller.until('finished')
      }
      return caller.all()
    }),
  )
  await Bun.sleep(50)
  expect(await listener.drain()).toBe(true)
  // After the one that said so nothing came but the end.
  expect(new Set(await asking)).toEqual(new Set(['']))
})

test('before the drain a connection is kept for the next request', async () => {
  const { listener, release } = await held()
  release()
  const caller = await connectTo(listener.port)
  for (const _ of [1, 2]) {
    caller.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(await caller.until('finished')).not.toMatch(/connection: close/i)
  }
  await listener.drain()
})

test.each([
  ['a length', 'Content-Length: 100000000', 'x'.repeat(1000)],
  ['no length', 'Transfer-Encoding: chunked', `3e8\r\n${'x'.repeat(1000)}\r\n`],
])(
  'a body of %s that nobody reads ends with the answer, however long it would go on',
  async (_, framing, part) => {
    const { listener, release } = await held()
    release()
    const caller = await connectTo(listener.port)
    caller.write(`POST / HTTP/1.1\r\nHost: x\r\n${framing}\r\n\r\n`)
    const sending = setInterval(() => caller.write(part), 10)
    const answer = await caller.all()
    clearInterval(sending)
    expect(answer).toMatch(/\r\nconnection: close\r\n/i)
    expect(answer).toEndWith('finished')
    await listener.drain()
  },
)

test('a caller that has closed its half of the connection gets its answer, however long that takes', async () => {
  const { listener, arrived, release } = await held()
  const caller = await connectTo(listener.port)
  caller.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello')
  caller.end()
  await arrived
  await Bun.sleep(50)
  release()
  expect(await caller.all()).toEndWith('finished')
  await listener.drain()
})

test('draining gives up on a request that does not end', async () => {
  const { listener, url, arrived } = await held()
  const inFlight = fetch(url).then(
    () => 'answered',
    () => 'cut',
  )
  await arrived
  expect(await listener.drain(1)).toBe(false)
  expect(await inFlight).toBe('cut')
})

test('a port that is taken is a configuration mistake', async () => {
  const { listener } = await held()
  const again = listen(() => new Response(), '127.0.0.1', listener.port)
  await expect(again).rejects.toBeInstanceOf(ConfigError)
  await listener.drain()
})
