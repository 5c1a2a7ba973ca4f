import { expect, test } from 'bun:test'
import { gzipSync } from 'node:zlib'
import { openYard } from '../products/builds.fixture.ts'
import { NUMBER, PROJECT } from '../products/products.fixture.ts'
import { bodyOf, readText } from './body.ts'

const request = (body: Uint8Array<ArrayBuffer> | string, headers: Record<string, string> = {}) =>
  new Request('https://run.googleapis.com/', { method: 'POST', body, headers })
const gzip = (text: string) => new Uint8Array(gzipSync(text))
const ZIPPED = { 'content-encoding': 'gzip' }

test('a body that was compressed with gzip is read, of messages and of uploads', async () => {
  const yard = await openYard()
  try {
    const ask = async (url: string, body: string) => {
      const response = await yard.ask('POST', url, {
        body: gzip(body),
        headers: { 'content-type': 'application/json', ...ZIPPED },
      })
      return { status: response.status, body: JSON.parse(await response.text()) }
    }
    const account = await ask(`/v1/projects/${PROJECT}/serviceAccounts`, '{"accountId":"zipped"}')
    expect(account.body.email).toBe(`zipped@${PROJECT}.iam.gserviceaccount.com`)
    expect((await ask(`/storage/v1/b?project=${NUMBER}`, '{"name":"a-bucket"}')).body.name).toBe('a-bucket')
    const uploaded = await ask('/upload/storage/v1/b/a-bucket/o?uploadType=media&name=a', 'plain text')
    expect(uploaded.body).toMatchObject({ name: 'a', size: '10' })
    expect((await yard.json('POST', `/v1/projects/${PROJECT}/serviceAccounts`, '{', {})).status).toBe(400)
  } finally {
    yard.crash()
  }
})

test('what is not gzip, or is cut off, is refused in one line', async () => {
  const whole = gzip('{"a":1}')
  for (const body of ['{"a":1}', whole.slice(0, -4)])
    await expect(readText(request(body, ZIPPED))).rejects.toThrow(
      'Content-Encoding: the body is not whole, or not gzip.',
    )
  await expect(readText(request('x', { 'content-encoding': 'br' }))).rejects.toThrow(
    'Content-Encoding: expected gzip or none of the request, got "br".',
  )
})

test('a message is bounded, by what it decompresses to', async () => {
  const long = 'x'.repeat(11 * 1024 * 1024)
  for (const body of [request(long), request(gzip(long), ZIPPED)])
    await expect(readText(body)).rejects.toThrow('Request payload size exceeds the limit: 10485760 bytes.')
  let size = 0
  for await (const chunk of bodyOf(request(gzip(long), ZIPPED))) size += chunk.byteLength
  expect(size).toBe(long.length)
})
