/** The bytes of stored objects: a file each in a folder, or memory. What has been written is on disk before `write` resolves. */
import { randomBytes } from 'node:crypto'
import { accessSync, constants, mkdirSync } from 'node:fs'
import { type FileHandle, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { InvokerError, reasonOf } from '../errors/errors.ts'

/** Bytes as they come in: a request body, or what is at hand. */
export type Bytes = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

export interface Contents {
  /** How many bytes there are; 0 for a key that was never written. */
  size(key: string): Promise<number>
  /**
   * Writes from offset `at` on, dropping what lay there and behind. Resolves with the new size.
   *
   * When the source breaks off, what had come is kept, and the source's error is thrown.
   */
  write(key: string, at: number, bytes: Bytes): Promise<number>
  /** The bytes from `start` up to, not including, `end`. */
  read(key: string, start: number, end: number): ReadableStream<Uint8Array<ArrayBuffer>>
  delete(key: string): Promise<void>
  /** Deletes everything that is not named: what a crash left behind. */
  keepOnly(keys: ReadonlySet<string>): Promise<void>
}

/** A key for new contents. */
export function newContentKey(): string {
  return randomBytes(16).toString('hex')
}

/**
 * Contents in a folder, made if need be; readable by nobody else.
 *
 * @throws {InvokerError} ERR_DATA_FOLDER
 */
export function contentsInFolder(folder: string): Contents {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    const sentence = `The objects folder ${folder} cannot be used: ${reasonOf(error)}.`
    const mend = 'Move away what is there, or name another data folder.'
    throw new InvokerError('ERR_DATA_FOLDER', sentence, { mend, cause: error })
  }
  const pathOf = (key: string) => join(folder, key)

  return {
    size: async (key) => {
      const file = Bun.file(pathOf(key))
      return (await file.exists()) ? file.size : 0
    },
    async write(key, at, bytes) {
      const file = await open(pathOf(key), constants.O_RDWR | constants.O_CREAT, 0o600)
      let end = at
      try {
        await file.truncate(at)
        for await (const chunk of bytes) end += await writeAll(file, chunk, end)
      } finally {
        await file.sync()
        await file.close()
        // A new file's name is part of the folder.
        await syncFolder(folder)
      }
      return end
    },
    read: (key, start, end) => Bun.file(pathOf(key)).slice(start, end).stream(),
    delete: (key) => rm(pathOf(key), { force: true }),
    async keepOnly(keys) {
      for (const entry of await readdir(folder, { withFileTypes: true }))
        if (entry.isFile() && !keys.has(entry.name)) await rm(pathOf(entry.name), { force: true })
    },
  }
}

export function contentsInMemory(): Contents {
  const kept = new Map<string, Blob>()
  return {
    size: (key) => Promise.resolve(kept.get(key)?.size ?? 0),
    async write(key, at, bytes) {
      const chunks: Uint8Array<ArrayBuffer>[] = []
      try {
        for await (const chunk of bytes) chunks.push(new Uint8Array(chunk))
      } finally {
        kept.set(key, new Blob([(kept.get(key) ?? new Blob()).slice(0, at), ...chunks]))
      }
      return kept.get(key)?.size ?? 0
    },
    read: (key, start, end) => (kept.get(key) ?? new Blob()).slice(start, end).stream(),
    delete: (key) => {
      kept.delete(key)
      return Promise.resolve()
    },
    keepOnly(keys) {
      for (const key of kept.keys()) if (!keys.has(key)) kept.delete(key)
      return Promise.resolve()
    },
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array, at: number): Promise<number> {
  let written = 0
  while (written < chunk.length) {
    const { bytesWritten } = await file.write(chunk, written, chunk.length - written, at + written)
    written += bytesWritten
  }
  return written
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
