/** The metadata server at its own address, for programs that know no other. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { decodeJwt } from 'jose'
import { composeUp, engineHas, type Up } from '../compose.fixture.ts'

setDefaultTimeout(60_000)
const BUILD = 10 * 60_000
const possible = await engineHas('the metadata server at 169.254.169.254', 'oven/bun:1.4.5-slim')

describe.skipIf(!possible)('a container that was told of nothing', () => {
  let up: Up
  beforeAll(async () => {
    up = await composeUp('link-local', {})
  }, BUILD)
  afterAll(() => up?.down())

  const ask = (path: string, headers: Record<string, string> = { 'Metadata-Flavor': 'Google' }) =>
    up.exec(
      'worker',
      'bun',
      '-e',
      `const r = await fetch('http://169.254.169.254${path}', { headers: ${JSON.stringify(headers)} });
       console.log([r.status, r.headers.get('metadata-flavor'), await r.text()].join(' '))`,
    )
  const ACCOUNT = '/computeMetadata/v1/instance/service-accounts/default'

  test('facts 2.2: finds the metadata server as PHP does, without a header', async () => {
    expect(await ask('/', {})).toStartWith('200 Google ')
  })

  test('is the service that the manifest says it is', async () => {
    expect(await ask(`${ACCOUNT}/email`)).toBe('200 Google worker-sa@demo-project.iam.gserviceaccount.com')
  })

  test('gets an ID token in its own name', async () => {
    const audience = 'https://worker-123456789012.us-central1.run.app'
    const [status, , token = ''] = (await ask(`${ACCOUNT}/identity?audience=${audience}&format=full`)).split(
      ' ',
    )
    expect(status).toBe('200')
    expect(decodeJwt(token)).toMatchObject({
      aud: audience,
      email: 'worker-sa@demo-project.iam.gserviceaccount.com',
    })
  })
})
