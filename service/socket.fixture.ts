/** For tests: one connection, to the byte. */
import { connect } from 'node:net'

export interface Caller {
  write(text: string): void
  /** Sends nothing more, and still listens. */
  end(): void
  /** What has come, once it ends in `end`. Rejects when the other side closes before. */
  until(end: string): Promise<string>
  /** What has come, once the other side has closed. */
  all(): Promise<string>
}

export async function connectTo(port: number): Promise<Caller> {
  // Only what is asked for is closed: a caller may have sent its last word and still be listening.
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  const connected = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  let text = ''
  let changed = Promise.withResolvers<void>()
  socket.on('connect', connected.resolve)
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    changed.resolve()
    changed = Promise.withResolvers()
  })
  socket.on('error', (error) => {
    connected.reject(error)
    closed.resolve()
  })
  for (const event of ['end', 'close'] as const) socket.on(event, () => closed.resolve())
  await connected.promise
  return {
    write: (part) => {
      if (socket.writable) socket.write(part)
    },
    end: () => socket.end(),
    async until(end) {
      while (!text.endsWith(end)) {
        const outcome = await Promise.race([changed.promise, closed.promise.then(() => 'closed')])
        if (outcome === 'closed' && !text.endsWith(end))
          throw new Error(`closed after ${JSON.stringify(text)}`)
      }
      const found = text
      text = ''
      return found
    },
    async all() {
      await closed.promise
      socket.destroy()
      return text
    },
  }
}
