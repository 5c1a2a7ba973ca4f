/** Streams of bytes cut into lines. */

/** Longer lines come in parts: Cloud Logging takes entries up to 256 KiB. Characters. */
const LONGEST = 256 * 1024

/** Calls `onLine` with every line, without its end. Resolves when the stream ends, however it does. */
export async function readLines(
  stream: AsyncIterable<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ''
  const take = (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line.endsWith('\r') ? line.slice(0, -1) : line)
    for (; rest.length > LONGEST; rest = rest.slice(LONGEST)) onLine(rest.slice(0, LONGEST))
  }
  try {
    for await (const chunk of stream) take(decoder.decode(chunk, { stream: true }))
  } catch {
    // The other end is gone: what has come is all there is.
  }
  take(decoder.decode())
  if (rest) onLine(rest)
}
