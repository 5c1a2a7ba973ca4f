import { afterAll, expect, test } from 'bun:test'
import { endServices, spawnService } from '../service/spawned.fixture.ts'
import { AUDIENCE, EMAIL, startGoogle } from './google.fixture.ts'

afterAll(endServices)

const main = `${import.meta.dir}/main.ts`

test.each([
  [{ RECEIVER_AUTH: '' }, /^receiver: RECEIVER_AUTH is empty; expected none .*\n$/],
  [
    { RECEIVER_AUTH: 'verify' },
    /^receiver: RECEIVER_AUDIENCE is not set, which RECEIVER_AUTH=verify needs; .*\n$/,
  ],
  [
    { RECEIVER_AUTH: 'verify', RECEIVER_AUDIENCE: 'a' },
    /^receiver: RECEIVER_ALLOWED_CALLERS is not set, which RECEIVER_AUTH=verify needs; .*\n$/,
  ],
  [
    { RECEIVER_AUTH: 'verify', RECEIVER_AUDIENCE: 'a', RECEIVER_ALLOWED_CALLERS: 'serviceAccount:a@b.com' },
    /^receiver: RECEIVER_ALLOWED_CALLERS is "serviceAccount:a@b.com"; .*\n$/,
  ],
  [{ RECEIVER_AUDIENCE: 'a' }, /^receiver: RECEIVER_AUDIENCE is set, but RECEIVER_AUTH is none; .*\n$/],
  [{ RECEIVER_ATUH: 'verify' }, /^receiver: RECEIVER_ATUH is not a setting; .*\n$/],
])('a wrong configuration ends the process with one line: %j', async (env, line) => {
  const { process } = spawnService(main, { ...env })
  expect(await process.exited).toBe(1)
  expect(await new Response(process.stderr).text()).toMatch(line)
})

test('a real process verifies over HTTP, and ends with 0 on SIGTERM', async () => {
  const google = await startGoogle()
  const receiver = spawnService(main, {
    RECEIVER_HOST: '127.0.0.1',
    RECEIVER_AUTH: 'verify',
    RECEIVER_AUDIENCE: AUDIENCE,
    RECEIVER_ALLOWED_CALLERS: EMAIL,
    RECEIVER_JWKS_URL: google.jwksUrl,
  })
  const url = await receiver.url()
  const response = await fetch(url, { headers: { authorization: `Bearer ${await google.token()}` } })
  expect(await response.text()).toBe('Hello from the receiving service!')
  expect((await fetch(url)).status).toBe(403)
  receiver.process.kill('SIGTERM')
  expect(await receiver.process.exited).toBe(0)
  await google.stop()
})
