/** Lines for a terminal or a file, written together: a write for each would cost a request more than its decision. */

export interface Lines {
  add(line: string): void
  /** Writes what is waiting, now. */
  flush(): void
}

/** Soon enough for whoever watches; late enough for a crowd of requests to share it. Milliseconds. */
const DELAY = 10
/** What is written at once, however soon. Characters. */
const MOST = 64 * 1024

export function linesTo(write: (text: string) => void): Lines {
  let waiting = ''
  let timer: ReturnType<typeof setTimeout> | undefined
  const flush = () => {
    clearTimeout(timer)
    timer = undefined
    const text = waiting
    waiting = ''
    if (text !== '') write(text)
  }
  return {
    add(line) {
      waiting += `${line}\n`
      if (waiting.length >= MOST) flush()
      else timer ??= setTimeout(flush, DELAY)
    },
    flush,
  }
}
