/** Headers that are for one connection only, and end where it ends (RFC 9110 7.6.1). */
import type { RawHeaders } from './raw-headers.ts'

/** facts 1.5: never passed on, in either direction. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
/** What `Connection` may not name away: how the message is framed, and who is calling. */
const KEPT: ReadonlySet<string> = new Set([
  'authorization',
  'content-length',
  'host',
  'x-serverless-authorization',
])

/** The headers that `Connection` says are for this hop only. Undefined when there are none, as nearly always. */
export function namedByConnection(raw: RawHeaders): ReadonlySet<string> | undefined {
  let names: Set<string> | undefined
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index]
    if (name?.length !== 10 || name.toLowerCase() !== 'connection') continue
    for (const part of (raw[index + 1] ?? '').toLowerCase().split(',')) {
      const key = part.trim()
      if (key !== '' && key !== 'keep-alive' && key !== 'close' && key !== 'upgrade' && !KEPT.has(key)) {
        names ??= new Set()
        names.add(key)
      }
    }
  }
  return names
}

/** What a plain proxy passes on. The caller writes anew how the message is framed. */
export function endToEnd(raw: RawHeaders): string[] {
  const named = namedByConnection(raw)
  const kept: string[] = []
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? ''
    const key = name.toLowerCase()
    if (key === 'content-length' || HOP_BY_HOP.has(key) || key.startsWith('proxy-') || named?.has(key))
      continue
    kept.push(name, raw[index + 1] ?? '')
  }
  return kept
}
