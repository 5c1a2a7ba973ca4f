/** The rooms that are Hono apps: a raw request becomes a `Request` on its way in. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import type { FrontRequest, RoomBindings } from './request.ts'

/** A Hono room. */
export interface WebRoom {
  fetch(request: Request, bindings: RoomBindings): Response | Promise<Response>
}

/** Answers one request in a room. */
export type WebListener = (request: FrontRequest, room: WebRoom, outgoing: ServerResponse) => Promise<void>

export function webListener(): WebListener {
  const routes = new WeakMap<IncomingMessage, { readonly room: WebRoom; readonly bindings: RoomBindings }>()
  const listener = getRequestListener(
    (request, env) => {
      const route = 'incoming' in env ? routes.get(env.incoming as IncomingMessage) : undefined
      return route ? route.room.fetch(request, route.bindings) : new Response(null, { status: 500 })
    },
    { overrideGlobalObjects: false },
  )
  return async ({ incoming, host, scheme, peer }, room, outgoing) => {
    routes.set(incoming, { room, bindings: { host, scheme, peer } })
    // Whoever asks before it sends is told to go on: these rooms read what they are sent.
    if (incoming.headers.expect !== undefined && incoming.httpVersion === '1.1') outgoing.writeContinue()
    spellHeaders(outgoing)
    await listener(incoming, outgoing)
  }
}

/** Over HTTP/1.1 Google writes `Content-Type`; a `Headers` object knows only lower case. */
function spellHeaders(outgoing: ServerResponse): void {
  const setHeader = outgoing.setHeader.bind(outgoing)
  outgoing.setHeader = (name, value) => setHeader(titleCase(name), value)
  const writeHead = outgoing.writeHead.bind(outgoing)
  outgoing.writeHead = (status: number, ...rest: unknown[]) => {
    const headers = rest.findLast((part) => typeof part === 'object' && part !== null)
    if (!headers || Array.isArray(headers)) return writeHead(status, ...(rest as []))
    return writeHead(
      status,
      Object.fromEntries(Object.entries(headers).map(([name, value]) => [titleCase(name), value])),
    )
  }
}

const SPELLED = new Map<string, string>([
  ['etag', 'ETag'],
  ['www-authenticate', 'WWW-Authenticate'],
  ['x-xss-protection', 'X-XSS-Protection'],
])

function titleCase(name: string): string {
  const known = SPELLED.get(name)
  if (known) return known
  const spelled = name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase())
  SPELLED.set(name, spelled)
  return spelled
}
