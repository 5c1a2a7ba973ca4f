/** Request bodies as they come over the wire: gzip is undone, because Java's API client sends every body so. */
import { ApiError, invalid } from './errors.ts'

/** Google's limit for messages, seen in the wild for several APIs; which of them have another is not known. Bytes. */
const MOST = 10 * 1024 * 1024

/** Encodings that Google's clients do not use, so that there is nothing to compare with. */
const NOT_READ = /^(?:br|deflate|compress|zstd)$/

/** The body, decoded, however long it is. */
export function bodyOf(request: Request): AsyncIterable<Uint8Array> {
  const { body } = request
  if (!body) return nothing()
  const coding = request.headers.get('content-encoding')?.trim().toLowerCase() ?? 'identity'
  if (NOT_READ.test(coding))
    throw invalid(`Content-Encoding: expected gzip or none of the request, got ${JSON.stringify(coding)}.`)
  return coding === 'gzip' || coding === 'x-gzip' ? gunzipped(body) : body
}

/**
 * The body as text, bounded as it is decoded: a small request may be a large one in disguise.
 *
 * @throws {ApiError} for one that is too long, or not in the encoding that it says
 */
export async function readText(request: Request, most = MOST): Promise<string> {
  // Without a coding there is nothing to undo, and the length is known where it is given.
  if (Number(request.headers.get('content-length') ?? 0) > most) throw tooLong(most)
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of bodyOf(request)) {
    size += chunk.byteLength
    if (size > most) throw tooLong(most)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function tooLong(most: number): ApiError {
  return invalid(`Request payload size exceeds the limit: ${most} bytes.`)
}

async function* gunzipped(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body.pipeThrough(new DecompressionStream('gzip'))) yield chunk
  } catch (cause) {
    // Inferred wording.
    throw new ApiError('INVALID_ARGUMENT', 'Content-Encoding: the body is not whole, or not gzip.', { cause })
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
