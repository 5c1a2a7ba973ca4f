/** Heads of answers that somebody else made: a container, another server. What HTTP cannot say is never half written. */
import type { ServerResponse } from 'node:http'
import type { AnswerHead } from './answer-reader.ts'
import { type Framing, framingOf, type Malformed } from './framing.ts'
import type { RawHeaders } from './raw-headers.ts'

/** A target as it may stand in a request's first line. */
const TARGET = /^[\x21-\x7e\x80-\xff]+$/
/** What would end a line, and begin another one. */
const LINE_BREAK = /[\r\n\0]/

/** The head of a request, as it is sent; undefined where that would be another request than the one meant. */
export function requestHead(method: string, target: string, headers: RawHeaders): string | undefined {
  if (!TARGET.test(target)) return undefined
  let head = `${method} ${target} HTTP/1.1\r\n`
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const value = headers[index + 1] ?? ''
    if (LINE_BREAK.test(value)) return undefined
    head += `${headers[index]}: ${value}\r\n`
  }
  return `${head}\r\n`
}

/** How a final answer is framed. What is no final answer, or says two things about its length, is malformed. */
export function answerFraming({ status, headers, version }: AnswerHead): Framing | Malformed {
  if (status < 200) return { kind: 'malformed', fault: `the status is ${status}` }
  const framing = framingOf(headers, version)
  // facts 7.13. A client that believed the length would wait for what never comes; one of 0 says nothing wrong.
  if (status === 204 && (framing.kind === 'chunked' || (framing.kind === 'length' && framing.length > 0)))
    return { kind: 'malformed', fault: 'a 204, which has no body, says how long its body is' }
  return framing
}

/** Writes the head. Where that cannot be, nothing of it is kept, so that another can be written; returns what is wrong. */
export function writeHead(
  outgoing: ServerResponse,
  status: number,
  reason: string | undefined,
  headers: RawHeaders,
): string | undefined {
  try {
    outgoing.writeHead(status, reason, [...headers])
    return undefined
  } catch (error) {
    // Node keeps what it had taken before it threw: a length, say, of a body that will not be sent.
    for (const name of outgoing.getHeaderNames()) outgoing.removeHeader(name)
    outgoing.statusMessage = ''
    return error instanceof Error ? error.message : String(error)
  }
}

/** The most hints that one request is given: each is written, and waits to be read. */
export const MOST_HINTS = 16

/** Passes on the links of a 103, one value each; those that Node would not write are dropped, and so is what else a hint says. */
export function writeEarlyHints(outgoing: ServerResponse, raw: RawHeaders): void {
  const link: string[] = []
  for (let index = 0; index + 1 < raw.length; index += 2) {
    if (raw[index]?.toLowerCase() === 'link') link.push(...linkValues(raw[index + 1] ?? ''))
  }
  if (link.length === 0) return
  try {
    outgoing.writeEarlyHints({ link })
  } catch {
    // A hint may be lost; the answer is still to come.
  }
}

/** `<a>; rel=x, <b>; rel=y` one by one: a comma inside `<…>` or a quoted string does not part two of them. */
function linkValues(value: string): string[] {
  return (value.match(/(?:<[^>]*>|"[^"]*"|[^,<"])+/g) ?? []).map((part) => part.trim()).filter(Boolean)
}
