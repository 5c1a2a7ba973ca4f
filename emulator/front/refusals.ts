/** What a listener answers itself, before any room. */
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { BAD_REQUEST, type Page, SERVER_ERROR } from '../wire/google-page.ts'
import { attempt } from '../wire/guard.ts'

export function refuse(outgoing: ServerResponse, status: number, message: string): void {
  outgoing.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' })
  outgoing.end(`${message}\n`)
}

/** In the words and the shape of the control API. */
export function refuseJson(outgoing: ServerResponse, error: string): void {
  outgoing.writeHead(403, { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' })
  outgoing.end(`${JSON.stringify({ error })}\n`)
}

/** A page before any room: the last thing on its connection. */
export function sendPage(outgoing: ServerResponse, { status, reason, contentType, body }: Page): void {
  outgoing.writeHead(status, reason, {
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
    Connection: 'close',
  })
  outgoing.end(body)
}

export function refuseSocket(socket: Duplex): void {
  const { status, reason, contentType, body } = BAD_REQUEST
  if (!socket.writable) return void socket.destroy()
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nContent-Type: ${contentType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}

/** Nothing of ours may end a listener: a fault is logged, and its request is answered where that can still be done. */
export function fault(error: unknown, log: (line: string) => void, end: ServerResponse | Duplex): void {
  attempt(
    () => {
      log(`fault: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
      if ('headersSent' in end && !end.headersSent && !end.destroyed) sendPage(end, SERVER_ERROR)
      else end.destroy()
    },
    () => end.destroy(),
  )
}
