import { afterEach, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type ConditionContext, compileCondition } from './condition.ts'

const at = (time: string) => Date.parse(time)

function outcome(expression: string, context: ConditionContext) {
  const compiled = compileCondition(expression)
  if (!compiled.ok) throw new Error(compiled.message)
  return compiled.evaluate(context)
}

const ZONE = process.env.TZ
afterEach(() => {
  // bun test runs in UTC where nothing else is said.
  process.env.TZ = ZONE ?? 'Etc/UTC'
})

describe('facts 6.7: request.time is recognised', () => {
  test('an expiry holds before it and fails from then on', () => {
    const expression = 'request.time < timestamp("2020-01-01T00:00:00Z")'
    expect(outcome(expression, { now: at('2019-12-31T23:59:59.999Z') })).toEqual({ outcome: 'holds' })
    expect(outcome(expression, { now: at('2020-01-01T00:00:00Z') })).toEqual({ outcome: 'fails' })
  })

  test.each([
    ['request.time.getHours("Europe/Zurich") == 0', '2026-07-01T22:00:00Z'],
    ['request.time.getDate("Europe/Zurich") == 2', '2026-07-01T22:00:00Z'],
    ['request.time.getDayOfMonth("Europe/Zurich") == 1', '2026-07-01T22:00:00Z'],
    ['request.time.getDayOfWeek("America/Los_Angeles") == 6', '2026-11-22T07:59:59Z'],
    ['request.time.getDayOfWeek() == 0', '2026-11-22T07:59:59Z'],
    ['request.time.getHours("-08:30") == 23', '2026-11-22T07:59:59Z'],
    ['request.time.getMinutes("05:45") == 44', '2026-11-22T07:59:59Z'],
    ['request.time.getMonth() == 10 && request.time.getFullYear() == 2026', '2026-11-22T07:59:59Z'],
    ['request.time.getMilliseconds() == 123', '2026-11-22T07:59:59.123Z'],
    ['request.time - duration("3600s") < timestamp("2026-11-22T07:00:00Z")', '2026-11-22T07:59:59Z'],
  ])('%s', (expression, time) => {
    expect(outcome(expression, { now: at(time) })).toEqual({ outcome: 'holds' })
  })

  test.each(['America/New_York', 'Asia/Tokyo'])('whatever zone the machine is in: %s', (zone) => {
    process.env.TZ = zone
    expect(outcome('request.time.getHours() == 2', { now: at('2026-03-08T02:30:00Z') }).outcome).toBe('holds')
    expect(outcome('request.time.getDayOfYear() == 181', { now: at('2026-07-01T00:30:00Z') }).outcome).toBe(
      'holds',
    )
  })

  test('the calendar in UTC is the calendar of the date', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('1970-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }),
        (date) => {
          const text = `${date.getUTCFullYear()}-${date.getUTCMonth()}-${date.getUTCDate()} ${date.getUTCDay()} ${date.getUTCHours()}`
          const expression =
            'string(request.time.getFullYear()) + "-" + string(request.time.getMonth()) + "-" + string(request.time.getDate()) + " " + ' +
            `string(request.time.getDayOfWeek("UTC")) + " " + string(request.time.getHours("+00:00")) == "${text}"`
          expect(outcome(expression, { now: date.getTime() }).outcome).toBe('holds')
        },
      ),
      { numRuns: 50 },
    )
  })

  test('a time zone that does not exist is an error, and does not grant', () => {
    expect(outcome('request.time.getHours("Mars/Olympus") < 24', { now: 0 }).outcome).toBe('error')
  })
})

describe('facts 6.7: other attributes are not recognised for Cloud Run', () => {
  test.each([
    ['resource.name == "x"', 'resource.name'],
    ['resource.type == "run.googleapis.com/Service"', 'resource.type'],
    ['resource.service != "x"', 'resource.service'],
    ['request.path == "/"', 'request.path'],
    ['request.host.startsWith("a")', 'request.host'],
    ['destination.port == 443', 'destination.port'],
    ['resource.matchTag("1/env", "prod")', 'resource'],
  ])('%s is an error', (expression, name) => {
    expect(outcome(expression, { now: 0 })).toEqual({
      outcome: 'error',
      reason: `${name} is not recognised for Cloud Run`,
    })
  })

  test('tags are, when the resource has them', () => {
    const tags = new Map([['1/env', 'prod']])
    expect(outcome('resource.matchTag("1/env", "prod")', { now: 0, tags }).outcome).toBe('holds')
    expect(outcome('resource.matchTag("1/env", "test")', { now: 0, tags }).outcome).toBe('fails')
    expect(outcome('resource.hasTagKey("1/team")', { now: 0, tags }).outcome).toBe('fails')
    expect(outcome('resource.name == "x"', { now: 0, tags }).outcome).toBe('error')
  })

  test('what is not a truth value does not grant', () => {
    expect(outcome('1 + 1', { now: 0 }).outcome).toBe('error')
    expect(outcome('"true"', { now: 0 }).outcome).toBe('error')
  })
})

describe('an expression that cannot be one is refused when the policy is set', () => {
  test.each(['', 'request.time <', '"open', '((', 'request.time < timestamp("x"'])('%p', (expression) => {
    const compiled = compileCondition(expression)
    expect(compiled.ok).toBe(false)
  })

  test('a name that no condition knows', () => {
    expect(compileCondition('requst.time < timestamp("2020-01-01T00:00:00Z")')).toEqual({
      ok: false,
      message: "undeclared reference to 'requst' (in container '')",
    })
  })

  test('names that the expression makes itself are known', () => {
    const compiled = compileCondition('[1, 2].exists(n, n == request.time.getDayOfWeek())')
    expect(compiled.ok).toBe(true)
  })

  test('no string makes it throw', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const compiled = compileCondition(text)
        if (compiled.ok) expect(typeof compiled.evaluate({ now: 0 }).outcome).toBe('string')
      }),
    )
  })
})
