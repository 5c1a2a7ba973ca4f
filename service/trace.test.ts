import { expect, test } from 'bun:test'
import { traceHeaders, traceOf } from './trace.ts'

const ID = '4bf92f3577b34da6a3ce929d0e0e4736'

test('traceparent gives trace, span and whether it is sampled', () => {
  const headers = new Headers({ traceparent: `00-${ID}-00f067aa0ba902b7-01` })
  expect(traceOf(headers)).toEqual({ traceId: ID, spanId: '00f067aa0ba902b7', sampled: true })
})

test('facts 6.5: X-Cloud-Trace-Context has its span in decimal, and o=1 when sampled', () => {
  const headers = new Headers({ 'x-cloud-trace-context': `${ID}/1027871334010811884;o=1` })
  expect(traceOf(headers)).toEqual({ traceId: ID, spanId: '0e43bb884a8575ec', sampled: true })
})

test('facts 6.5: X-Cloud-Trace-Context may come without ;o=', () => {
  expect(traceOf(new Headers({ 'x-cloud-trace-context': `${ID}/1` }))).toEqual({
    traceId: ID,
    spanId: '0000000000000001',
    sampled: false,
  })
})

test('traceparent wins over X-Cloud-Trace-Context', () => {
  const other = 'f'.repeat(32)
  const headers = new Headers({
    traceparent: `00-${ID}-00f067aa0ba902b7-00`,
    'x-cloud-trace-context': `${other}/1;o=1`,
  })
  expect(traceOf(headers)?.traceId).toBe(ID)
})

test.each([
  '',
  `00-${ID}-00f067aa0ba902b7`,
  `00-${ID}-0000000000000000-01`,
  `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
  `00-${ID}-00f067aa0ba902b7-01-more`,
  `ff-${ID}-00f067aa0ba902b7-01`,
  `00-${ID.toUpperCase()}-00f067aa0ba902b7-01`,
])(
  'a malformed traceparent is neither logged nor passed on, and its tracestate goes with it: %p',
  (traceparent) => {
    const headers = new Headers({ traceparent, tracestate: 'a=1' })
    expect(traceOf(headers)).toBeUndefined()
    expect([...traceHeaders(headers).keys()]).toEqual([])
  },
)

test('well-formed trace headers are passed on as they came, and nothing else', () => {
  const trace = {
    traceparent: `01-${ID}-00f067aa0ba902b7-01-later`,
    tracestate: 'a=1,b=2',
    'x-cloud-trace-context': `${ID}/7;o=1`,
  }
  const passed = traceHeaders(new Headers({ ...trace, authorization: 'Bearer x', cookie: 'y' }))
  expect(Object.fromEntries(passed)).toEqual(trace)
})
