/**
 * `multipart/related` uploads: one part of JSON, one of media.
 *
 * Parsed by hand because no library takes what gcloud sends (facts gcloud 4.6): a boundary in single quotes, and lines that
 * end with a bare LF. The media is passed on as it comes; it is never held as a whole.
 */
import { StorageRefusal } from './refusal.ts'

export interface RelatedParts {
  /** The first part's body. */
  readonly json: string
  /** Content-Type of the media. */
  readonly contentType: string | undefined
  readonly media: AsyncIterable<Uint8Array>
}

/** Heads and JSON of an upload; nobody's are longer. Bytes. */
const LONGEST_PREAMBLE = 1024 * 1024

/** The boundary that a Content-Type names, quoted either way or not at all. */
export function boundaryOf(contentType: string | undefined): string {
  const [, double, single, bare] =
    /^multipart\/related\s*;(?:.*;)?\s*boundary\s*=\s*(?:"([^"]+)"|'([^']+)'|([^\s;]+))/i.exec(
      contentType ?? '',
    ) ?? []
  const boundary = double ?? single ?? bare
  if (!boundary) throw malformed('Missing boundary in Content-Type.')
  return boundary
}

export async function readRelated(body: AsyncIterable<Uint8Array>, boundary: string): Promise<RelatedParts> {
  const source = body[Symbol.asyncIterator]()
  let head: Buffer = Buffer.alloc(0)
  const more = async () => {
    const { done, value } = await source.next()
    if (done) throw malformed('Malformed multipart body.')
    head = Buffer.concat([head, value])
    if (head.length > LONGEST_PREAMBLE) throw malformed('Malformed multipart body.')
  }
  /** Everything before `end`, which is dropped with it. */
  const until = async (end: string): Promise<Buffer> => {
    let at = head.indexOf(end)
    for (; at < 0; at = head.indexOf(end)) await more()
    const before = head.subarray(0, at)
    head = head.subarray(at + end.length)
    return before
  }

  await until(`--${boundary}`)
  while (head.length < 2) await more()
  const newline = head.subarray(0, 2).toString('latin1') === '\r\n' ? '\r\n' : '\n'
  await until(newline + newline)
  const json = (await until(`${newline}--${boundary}`)).toString('utf8')
  const headers = (await until(newline + newline)).toString('latin1')
  return {
    json,
    contentType: /^content-type:\s*(.+?)\s*$/im.exec(headers)?.[1],
    media: media(head, source, Buffer.from(`${newline}--${boundary}`)),
  }
}

/** What comes before the delimiter. As much as a delimiter is long is held back, since one may be cut in two by a chunk's end. */
async function* media(
  first: Buffer,
  source: AsyncIterator<Uint8Array>,
  delimiter: Buffer,
): AsyncGenerator<Uint8Array> {
  let held = first
  for (;;) {
    const at = held.indexOf(delimiter)
    if (at >= 0) {
      yield held.subarray(0, at)
      // The rest is read, so that the connection can be used again.
      while (!(await source.next()).done);
      return
    }
    const safe = Math.max(0, held.length - delimiter.length + 1)
    if (safe > 0) yield held.subarray(0, safe)
    const { done, value } = await source.next()
    if (done) throw malformed('Malformed multipart body.')
    held = Buffer.concat([held.subarray(safe), value])
  }
}

function malformed(message: string): StorageRefusal {
  return new StorageRefusal('invalid', message)
}
