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
    expect(outcome('dyn(1)', { now: 0 }).outcome).toBe('error')
    expect(outcome('dyn("true")', { now: 0 }).outcome).toBe('error')
  })
})

describe('types are checked when the policy is set, in the words of CEL', () => {
  const refused = (expression: string, message: string) =>
    expect([expression, compileCondition(expression)]).toEqual([expression, { ok: false, message }])
  const taken = (expression: string) => {
    const compiled = compileCondition(expression)
    expect([expression, compiled.ok ? '' : compiled.message]).toEqual([expression, ''])
  }
  const overload = (name: string, given: string) =>
    `found no matching overload for '${name}' applied to '${given}'`

  test.each([
    ['request.time == 1', overload('_==_', '(google.protobuf.Timestamp, int)')],
    ['request.time < "2020-01-01T00:00:00Z"', overload('_<_', '(google.protobuf.Timestamp, string)')],
    ['request.time + 1 > request.time', overload('_+_', '(google.protobuf.Timestamp, int)')],
    ['request.time', "expected type 'bool' but found 'google.protobuf.Timestamp'"],
    ['1 + 1', "expected type 'bool' but found 'int'"],
    ['"true"', "expected type 'bool' but found 'string'"],
    ['true && 1', overload('_&&_', '(bool, int)')],
    ['!request.time', overload('!_', '(google.protobuf.Timestamp)')],
    ['true ? 1 : "one"', overload('_?_:_', '(bool, int, string)')],
    ['resource.name.startsWith(1)', overload('startsWith', 'string.(int)')],
    ['request.time.getHours(1) == 1', overload('getHours', 'google.protobuf.Timestamp.(int)')],
    ['request.time.getHours().size() == 1', overload('size', 'int.()')],
    ['1 in ["a"]', overload('@in', '(int, list(string))')],
    ['["a"][0] == 1', overload('_==_', '(string, int)')],
    ['{"a": 1}[2] == 1', overload('_[_]', '(map(string, int), int)')],
    ['[1, 2].exists(n, n == "a")', overload('_==_', '(int, string)')],
    [
      '"abc".all(c, true)',
      "expression of type 'string' cannot be range of a comprehension (must be list, map, or dynamic)",
    ],
    ['request.time.getHours().second == 1', "type 'int' does not support field selection"],
    ['request.time.getCentury() == 21', "undeclared reference to 'getCentury' (in container '')"],
  ])('%s is refused', refused)

  test.each([
    'request.time < timestamp("2020-01-01T00:00:00Z") && request.time.getDayOfWeek("Europe/Zurich") in [1, 2, 3]',
    'resource.name.extract("/buckets/{b}/") == "x" || resource.matchTag("1/env", "prod")',
    'api.getAttribute("run.googleapis.com/x", []).hasOnly(["a"])',
    'request.auth.claims.level == 3 ? true : destination.port == 443',
    'request.time != null && type(1) == int && dyn(1) == 1.0',
    '{"a": 1, "b": 2}.all(k, k < "c") && [1, 2].map(n, n + 1).exists_one(n, n == 3)',
    'size("abc") == 3 && has(request.auth) && duration("1h") + request.time > request.time',
  ])('%s is taken', taken)

  /** Every type, by two constants of it. */
  const CONSTANTS: Readonly<Record<string, readonly [string, string]>> = {
    bool: ['true', '!false'],
    bytes: ['b"a"', 'bytes("b")'],
    double: ['1.5', '-2.0'],
    int: ['7', 'request.time.getHours()'],
    uint: ['7u', 'uint(3)'],
    string: ['"a"', 'resource.name'],
    'list(int)': ['[1]', '[1, 2].filter(n, n > 1)'],
    'map(string, bool)': ['{"a": true}', '{}'],
    'google.protobuf.Timestamp': ['request.time', 'timestamp("2020-01-01T00:00:00Z")'],
    'google.protobuf.Duration': ['duration("1s")', 'request.time - timestamp("2020-01-01T00:00:00Z")'],
  }
  const typed = fc
    .tuple(fc.constantFrom(...Object.keys(CONSTANTS)), fc.integer({ min: 0, max: 1 }))
    .map(([type, index]) => ({ type, text: CONSTANTS[type]?.[index] ?? '' }))
  /** Wherever in an expression a mistake stands, it is found. */
  const around = fc.constantFrom<(text: string) => string>(
    (text) => text,
    (text) => `true || (${text})`,
    (text) => `request.time.getHours((${text}) ? "UTC" : "+01:00") == 1`,
    (text) => `[1, 2].all(n, n > 0 && (${text}))`,
    (text) => `{"a": ${text}}["a"]`,
    (text) => `!(${text})`,
  )

  test('values of one type compare, and of two do not, anywhere in an expression', () => {
    fc.assert(
      fc.property(typed, typed, fc.constantFrom('==', '!='), around, (left, right, operator, wrap) => {
        const expression = wrap(`${left.text} ${operator} ${right.text}`)
        if (left.type === right.type) return taken(expression)
        // What cannot be told is let pass: an empty map, and what a filter leaves, may hold anything.
        if (left.type.split('(')[0] === right.type.split('(')[0]) return
        const compiled = compileCondition(expression)
        expect([expression, compiled.ok]).toEqual([expression, false])
        if (compiled.ok) return
        expect(compiled.message).toMatch(/^found no matching overload for '_[!=]=_' applied to '\(/)
      }),
      { numRuns: 1000 },
    )
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
