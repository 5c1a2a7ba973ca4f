/** `Range` and `Content-Range` (RFC 9110). Pure. */

/** A slice of an object: from `start` up to, not including, `end`. */
export interface Slice {
  readonly start: number
  readonly end: number
}

/**
 * What a `Range` header asks of so many bytes: a slice; `whole` where it asks for nothing that is understood, as several
 * ranges at once; `unsatisfiable` where none of it is there.
 */
export function rangeOf(header: string | undefined, size: number): Slice | 'whole' | 'unsatisfiable' {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '') ?? []
  if (from === undefined || to === undefined || (from === '' && to === '')) return 'whole'
  if (from === '') {
    const length = Math.min(Number(to), size)
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size }
  }
  const start = Number(from)
  const end = to === '' ? size : Math.min(Number(to) + 1, size)
  if (to !== '' && Number(to) < start) return 'whole'
  return start >= size ? 'unsatisfiable' : { start, end }
}

/** What a `Content-Range` of an upload says. Without `start` the request brings nothing: it asks how far the upload is. */
export interface UploadRange {
  readonly start?: number
  /** The last byte is `end - 1`. */
  readonly end?: number
  /** How long the whole is; undefined while the client does not know. */
  readonly total?: number
}

/** Undefined for what is no `Content-Range` of an upload. */
export function uploadRangeOf(header: string): UploadRange | undefined {
  const [, start, last, total] = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(header.trim()) ?? []
  if (total === undefined) return undefined
  return {
    ...(start === undefined || last === undefined ? {} : { start: Number(start), end: Number(last) + 1 }),
    ...(total === '*' ? {} : { total: Number(total) }),
  }
}
