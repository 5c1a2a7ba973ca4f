import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import type { Decision, ExplainedDecision } from '../decision/decision.ts'
import type { RoomEnv } from '../front/request.ts'
import { DecisionLog, type NewDecision } from '../state/decision-log.ts'
import { decisionRoutes } from './decisions.ts'

const START = Date.UTC(2026, 5, 1, 12)

interface Asked {
  readonly log: DecisionLog
  readonly app: Hono<RoomEnv>
}

function soon(work: () => void): () => void {
  const timer = setTimeout(work, 5)
  return () => clearTimeout(timer)
}

function opened(): Asked {
  const log = new DecisionLog(START)
  const app = new Hono<RoomEnv>()
  // A sign of life is due at once whenever nothing has come.
  decisionRoutes(app, { decisions: log }, { timer: soon })
  return { log, app }
}

function decision(path: string, change: Partial<NewDecision> = {}): NewDecision {
  const allowed = change.allowed ?? true
  const check = {
    name: 'credential',
    expected: 'one bearer token',
    actual: 'none',
    mend: 'Send one.',
  } as const
  return {
    door: 'service',
    trace: '0'.repeat(32),
    time: '2026-06-01T12:00:00.000Z',
    service: 'a',
    method: 'GET',
    host: 'a.example',
    path,
    allowed,
    status: allowed ? 200 : 403,
    checks: [{ ...check, passed: allowed }],
    ...change,
  }
}

describe('a list of decisions', () => {
  const { log, app } = opened()
  beforeAll(() => {
    for (let index = 0; index < 150; index += 1)
      log.add(decision(`/${index}`, { service: index % 3 === 0 ? 'a' : 'b', allowed: index !== 149 }))
  })
  const get = async (query: string) => {
    const response = await app.request(`/_emulator/decisions${query}`)
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const paths = async (query: string) =>
    ((await get(query)).body.decisions as Decision[]).map(({ path }) => path)

  test('is told newest last, a hundred of them unless another number is asked for', async () => {
    const all = await paths('')
    expect(all).toHaveLength(100)
    expect(all.at(-1)).toBe('/149')
    expect(await paths('?limit=2')).toEqual(['/148', '/149'])
    expect(await paths('?limit=1000')).toHaveLength(150)
  })

  test('says why in one line, beside every check that was made', async () => {
    const { body } = await get('?limit=1')
    expect(body.decisions).toMatchObject([
      {
        status: 403,
        why: 'credential: expected one bearer token, got none. Send one.',
        checks: [{ name: 'credential', passed: false }],
      },
    ])
  })

  test('can be those of a service, a region, a door, a caller, a status, or of one outcome', async () => {
    const member = 'serviceAccount:orders@p.iam.gserviceaccount.com'
    const email = 'orders@p.iam.gserviceaccount.com'
    log.add(decision('/one', { region: 'europe-west1', status: 418, caller: { member, email } }))
    log.add(decision('/two', { door: 'metadata', allowed: false, status: 404 }))
    expect(await paths('?service=a&limit=4')).toEqual(['/144', '/147', '/one', '/two'])
    expect(await paths('?service=nobody')).toEqual([])
    for (const query of ['region=europe-west1', `caller=${email}`, `caller=${member}`, 'status=418'])
      expect(await paths(`?${query}`)).toEqual(['/one'])
    expect(await paths('?door=metadata')).toEqual(['/two'])
    expect(await paths('?status=4xx')).toEqual(['/149', '/one', '/two'])
    expect(await paths('?allowed=false')).toEqual(['/149', '/two'])
  })

  test('can be what came since a decision, or since a time', async () => {
    const { id } = log.add(decision('/three'))
    log.add(decision('/four', { time: '2026-06-01T13:00:00.000Z' }))
    expect(await paths(`?since=${id}`)).toEqual(['/four'])
    expect(await paths('?since=2026-06-01T12:30:00Z')).toEqual(['/four'])
  })

  test.each([
    ['limit=0', 'limit: expected a whole number of 1 or more, got "0".'],
    ['limit=1.5', 'limit: expected a whole number of 1 or more, got "1.5".'],
    ['limit=', 'limit: expected a whole number of 1 or more, got "".'],
    ['allowed=yes', 'allowed: expected true or false, got "yes".'],
    ['status=999', 'status: expected a status such as 403, or 4xx, got "999".'],
    ['since=today', 'since: expected an RFC 3339 time or the id of a decision, got "today".'],
    ['service=a&service=b', 'service: expected one value, got several.'],
  ])('%s is refused with what was expected', async (query, error) => {
    expect(await get(`?${query}`)).toEqual({ status: 400, body: { error } })
  })

  test('takes no filter that it does not know', async () => {
    const { status, body } = await get('?servce=a')
    expect(status).toBe(400)
    expect(body.error).toStartWith('servce: there is no such filter. There are service, region, ')
  })

  test('each decision has a URL of its own', async () => {
    const { id } = log.add(decision('/five'))
    expect((await get(`/${id}`)).body).toMatchObject({ id, path: '/five', why: expect.any(String) })
    expect((await get('/nothing')).status).toBe(404)
  })
})

describe('followed', () => {
  let asked: Asked
  const readers: Reader[] = []
  beforeEach(() => {
    asked = opened()
  })
  afterEach(async () => {
    await Promise.all(readers.splice(0).map((reader) => reader.close()))
  })
  const follow = async (query = '', headers: Record<string, string> = {}) => {
    const reader = await openReader(asked.app, `/_emulator/decisions?follow${query}`, headers)
    readers.push(reader)
    return reader
  }

  test('decisions come as they are made, after those that there are', async () => {
    asked.log.add(decision('/before'))
    const reader = await follow()
    expect((await reader.next()).decision.path).toBe('/before')
    asked.log.add(decision('/after'))
    expect((await reader.next()).decision.path).toBe('/after')
  })

  test('filters hold for what comes', async () => {
    const reader = await follow('&service=b')
    asked.log.add(decision('/1', { service: 'a' }))
    asked.log.add(decision('/2', { service: 'b' }))
    expect((await reader.next()).decision.path).toBe('/2')
  })

  test('a reader that comes back goes on where it was', async () => {
    asked.log.add(decision('/1'))
    const first = await follow()
    const { id } = await first.next()
    await first.close()
    asked.log.add(decision('/2'))
    const second = await follow('', { 'last-event-id': id })
    expect((await second.next()).decision.path).toBe('/2')
  })

  test('and is told of a gap where some are not kept any more', async () => {
    const { id } = asked.log.add(decision('/0'))
    for (let index = 1; index <= 1005; index += 1) asked.log.add(decision(`/${index}`))
    const reader = await follow('&limit=1000', { 'last-event-id': id })
    expect(await reader.next()).toMatchObject({ event: 'gap', data: { missed: 5 } })
    expect((await reader.next()).decision.path).toBe('/6')
    const other = await follow('', { 'last-event-id': 'aaaaaa-7' })
    expect(await other.next()).toMatchObject({ event: 'gap', data: { missed: null } })
  })

  test('one that reads too slowly for what is kept is told of the gap too', async () => {
    const reader = await follow()
    for (let index = 0; index < 5000; index += 1) {
      asked.log.add(decision(`/${index}`))
      if (index % 500 === 0) await new Promise(setImmediate)
    }
    let missed = 0
    let seen = 0
    while (missed + seen < 5000) {
      const event = await reader.next()
      if (event.event === 'gap') missed += Number(event.data.missed)
      else seen += 1
    }
    expect(missed).toBeGreaterThan(0)
  })

  test('a sign of life says where to go on from, past what the filters leave out', async () => {
    const reader = await follow('&service=b')
    const { id } = asked.log.add(decision('/1', { service: 'a' }))
    expect(await reader.raw((text) => text.includes(`id: ${id}`))).toContain(`id: ${id}\n\n`)
  })
})

interface Event {
  readonly event: string
  readonly id: string
  readonly data: Record<string, unknown>
  readonly decision: ExplainedDecision
}

interface Reader {
  /** The next event that has data. */
  next(): Promise<Event>
  /** What came, from where {@link next} has read to, once it is as asked. */
  raw(until: (text: string) => boolean): Promise<string>
  close(): Promise<void>
}

async function openReader(
  app: Hono<RoomEnv>,
  path: string,
  headers: Record<string, string>,
): Promise<Reader> {
  const response = await app.request(path, { headers })
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  const body = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  if (!body) throw new Error('no body')
  let text = ''
  const more = async () => {
    const { value, done } = await body.read()
    if (done) throw new Error('the stream has ended')
    text += value
  }
  return {
    async next() {
      for (;;) {
        const end = text.indexOf('\n\n')
        if (end < 0) {
          await more()
          continue
        }
        const lines = text.slice(0, end).split('\n')
        text = text.slice(end + 2)
        const field = (name: string) =>
          lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? ''
        if (field('data') === '') continue
        const data = JSON.parse(field('data'))
        return { event: field('event'), id: field('id'), data, decision: data }
      }
    },
    async raw(until) {
      while (!until(text)) await more()
      return text
    },
    close: () => body.cancel(),
  }
}
