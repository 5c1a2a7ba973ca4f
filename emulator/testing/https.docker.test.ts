/** Services that the emulator itself runs as containers, with https URLs: as in the cloud, and with no change to an image. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { callApi, LOCATED, manifest, SERVICES, signIn } from '../emulator.fixture.ts'
import { type Emulator, startEmulator } from '../emulator.ts'

setDefaultTimeout(60_000)

const BASE = 'oven/bun:1.4.5-slim'
const IMAGE = `gcr.io/demo-project/invoker-test-${crypto.randomUUID().slice(0, 8)}`
const docker = (args: readonly string[], stdin = '') =>
  Bun.spawnSync(['docker', ...args], { stdin: Buffer.from(stdin), stdout: 'ignore', stderr: 'ignore' })
    .exitCode === 0

const possible = Bun.which('docker') !== null && docker(['image', 'inspect', BASE])
if (!possible) console.log(`SKIPPED: containers with https URLs: no engine answers that has ${BASE}`)

/** Bun's fetch goes by the proxy variables; what goes by name is a connection of its own. */
const PROGRAM = `
  const { connect } = require('node:tls')
  Bun.serve({ port: process.env.PORT, async fetch(request) {
    const target = new URL(request.url).searchParams.get('call')
    if (!target) return new Response('hello')
    const { hostname } = new URL(target)
    const byProxy = (await fetch(target)).status
    const byName = await new Promise((done) => {
      const socket = connect({ host: hostname, port: 443, servername: hostname }, () => socket.write('GET / HTTP/1.1\\r\\nHost: ' + hostname + '\\r\\n\\r\\n'))
      socket.once('data', (data) => { done(String(data).split(' ')[1]); socket.destroy() })
      socket.on('error', (error) => done(error.message))
    })
    return new Response(byProxy + ' ' + byName)
  } })`

describe.skipIf(!possible)('a service in a container that calls another one by its https URL', () => {
  let emulator: Emulator
  const told: string[] = []
  beforeAll(async () => {
    const dockerfile = `FROM ${BASE}\nUSER 1000:1000\nENTRYPOINT ["bun", "-e", ${JSON.stringify(PROGRAM)}]\n`
    if (!docker(['build', '--tag', IMAGE, '-'], dockerfile)) throw new Error('the image was not built')
    emulator = await startEmulator({ port: 0, scheme: 'https' }, { log: (line) => told.push(line) })
    const { accessToken } = await signIn(emulator.url)
    for (const name of ['callee', 'caller']) {
      const { body } = await callApi(
        emulator.url,
        accessToken,
        'POST',
        SERVICES,
        manifest(name, { image: IMAGE }),
      )
      expect(body.status.conditions[0]).toMatchObject({ type: 'Ready', status: 'True' })
      await callApi(emulator.url, accessToken, 'POST', `${LOCATED}/${name}:setIamPolicy`, {
        policy: { bindings: [{ role: 'roles/run.invoker', members: ['allUsers'] }] },
      })
    }
  })
  afterAll(async () => {
    await emulator?.close()
    docker(['image', 'rm', '--force', IMAGE])
  })

  test('trusts who answers, through the proxy and by name', async () => {
    const [caller, callee] = ['caller', 'callee'].map((name) => `${name}-123456789012.us-central1.run.app`)
    const response = await fetch(`${emulator.url}/?call=https://${callee}/`, {
      headers: { host: caller ?? '' },
      redirect: 'manual',
    })
    expect(response.status).toBe(302) // asked for without TLS
    const answer = await fetch(`https://${caller}/?call=https://${callee}/`, {
      proxy: emulator.url,
      tls: { ca: await (await fetch(`${emulator.url}/_emulator/ca.pem`)).text() },
    })
    const [byProxy, byName] = (await answer.text()).split(' ')
    expect(byProxy).toBe('200')
    if (told.length > 0) return console.log(`SKIPPED: by name: ${told.join('; ')}`)
    expect(byName).toBe('200')
  })
})
