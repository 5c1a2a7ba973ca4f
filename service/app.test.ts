import { expect, test } from 'bun:test'
import { createServiceApp, HEALTH_PATH } from './app.ts'
import { keptLog } from './log.fixture.ts'

const ID = '4bf92f3577b34da6a3ce929d0e0e4736'
const traced = { headers: { traceparent: `00-${ID}-00f067aa0ba902b7-01`, 'user-agent': 'curl/8' } }

test('each request is one line that Cloud Logging parses, without its query', async () => {
  const { logger, lines } = keptLog()
  const app = createServiceApp(logger).get('/a', (c) => c.text('hi'))
  await app.request('/a?key=secret', { headers: { 'user-agent': 'curl/8' } })
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatchObject({
    severity: 'INFO',
    message: 'GET /a 200',
    serviceContext: { service: 'test' },
    httpRequest: { requestMethod: 'GET', requestUrl: '/a', status: 200, userAgent: 'curl/8' },
  })
  expect(lines[0]).toHaveProperty('httpRequest.latency', expect.stringMatching(/^\d+\.\d{6}s$/))
  expect(lines[0]).toHaveProperty('timestamp.seconds')
})

test("every line written during a request carries its trace, named after the project where it's known", async () => {
  const { logger, lines } = keptLog({ service: 'test', project: 'demo-project' })
  const app = createServiceApp(logger).get('/', async (c) => {
    await Promise.resolve()
    logger.info('inside')
    return c.text('hi')
  })
  await app.request('/', traced)
  const trace = {
    'logging.googleapis.com/trace': `projects/demo-project/traces/${ID}`,
    'logging.googleapis.com/spanId': '00f067aa0ba902b7',
    'logging.googleapis.com/trace_sampled': true,
  }
  expect(lines).toMatchObject([
    { message: 'inside', ...trace },
    { message: 'GET / 200', ...trace },
  ])
})

test('without a project the trace is its plain id', async () => {
  const { logger, lines } = keptLog()
  await createServiceApp(logger).request('/', traced)
  expect(lines[0]).toMatchObject({ 'logging.googleapis.com/trace': ID })
})

test('the health path answers 200 and is not logged', async () => {
  const { logger, lines } = keptLog()
  expect((await createServiceApp(logger).request(HEALTH_PATH)).status).toBe(200)
  expect(lines).toEqual([])
})

test('an unknown path is 404', async () => {
  expect((await createServiceApp(keptLog().logger).request('/nothing')).status).toBe(404)
})

test('a fault is 500 and logged with its chain of causes, and without what clients hang on their errors', async () => {
  const { logger, lines, text } = keptLog()
  const cause = Object.assign(new Error('refused'), {
    code: 'ECONNREFUSED',
    config: { headers: 'Bearer secret' },
  })
  const app = createServiceApp(logger).get('/', () => {
    throw new Error('broken', { cause })
  })
  const response = await app.request('/', traced)
  expect([response.status, await response.text()]).toEqual([500, 'Internal server error'])
  expect(lines[0]).toMatchObject({
    severity: 'ERROR',
    err: { message: 'broken', cause: { message: 'refused', code: 'ECONNREFUSED' } },
    stack_trace: expect.stringContaining('broken'),
    'logging.googleapis.com/trace': ID,
  })
  expect(text()).not.toContain('secret')
})
