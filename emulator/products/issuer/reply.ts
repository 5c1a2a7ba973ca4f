/** How Google's OAuth endpoints read parameters and word their answers. */
import type { Context } from 'hono'
import type { z } from 'zod'
import { readText } from '../../rest/body.ts'

/** An answer of RFC 6749 section 5.2: `{"error", "error_description"}`. */
export class OAuthError extends Error {
  readonly status: 400 | 401
  readonly error: string
  readonly description: string

  constructor(error: string, description: string, status: 400 | 401 = 400) {
    super(`${error}: ${description}`)
    this.status = status
    this.error = error
    this.description = description
  }
}

const JSON_TYPE = 'application/json; charset=utf-8'
const NEVER_KEPT = {
  'Cache-Control': 'no-cache, no-store, max-age=0, must-revalidate',
  Pragma: 'no-cache',
  Expires: 'Mon, 01 Jan 1990 00:00:00 GMT',
}
/** facts 6.8 */
export const GOOGLE_HEADERS = {
  Server: 'scaffolding on HTTPServer2',
  Vary: 'Origin,X-Origin,Referer,Accept-Encoding',
  'X-XSS-Protection': '0',
  'X-Frame-Options': 'SAMEORIGIN',
  'X-Content-Type-Options': 'nosniff',
}

/** JSON as Google prints it, never to be cached. */
export function json(
  c: Context,
  body: object,
  status: 200 | 400 | 401 = 200,
  headers = {},
  indent = 2,
): Response {
  return c.body(indent === 0 ? JSON.stringify(body) : pretty(body, indent), status, {
    'Content-Type': JSON_TYPE,
    ...NEVER_KEPT,
    ...GOOGLE_HEADERS,
    ...headers,
  })
}

export function pretty(body: object, indent = 2): string {
  return `${JSON.stringify(body, null, indent)}\n`
}

export function refuse(c: Context, { status, error, description }: OAuthError): Response {
  return json(c, { error, error_description: description }, status)
}

export type Parameters = ReadonlyMap<string, string>

/** Query and form (or JSON) together, as Google takes them; the body wins. A parameter given twice counts once: the first. */
export async function readParameters(c: Context): Promise<Parameters> {
  const parameters = new Map<string, string>()
  const add = (entries: Iterable<readonly [string, string]>) => {
    for (const [name, value] of entries) if (!parameters.has(name)) parameters.set(name, value)
  }
  if (c.req.method === 'POST') {
    const body = await readText(c.req.raw)
    const isJson = c.req.header('Content-Type')?.toLowerCase().startsWith('application/json')
    add(isJson ? jsonStrings(body) : new URLSearchParams(body))
  }
  add(new URL(c.req.url).searchParams)
  return parameters
}

function jsonStrings(text: string): (readonly [string, string])[] {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return []
    return Object.entries(value).flatMap(([name, member]) =>
      typeof member === 'string' ? [[name, member] as const] : [],
    )
  } catch {
    return []
  }
}

/** What a schema reads from parameters. The first thing wrong becomes Google's sentence for it. */
export function parse<S extends z.ZodType>(schema: S, parameters: Parameters): z.infer<S> {
  const result = schema.safeParse(Object.fromEntries(parameters))
  if (result.success) return result.data
  const [issue] = result.error.issues
  const name = String(issue?.path[0] ?? '')
  const sentence = parameters.get(name)
    ? `Invalid parameter value for ${name}: ${issue?.message ?? ''}`
    : `Missing required parameter: ${name}`
  throw new OAuthError('invalid_request', sentence)
}

/** The token of an `Authorization: Bearer` header. */
export function bearer(c: Context): string | undefined {
  return /^Bearer +(\S+)$/i.exec(c.req.header('Authorization') ?? '')?.[1]
}
