/**
 * Where the body of a message ends (RFC 9112 6): decided once, from every header that says so, and written anew from what was
 * decided. Two servers that read the same head differently see different requests in the same bytes.
 */
import type { RawHeaders } from './raw-headers.ts'

export type Framing =
  | { readonly kind: 'none' }
  /** Bytes, as `Content-Length` says. */
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }

/** What is wrong with a head, in words for a log. */
export interface Malformed {
  readonly kind: 'malformed'
  readonly fault: string
}

const NONE: Framing = { kind: 'none' }
const CHUNKED: Framing = { kind: 'chunked' }

/**
 * Stricter than the standard where servers differ: one length, in digits, and no other beside it, not even an equal one;
 * `chunked` alone; never both.
 */
export function framingOf(raw: RawHeaders, httpVersion: string): Framing | Malformed {
  let length: string | undefined
  let coding: string | undefined
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? ''
    // Most names are told from these two by their length alone.
    if (name.length === 14 && name.toLowerCase() === 'content-length') {
      if (length !== undefined) return malformed('Content-Length is there twice')
      length = raw[index + 1] ?? ''
    } else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
      if (coding !== undefined) return malformed('Transfer-Encoding is there twice')
      coding = raw[index + 1] ?? ''
    }
  }
  if (coding !== undefined) {
    if (length !== undefined) return malformed('there are both Transfer-Encoding and Content-Length')
    if (coding.toLowerCase() !== 'chunked') return malformed('Transfer-Encoding is not chunked')
    if (httpVersion !== '1.1') return malformed(`Transfer-Encoding in HTTP/${httpVersion}`)
    return CHUNKED
  }
  if (length === undefined) return NONE
  const bytes = /^\d{1,16}$/.test(length) ? Number(length) : Number.NaN
  return Number.isSafeInteger(bytes)
    ? { kind: 'length', length: bytes }
    : malformed('Content-Length is not a number of bytes')
}

/** The header that says it, name and value. */
export function framingHeaders(framing: Framing): readonly string[] {
  if (framing.kind === 'chunked') return ['Transfer-Encoding', 'chunked']
  return framing.kind === 'length' ? ['Content-Length', String(framing.length)] : []
}

/** True where bytes follow the head. */
export function hasBody(framing: Framing): boolean {
  return framing.kind === 'chunked' || (framing.kind === 'length' && framing.length > 0)
}

function malformed(fault: string): Malformed {
  return { kind: 'malformed', fault }
}
