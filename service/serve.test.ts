import { expect, test } from 'bun:test'
import { ConfigError } from './environment.ts'
import { listen } from './serve.ts'

/** A listener whose requests come to `arrived` and are answered when `release` is called. */
function held() {
  const arrived = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const listener = listen(
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

test('draining refuses new connections and lets the requests in flight finish', async () => {
  const { listener, url, arrived, release } = held()
  const inFlight = fetch(url)
  await arrived
  const drained = listener.drain()
  await expect(fetch(url, { keepalive: false })).rejects.toThrow()
  release()
  expect(await (await inFlight).text()).toBe('finished')
  expect(await drained).toBe(true)
})

test('draining gives up on a request that does not end', async () => {
  const { listener, url, arrived } = held()
  const inFlight = fetch(url).then(
    () => 'answered',
    () => 'cut',
  )
  await arrived
  expect(await listener.drain(1)).toBe(false)
  expect(await inFlight).toBe('cut')
})

test('a port that is taken is a configuration mistake', async () => {
  const { listener } = held()
  expect(() => listen(() => new Response(), '127.0.0.1', listener.port)).toThrow(ConfigError)
  await listener.drain()
})
