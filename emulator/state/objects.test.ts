import { afterAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bytes } from './contents.ts'
import { ObjectStore, showCrc32c } from './objects.ts'
import { State } from './state.ts'

const folder = mkdtempSync(join(tmpdir(), 'invoker-objects-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function open(data?: string) {
  const state = await State.open({
    projectId: 'demo-project',
    projectNumber: '123456789012',
    scheme: 'http',
    region: 'us-central1',
    owner: 'owner@example.com',
    clock: Date.now,
    groups: new Map(),
    domains: new Map(),
    ...(data === undefined ? {} : { data }),
  })
  return { state, store: await ObjectStore.open(state, data) }
}

const bytes = (text: string): Bytes => [Buffer.from(text)]
const textOf = (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => new Response(stream).text()

for (const [where, data] of [
  ['in memory', undefined],
  ['in a folder', join(folder, 'both')],
] as const) {
  describe(where, async () => {
    const { store } = await open(data)

    test('an object has the sums of its bytes', async () => {
      const object = await store.insert('b', 'sums', {}, bytes('123456789'))
      expect(object.size).toBe(9)
      expect(object.md5).toBe(createHash('md5').update('123456789').digest('base64'))
      // The check value of CRC-32C.
      expect(showCrc32c(object.crc32c)).toBe(Buffer.from('e3069283', 'hex').toString('base64'))
    })

    test('a slice of an object is read without the rest', async () => {
      const object = await store.insert('b', 'slice', {}, bytes('0123456789'))
      expect(await textOf(store.read(object, 3, 6))).toBe('345')
      expect(await textOf(store.read(object))).toBe('0123456789')
    })

    test('an object that grows has the CRC of the whole and no MD5', async () => {
      const first = await store.insert('b', 'log', {}, bytes('1234'))
      const grown = await store.append(first, Buffer.from('56789'))
      expect(grown.crc32c).toBe(0xe3069283)
      expect(grown.md5).toBeUndefined()
      expect(await textOf(store.read(grown))).toBe('123456789')
    })

    test('generations grow, and a condition on one is held', async () => {
      const first = await store.insert('b', 'again', {}, bytes('1'), { ifGenerationMatch: '0' })
      await expect(
        store.insert('b', 'again', {}, bytes('2'), { ifGenerationMatch: '0' }),
      ).rejects.toMatchObject({
        code: 'condition',
      })
      const second = await store.insert('b', 'again', {}, bytes('3'), { ifGenerationMatch: first.generation })
      expect(Number(second.generation)).toBeGreaterThan(Number(first.generation))
    })

    test('bytes that are not what their sum says are refused', async () => {
      await expect(store.insert('b', 'wrong', {}, bytes('x'), { crc32c: 'AAAAAA==' })).rejects.toMatchObject({
        code: 'checksum',
      })
      expect(store.object('b', 'wrong')).toBeUndefined()
    })

    test('a source that breaks off leaves no object', async () => {
      async function* broken() {
        yield Buffer.from('half')
        throw new Error('connection reset')
      }
      await expect(store.insert('b', 'broken', {}, broken())).rejects.toThrow('connection reset')
      expect(store.object('b', 'broken')).toBeUndefined()
    })

    test('an upload keeps what had come when its connection broke', async () => {
      const upload = store.startUpload({ bucket: 'b', name: 'up', attributes: {}, conditions: {} })
      async function* broken() {
        yield Buffer.from('half')
        throw new Error('connection reset')
      }
      await expect(store.continueUpload(upload, 0, broken())).rejects.toThrow('connection reset')
      expect(await store.received(upload)).toBe(4)
      await store.continueUpload(upload, 4, bytes(' and half'))
      expect(await textOf(store.read(await store.finishUpload(upload)))).toBe('half and half')
    })

    test('objects are listed in the order of their UTF-8 bytes', async () => {
      for (const name of ['\u{1f600}', '\uffee', 'b', 'a/2', 'a'])
        await store.insert('order', name, {}, bytes(''))
      expect(store.list('order').map(({ name }) => name)).toEqual(['a', 'a/2', 'b', '\uffee', '\u{1f600}'])
    })
  })
}

test('after a crash, buckets, objects and uploads are as they were acknowledged, and nothing else is left', async () => {
  const data = join(folder, 'crash')
  const first = await open(data)
  first.store.createBucket('b', 'demo-project', {})
  await first.store.insert('b', 'replaced', {}, bytes('old'))
  await first.store.insert('b', 'replaced', {}, bytes('new'))
  const log = await first.store.insert('b', 'log', {}, bytes('line 1\n'))
  const upload = first.store.startUpload({ bucket: 'b', name: 'up', attributes: {}, conditions: {} })
  await first.store.continueUpload(upload, 0, bytes('first half, '))
  // Bytes whose record was never written: what a crash between the two leaves.
  await Bun.write(join(data, 'objects', 'orphan'), 'x')
  first.state.close()

  const { state, store } = await open(data)
  expect(store.buckets.get('b')?.project).toBe('demo-project')
  expect(await textOf(store.read(store.object('b', 'replaced') ?? log))).toBe('new')
  const resumed = store.upload(upload.id)
  expect(resumed && (await store.received(resumed))).toBe(12)
  if (resumed) await store.continueUpload(resumed, 12, bytes('second half'))
  if (resumed) expect((await store.finishUpload(resumed)).size).toBe(23)
  const grown = await store.append(log, Buffer.from('line 2\n'))
  expect(await textOf(store.read(grown))).toBe('line 1\nline 2\n')
  expect(readdirSync(join(data, 'objects'))).toHaveLength(3)
  state.close()
})

test('the bytes of a project are readable by its user alone', async () => {
  const data = join(folder, 'private')
  const { state } = await open(data)
  const { mode } = await Bun.file(join(data, 'objects')).stat()
  expect(mode & 0o077).toBe(0)
  state.close()
})
