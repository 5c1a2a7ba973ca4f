import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openYard } from '../builds.fixture.ts'
import { NUMBER, PROJECT } from '../products.fixture.ts'

const folder = mkdtempSync(join(tmpdir(), 'invoker-storage-'))
const yard = await openYard(join(folder, 'data'))
const { ask, json, state, objects } = yard
afterAll(async () => {
  await yard.apis.close()
  state.close()
  rmSync(folder, { recursive: true })
})

const BUCKET = `${PROJECT}_cloudbuild`
const B = `/storage/v1/b/${BUCKET}`
const UPLOAD = `/upload${B}/o`
objects.createBucket(BUCKET, PROJECT, {})

const put = (name: string, body: string) =>
  json('POST', `${UPLOAD}?uploadType=media&name=${encodeURIComponent(name)}`, undefined, { body })

function grant(role: string, member: string) {
  const project = state.project(PROJECT)
  if (!project) throw new Error('no project')
  const bindings = [...project.policy.bindings, { role, members: [member] }]
  state.projects.put(PROJECT, { ...project, policy: { ...project.policy, bindings } })
}

describe('buckets', () => {
  test('facts gcloud 3: a bucket that is not there is 404, is made, and is then listed by its prefix', async () => {
    const missing = await json('GET', '/storage/v1/b/new-bucket')
    expect(missing.status).toBe(404)
    expect(missing.body).toEqual({
      error: {
        code: 404,
        message: 'The specified bucket does not exist.',
        errors: [{ message: 'The specified bucket does not exist.', domain: 'global', reason: 'notFound' }],
      },
    })
    const made = await json('POST', `/storage/v1/b?project=${PROJECT}`, { name: 'new-bucket' })
    expect(made.status).toBe(200)
    expect(made.body).toMatchObject({ kind: 'storage#bucket', id: 'new-bucket', projectNumber: NUMBER })
    const list = await json('GET', `/storage/v1/b?prefix=new-bucket&project=${PROJECT}`)
    expect(list.body.items.map(({ id }: { id: string }) => id)).toEqual(['new-bucket'])
    const again = await json('POST', `/storage/v1/b?project=${PROJECT}`, { name: 'new-bucket' })
    expect([again.status, again.body.error.errors[0].reason]).toEqual([409, 'conflict'])
  })

  test("a bucket of Google's own is not among the project's", async () => {
    objects.googleBucket('of-google.example.com', PROJECT)
    const list = await json('GET', `/storage/v1/b?prefix=of-google&project=${PROJECT}`)
    expect(list.body.items).toBeUndefined()
  })

  test('only an empty bucket can be deleted', async () => {
    await json('POST', `/storage/v1/b?project=${PROJECT}`, { name: 'doomed' })
    await json('POST', '/upload/storage/v1/b/doomed/o?uploadType=media&name=x', 'x')
    const full = await json('DELETE', '/storage/v1/b/doomed')
    expect([full.status, full.body.error.message]).toEqual([
      409,
      'The bucket you tried to delete is not empty.',
    ])
    expect((await json('DELETE', '/storage/v1/b/doomed/o/x')).status).toBe(204)
    expect((await json('DELETE', '/storage/v1/b/doomed')).status).toBe(204)
    expect((await json('GET', '/storage/v1/b/doomed')).status).toBe(404)
  })

  test('tells gcloud that its folders are names only, before objects are moved or removed', async () => {
    expect((await json('GET', `${B}/storageLayout`)).body).toMatchObject({
      bucket: BUCKET,
      hierarchicalNamespace: { enabled: false },
    })
    expect((await json('GET', `${B}/managedFolders`)).body).toEqual({ kind: 'storage#managedFolders' })
    expect((await json('GET', '/storage/v1/b/no-such-bucket/storageLayout')).status).toBe(404)
  })

  test('a name that no bucket may have is refused', async () => {
    for (const name of ['', 'ab', 'Upper', 'goog-x', 'my-google-bucket', '-x-']) {
      const { status } = await json('POST', `/storage/v1/b?project=${PROJECT}`, { name })
      expect([name, status]).toEqual([name, 400])
    }
  })
})

describe('who may', () => {
  const reader = 'user:reader@example.com'
  const stranger = 'user:stranger@example.com'
  const editor = 'user:editor@example.com'
  grant('roles/viewer', reader)
  grant('roles/editor', editor)

  test('basic roles of the project hold on a new bucket, as its default policy says', async () => {
    await put('shared', 'text')
    const as = (member: string, method: string, url: string, body?: string) =>
      ask(method, url, { token: yard.token(member), ...(body ? { body } : {}) }).then(({ status }) => status)
    expect(await as(editor, 'POST', `${UPLOAD}?uploadType=media&name=by-editor`, 'x')).toBe(200)
    expect(await as(reader, 'GET', `${B}/o/shared?alt=media`)).toBe(200)
    expect(await as(reader, 'POST', `${UPLOAD}?uploadType=media&name=by-reader`, 'x')).toBe(403)
    expect(await as(reader, 'DELETE', `${B}/o/shared`)).toBe(403)
  })

  test('anyone else is refused in the sentence that names the permission', async () => {
    const { status, body } = await json('GET', `${B}/o/shared`, undefined, { token: yard.token(stranger) })
    expect(status).toBe(403)
    expect(body.error.message).toBe(
      "stranger@example.com does not have storage.objects.get access to the Google Cloud Storage object. Permission 'storage.objects.get' denied on resource (or it may not exist).",
    )
    expect(body.error.errors[0].reason).toBe('forbidden')
  })

  test('whether an object is there is not told to a stranger', async () => {
    const token = yard.token(stranger)
    expect((await json('GET', `${B}/o/nowhere`, undefined, { token })).status).toBe(403)
    expect((await json('GET', `${B}/o/nowhere`)).status).toBe(404)
  })

  test('an anonymous caller is asked for a credential, a wrong credential is called invalid', async () => {
    const nobody = await json('GET', `${B}/o/shared`, undefined, { token: null })
    expect([nobody.status, nobody.body.error.errors[0].reason]).toEqual([401, 'required'])
    expect(nobody.body.error.message).toStartWith('Anonymous caller does not have storage.objects.get access')
    const wrong = await json('GET', `${B}/o/shared`, undefined, { token: 'ya29.wrong' })
    expect([wrong.status, wrong.body.error.message]).toEqual([401, 'Invalid Credentials'])
  })
})

describe('uploads in one request', () => {
  test("facts gcloud 4.6: gcloud's multipart, its boundary in single quotes and its lines ended by a bare LF", async () => {
    const media = Buffer.concat([
      Buffer.from('\n--not the end\r\n'),
      Buffer.from([0, 255, 10, 13, 10]),
      Buffer.from('--=='),
    ])
    const body = Buffer.concat([
      Buffer.from(
        '--===============1==\nContent-Type: application/json\nMIME-Version: 1.0\n\n{"size": "24"}\n',
      ),
      Buffer.from(
        '--===============1==\nContent-Type: application/x-tar\nMIME-Version: 1.0\nContent-Transfer-Encoding: binary\n\n',
      ),
      media,
      Buffer.from('\n--===============1==--\n'),
    ])
    const { status, body: object } = await json(
      'POST',
      `${UPLOAD}?uploadType=multipart&name=source%2F1.tgz`,
      undefined,
      { body, headers: { 'content-type': "multipart/related; boundary='===============1=='" } },
    )
    expect(status).toBe(200)
    expect(object).toMatchObject({
      kind: 'storage#object',
      name: 'source/1.tgz',
      bucket: BUCKET,
      contentType: 'application/x-tar',
      size: String(media.length),
      generation: expect.stringMatching(/^\d{16}$/),
    })
    const back = await ask('GET', `${B}/o/source%2F1.tgz?alt=media`)
    expect(Buffer.from(await back.arrayBuffer())).toEqual(media)
  })

  test('multipart with CRLF, however its chunks are cut', async () => {
    const text = '--b\r\nContent-Type: application/json\r\n\r\n{"name":"cut"}\r\n--b\r\n\r\nhello\r\n--b--'
    for (const size of [1, 2, 3, 7]) {
      const chunks = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
        text.slice(at * size, (at + 1) * size),
      )
      const body = new ReadableStream({
        start(controller) {
          for (const chunk of chunks) controller.enqueue(Buffer.from(chunk))
          controller.close()
        },
      })
      const headers = { 'content-type': 'multipart/related; boundary="b"' }
      const { body: object } = await json('POST', `${UPLOAD}?uploadType=multipart`, undefined, {
        body,
        headers,
      })
      expect([size, object.name, object.size]).toEqual([size, 'cut', '5'])
    }
  })

  test('a multipart body that ends before its media does is refused and leaves nothing', async () => {
    const body = '--b\n\n{"name":"torn"}\n--b\n\nhel'
    const headers = { 'content-type': 'multipart/related; boundary=b' }
    const { status } = await json('POST', `${UPLOAD}?uploadType=multipart`, undefined, { body, headers })
    expect(status).toBe(400)
    expect((await json('GET', `${B}/o/torn`)).status).toBe(404)
  })

  test('a condition on the generation decides who wins', async () => {
    await put('once', '1')
    const { status, body } = await json(
      'POST',
      `${UPLOAD}?uploadType=media&name=once&ifGenerationMatch=0`,
      '2',
    )
    expect([status, body.error.errors[0].reason]).toEqual([412, 'conditionNotMet'])
  })

  test('names of any kind come back as they went', async () => {
    for (const name of ['a b', '100%', 'ü/ß?#&+', '%2F', 'x//y', '😀']) {
      expect([name, (await put(name, name)).body.name]).toEqual([name, name])
      const back = await ask('GET', `${B}/o/${encodeURIComponent(name)}?alt=media`)
      expect([name, await back.text()]).toEqual([name, name])
    }
  })
})

describe('resumable uploads', () => {
  const begin = async (name: string, url = `http://127.0.0.1:8080/resumable${UPLOAD}`) => {
    const response = await ask('POST', `${url}?uploadType=resumable&name=${name}`, {
      body: '{"size": "10"}',
      headers: { 'x-upload-content-type': 'application/x-tar' },
    })
    expect(response.status).toBe(200)
    return response.headers.get('location') ?? ''
  }
  const send = (url: string, range: string, body: string) =>
    ask('PUT', url, { body, headers: { 'content-range': range }, token: null })

  test('facts gcloud 4.6: a session, chunks, and the object at the end', async () => {
    const url = await begin('big')
    const first = await send(url, 'bytes 0-3/10', '0123')
    expect([first.status, first.headers.get('range')]).toEqual([308, 'bytes=0-3'])
    const last = await send(url, 'bytes 4-9/10', '456789')
    expect(last.status).toBe(200)
    expect(await last.json()).toMatchObject({ name: 'big', size: '10', contentType: 'application/x-tar' })
    // A client that did not hear the answer asks again.
    expect((await send(url, 'bytes */10', '')).status).toBe(200)
  })

  test('the client goes on by the way that it came', async () => {
    expect(await begin('a')).toStartWith('http://127.0.0.1:8080/resumable/upload/storage/v1/b/')
    expect(await begin('b', `https://storage.googleapis.com${UPLOAD}`)).toStartWith(
      'https://storage.googleapis.com/upload/storage/v1/b/',
    )
  })

  test('a status query says how much is safe; what is sent twice counts once', async () => {
    const url = await begin('status')
    const none = await send(url, 'bytes */*', '')
    expect([none.status, none.headers.get('range')]).toEqual([308, null])
    await send(url, 'bytes 0-5/10', '012345')
    const some = await send(url, 'bytes */10', '')
    expect(some.headers.get('range')).toBe('bytes=0-5')
    expect((await send(url, 'bytes 4-9/10', '456789')).status).toBe(200)
    expect(await (await ask('GET', `${B}/o/status?alt=media`)).text()).toBe('0123456789')
  })

  test('a gap is refused', async () => {
    const url = await begin('gap')
    const response = await send(url, 'bytes 4-9/10', '456789')
    expect(response.status).toBe(400)
    expect(await response.text()).toContain(
      'the upload offset is 4 byte(s), which exceeds already uploaded size of 0',
    )
  })

  test('a total that is known only at the end', async () => {
    const url = await begin('streamed')
    expect((await send(url, 'bytes 0-3/*', '0123')).status).toBe(308)
    expect((await send(url, 'bytes 4-5/6', '45')).status).toBe(200)
  })

  test('an upload that is given up is gone', async () => {
    const url = await begin('given-up')
    expect((await ask('DELETE', url)).status).toBe(499)
    expect((await send(url, 'bytes 0-9/10', '0123456789')).status).toBe(404)
  })

  test('an upload goes on after a restart where it was', async () => {
    const data = join(folder, 'restart')
    const before = await openYard(data)
    before.objects.createBucket(BUCKET, PROJECT, {})
    const started = await before.ask('POST', `${UPLOAD}?uploadType=resumable&name=x`, { body: '' })
    const url = started.headers.get('location') ?? ''
    const half = { body: '01234', headers: { 'content-range': 'bytes 0-4/10' } }
    expect((await before.ask('PUT', url, half)).status).toBe(308)
    before.crash()
    const after = await openYard(data)
    const status = await after.ask('PUT', url, { body: '', headers: { 'content-range': 'bytes */10' } })
    expect(status.headers.get('range')).toBe('bytes=0-4')
    const rest = { body: '56789', headers: { 'content-range': 'bytes 5-9/10' } }
    expect((await after.ask('PUT', url, rest)).status).toBe(200)
    expect(await (await after.ask('GET', `${B}/o/x?alt=media`)).text()).toBe('0123456789')
    after.crash()
  })
})

describe('downloads', () => {
  const log = `https://storage.googleapis.com/${BUCKET}/dir/log.txt`
  const range = (from: number) => ask('GET', log, { headers: { range: `bytes=${from}-` } })

  test('facts gcloud 4.5: the log of a build by range, 206, then 416 at its end, 404 before it is there', async () => {
    const absent = await range(0)
    expect(absent.status).toBe(404)
    expect(await absent.text()).toBe(
      `<?xml version='1.0' encoding='UTF-8'?><Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Details>No such object: ${BUCKET}/dir/log.txt</Details></Error>`,
    )
    await put('dir/log.txt', '0123456789')
    const part = await range(4)
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([
      206,
      'bytes 4-9/10',
      '456789',
    ])
    const end = await range(10)
    expect([end.status, end.headers.get('content-type')]).toEqual([416, 'application/xml; charset=UTF-8'])
  })

  test("on the emulator's own name such a path is not taken for a bucket", async () => {
    expect((await ask('GET', `/${BUCKET}/dir/log.txt`)).headers.get('content-type')).toStartWith(
      'application/json',
    )
  })

  test('a download carries the sums of the bytes', async () => {
    await put('sums', '123456789')
    const { headers } = await ask('GET', `/download${B}/o/sums?alt=media`)
    expect(headers.get('x-goog-hash')).toBe('crc32c=4waSgw==,md5=JfnnlDI7RTiF9RgfG2JNCw==')
    expect(headers.get('content-length')).toBe('9')
  })

  test('an object that is not there is told in plain words to whoever wants its bytes', async () => {
    const response = await ask('GET', `${B}/o/nowhere?alt=media`)
    expect([response.status, await response.text()]).toEqual([404, `No such object: ${BUCKET}/nowhere`])
  })
})

describe('lists', () => {
  test('by prefix, with what is behind a delimiter folded, in pages', async () => {
    await json('POST', `/storage/v1/b?project=${PROJECT}`, { name: 'listed' })
    for (const name of ['a', 'd/1', 'd/2', 'e/1', 'f'])
      await json(
        'POST',
        `/upload/storage/v1/b/listed/o?uploadType=media&name=${encodeURIComponent(name)}`,
        'x',
      )
    const names = (body: { items?: { name: string }[] }) => body.items?.map(({ name }) => name)
    const folded = await json('GET', '/storage/v1/b/listed/o?delimiter=/')
    expect([names(folded.body), folded.body.prefixes]).toEqual([
      ['a', 'f'],
      ['d/', 'e/'],
    ])
    expect(names((await json('GET', '/storage/v1/b/listed/o?prefix=d/')).body)).toEqual(['d/1', 'd/2'])
    const first = await json('GET', '/storage/v1/b/listed/o?maxResults=3')
    expect(names(first.body)).toEqual(['a', 'd/1', 'd/2'])
    const next = await json(
      'GET',
      `/storage/v1/b/listed/o?maxResults=3&pageToken=${first.body.nextPageToken}`,
    )
    expect([names(next.body), next.body.nextPageToken]).toEqual([['e/1', 'f'], undefined])
  })
})

test('an object is copied from bucket to bucket', async () => {
  await put('source', 'copied')
  const { status, body } = await json('POST', `${B}/o/source/rewriteTo/b/${BUCKET}/o/deep%2Fcopy`)
  expect([status, body.done, body.resource.name]).toEqual([200, true, 'deep/copy'])
  expect(await (await ask('GET', `${B}/o/deep%2Fcopy?alt=media`)).text()).toBe('copied')
})

test('a project that has the API off may not make buckets', async () => {
  const project = state.project(PROJECT)
  if (!project) throw new Error('no project')
  state.projects.put(PROJECT, { ...project, enabledServices: [] })
  const { status, body } = await json('POST', `/storage/v1/b?project=${PROJECT}`, { name: 'off-bucket' })
  state.projects.put(PROJECT, project)
  expect([status, body.error.details[0].reason]).toEqual([403, 'SERVICE_DISABLED'])
})
