import { afterAll, expect, test } from 'bun:test'
import { Control } from './control.ts'

let answer: Response
const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => answer })
afterAll(() => server.stop(true))

const environment = (body: unknown, status = 200) => {
  answer = Response.json(body, { status })
  return new Control(server.url.origin).environment()
}

test('what answers is told apart: an emulator, one of another version, another server, nobody', async () => {
  const old = { project: 'p', account: 'a@example.com' }
  const facts = {
    ...old,
    projectNumber: '1',
    region: 'r',
    computeAccount: '1-compute@x',
    scheme: 'http',
    tunnels: true,
    endpoints: { direct: [], byName: {} },
  }
  expect(await environment(facts)).toMatchObject(facts)
  await expect(environment(old)).rejects.toMatchObject({
    code: 'ERR_NOT_EMULATOR',
    sentence: expect.stringContaining('of another version'),
  })
  await expect(environment({})).rejects.toThrow('is not the emulator')
  await expect(new Control('http://127.0.0.1:1').environment()).rejects.toMatchObject({
    code: 'ERR_NO_EMULATOR',
    fault: 'user',
  })
})

test('a refusal is in its own words, with its status', async () => {
  await expect(environment({ error: 'Not for you.' }, 403)).rejects.toMatchObject({
    code: 'ERR_CONTROL',
    fault: 'refusal',
    status: 403,
    message: 'Not for you.',
  })
})
