import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { decodeJwt } from 'jose'
import { defaultComputeServiceAccount } from '../state/names.ts'
import { openTestState } from '../state/state.fixture.ts'
import type { State } from '../state/state.ts'
import { createControl } from './control.ts'

const NOW = Date.parse('2026-06-01T12:00:00Z')
const HOUR = 3_600_000
let state: State
const done: unknown[] = []
beforeAll(async () => {
  state = await openTestState(() => NOW)
})
afterAll(() => state.close())
beforeEach(() => {
  done.length = 0
})

async function post(path: string, body: unknown, contentType = 'application/json') {
  const control = createControl({
    state,
    certificate: async () => 'PEM\n',
    tunnels: () => true,
    googlePort: () => Promise.reject(new Error('nothing is pushed here')),
    rehearsal: {
      advance: async (milliseconds) => void done.push(milliseconds),
      reset: async () => void done.push('reset'),
    },
  })
  const response = await control.request(
    path,
    { method: 'POST', headers: { 'content-type': contentType }, body: JSON.stringify(body) },
    { host: 'localhost', scheme: 'http', peer: { address: '127.0.0.1' } },
  )
  // biome-ignore lint/suspicious/noExplicitAny: a test reads any part of an answer, and fails where it is not there
  return { status: response.status, body: (await response.json()) as any }
}

describe("a test's own routes", () => {
  test('time passes by so many milliseconds', async () => {
    expect(await post('/_emulator/clock', { advance: HOUR })).toEqual({
      status: 200,
      body: { time: '2026-06-01T12:00:00.000000Z' },
    })
    expect(done).toEqual([HOUR])
  })

  test.each([
    [{}, /^advance: /],
    [{ advance: -1 }, /^advance: /],
    [{ advance: 1.5 }, /^advance: /],
    [{ advance: '1h' }, /^advance: /],
    [{ advance: 1e14 }, /^advance: /],
    [{ advance: 1, back: 1 }, /back/],
    [null, /^body: /],
  ])('a clock asked %j says what it expected, and stays', async (body, error) => {
    const answer = await post('/_emulator/clock', body)
    expect(answer).toEqual({ status: 400, body: { error: expect.stringMatching(error) } })
    expect(done).toEqual([])
  })

  test('a reset is asked for without anything else', async () => {
    expect(await post('/_emulator/reset', {})).toEqual({ status: 200, body: {} })
    expect((await post('/_emulator/reset', { all: true })).status).toBe(400)
    expect(done).toEqual(['reset'])
  })

  test('a token is of the account and for the audience that were named', async () => {
    const email = defaultComputeServiceAccount(state.place)
    const { status, body } = await post('/_emulator/tokens', {
      serviceAccount: email,
      audience: 'https://a.example',
    })
    expect(status).toBe(200)
    expect(decodeJwt(body.token)).toMatchObject({
      aud: 'https://a.example',
      email,
      sub: state.serviceAccount(email)?.uniqueId,
      exp: NOW / 1000 + 3600,
    })
  })

  test('a token of nobody, or for nothing, is refused', async () => {
    const nobody = { serviceAccount: 'nobody@example.com', audience: 'a' }
    expect(await post('/_emulator/tokens', nobody)).toEqual({
      status: 404,
      body: { error: 'There is no service account nobody@example.com.' },
    })
    const email = defaultComputeServiceAccount(state.place)
    expect((await post('/_emulator/tokens', { serviceAccount: email, audience: '' })).status).toBe(400)
  })

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp'])(
    'what a page of another site could send, as %s, does nothing',
    async (type) => {
      for (const [path, body] of [
        ['/_emulator/reset', {}],
        ['/_emulator/clock', { advance: 1 }],
      ] as const)
        expect((await post(path, body, type)).status).toBe(400)
      expect(done).toEqual([])
    },
  )
})
