import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { decodeJwt } from 'jose'
import { type Running, startRunning } from './running.fixture.ts'

setDefaultTimeout(20_000)

const ORDERS = 'serviceAccount:orders-sa@demo-project.iam.gserviceaccount.com'

let running: Running
beforeAll(async () => {
  running = await startRunning()
})
afterAll(() => running.close())

test('from 403 to 200 and back, and each time why', async () => {
  const { command } = running
  const call = () => command('call', 'billing', '--as', 'orders-sa')
  const refused = await call()
  expect(refused.stderr).toStartWith(`403 binding: expected run.routes.invoke for ${ORDERS}, got no binding`)
  expect([refused.exitCode, refused.stdout]).toEqual([2, expect.stringContaining('403 Forbidden')])

  expect(await command('grant', 'orders-sa', 'billing')).toEqual({
    stdout: `${ORDERS} holds roles/run.invoker on billing.\n`,
    stderr: '',
    exitCode: 0,
  })
  const answered = await call()
  expect([answered.exitCode, answered.stdout]).toEqual([0, 'GET / \n'])
  expect(answered.stderr).toStartWith(`200 ${ORDERS} holds roles/run.invoker on `)

  expect((await command('revoke', 'orders-sa', 'billing')).stdout).toBe(
    `${ORDERS} no longer holds roles/run.invoker on billing.\n`,
  )
  expect((await call()).exitCode).toBe(2)
})

test('a call has the method, path, headers and body that it was given, and nobody makes it where nobody is named', async () => {
  const { command } = running
  await command('grant', 'allUsers', 'orders')
  const { stdout, exitCode } = await command(
    'call',
    'orders',
    '--path',
    'a?b=c',
    '--data',
    'text',
    '--header',
    'X-A: b',
  )
  expect([stdout, exitCode]).toEqual(['POST /a text\n', 0])
  const malformed = await command('call', 'orders', '--header', 'X-A')
  expect([malformed.stderr, malformed.exitCode]).toEqual([
    'emulator call: --header: expected \'NAME: VALUE\', got "X-A".\n',
    1,
  ])
})

test("a token is for the service's URL, or for any other audience", async () => {
  const audienceOf = async (audience: string, as = 'orders-sa') => {
    const { stdout } = await running.command('token', '--as', as, '--audience', audience)
    return decodeJwt(stdout.trim())
  }
  expect((await audienceOf('billing')).aud).toBe('http://billing-123456789012.us-central1.run.app')
  expect((await audienceOf('https://example.com')).aud).toBe('https://example.com')
  expect((await audienceOf('billing', 'default')).email).toBe(
    '123456789012-compute@developer.gserviceaccount.com',
  )
})

test('services are listed with their URLs', async () => {
  expect((await running.command('services')).stdout).toBe(
    [
      'billing  us-central1  http://billing-123456789012.us-central1.run.app\n',
      'orders   us-central1  http://orders-123456789012.us-central1.run.app\n',
    ].join(''),
  )
  const { stdout } = await running.command('services', '--json')
  expect(JSON.parse(stdout)).toContainEqual({
    name: 'orders',
    region: 'us-central1',
    url: 'http://orders-123456789012.us-central1.run.app',
  })
})

describe('decisions', () => {
  test('are printed as the log has them, of one service, and so many', async () => {
    await running.command('call', 'billing', '--path', '/one')
    await running.command('call', 'billing', '--path', '/two')
    const { stdout } = await running.command('decisions', '--service', 'billing', '--limit', '1')
    expect(stdout).toMatch(
      /^\S+Z 403 GET us-central1 billing\/two {2}credential: expected one bearer token, [^\n]*\n$/,
    )
    const json = await running.command('decisions', '--service', 'billing', '--limit', '1', '--json')
    expect(JSON.parse(json.stdout)).toMatchObject({ path: '/two', status: 403 })
  })

  test('--follow goes on with those to come, each once, until it is interrupted', async () => {
    const following = running.spawn('decisions', '--follow', '--limit', '1')
    const lines = following.stdout.pipeThrough(new TextDecoderStream()).getReader()
    let seen = ''
    const until = async (text: string) => {
      while (!seen.includes(text)) seen += (await lines.read()).value ?? ''
    }
    await until('\n')
    await running.command('call', 'billing', '--path', '/three')
    await until('/three')
    await running.command('call', 'billing', '--path', '/four')
    await until('/four')
    following.kill('SIGINT')
    await following.exited
    expect(seen.match(/\/three/g)).toHaveLength(1)
    expect(seen.trimEnd().split('\n')).toHaveLength(3)
  })
})

describe('a name that is not there', () => {
  test.each([
    [['call', 'biling']],
    [['grant', 'orders-sa', 'biling']],
    [['token', '--as', 'orders-sa', '--audience', 'biling']],
    [['decisions', '--service', 'biling']],
    [['run', '--service', 'biling', '--', 'true']],
  ])('%j: the nearest service is named, exit 1', async (args) => {
    const { stdout, stderr, exitCode } = await running.command(...args)
    expect([stdout, exitCode]).toEqual(['', 1])
    expect(stderr).toBe(
      `emulator ${args[0]}: there is no service "biling". Did you mean "billing"? There is billing, orders.\n`,
    )
  })

  test('an account is refused, exit 2', async () => {
    const token = await running.command('token', '--as', 'nobody', '--audience', 'billing')
    expect([token.stderr, token.exitCode]).toEqual([
      'emulator token: There is no service account nobody@demo-project.iam.gserviceaccount.com.\n',
      2,
    ])
    expect(await running.command('grant', 'nobody', 'billing')).toMatchObject({ exitCode: 2 })
  })
})
