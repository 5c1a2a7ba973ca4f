/** Routes in Google's own spelling, and everything that happens before a handler: who calls, is the API on, what do they say. */
import type { Context, Hono, Next } from 'hono'
import type { z } from 'zod'
import { servesUnder } from '../catalogue/hosts.ts'
import type { Api, Declaration } from '../catalogue/product.ts'
import type { RoomEnv } from '../front/request.ts'
import type { AttachedPolicy } from '../iam/question.ts'
import type { Permission } from '../iam/roles.ts'
import type { Project } from '../state/resources.ts'
import { readText } from './body.ts'
import {
  authenticate,
  type Caller,
  type CallerState,
  holds,
  projectPolicies,
  requireEnabled,
} from './caller.ts'
import type { ApiError } from './errors.ts'
import { readMessage } from './messages.ts'

/** One line for the log. Never holds a credential. */
export type Log = (line: string) => void

/** `n` random bytes. */
export type RandomBytes = (n: number) => Uint8Array

/** One authenticated call. */
export interface Call {
  readonly caller: Caller
  /** Host asked for. */
  readonly host: string
  /** `https` where TLS to that host ends here. */
  readonly scheme: 'http' | 'https'
  /** What the program that calls says of itself. */
  readonly userAgent: string
  /** A variable of the path template; `''` where the template has none of this name. */
  param(name: string): string
  /** A query parameter, undefined when absent or empty. */
  query(name: string): string | undefined
  /** Every value of a repeated query parameter. */
  queries(name: string): readonly string[]
  /** The body as a message; `root` as in {@link readMessage}. */
  body<S extends z.ZodType>(schema: S, root?: string): Promise<z.output<S>>
  /** Goes on only when the project has the API enabled. Projects that the path names have been asked already. */
  requireEnabled(project: Project): void
  /** The resource, where the caller holds the permission on it. */
  require<T>(permission: Permission, wanted: Wanted<T>): T
  /** The project that the path names as `{project}`, likewise. Whoever may not, and whoever asks for none there is, hear the same. */
  project(permission: Permission, refusal: () => ApiError): Project
  /** Goes on only when the caller holds the permission; otherwise throws what `refusal` makes. */
  authorise(permission: Permission, policies: readonly AttachedPolicy[], refusal: () => ApiError): void
}

/** What a call is for, as far as it is there, and what the caller is told. */
export interface Wanted<T> {
  readonly resource: T | undefined
  /** Those that decide, also where the resource is not there. */
  readonly policies: readonly AttachedPolicy[]
  readonly refusal: () => ApiError
  /** For whoever may, where it is not there. Default: the refusal. */
  readonly missing?: () => ApiError
}

export type Handler = (call: Call) => object | Promise<object>

/** Registers the routes of one API. */
export interface Router {
  get(template: string, handler: Handler): void
  post(template: string, handler: Handler): void
  put(template: string, handler: Handler): void
  patch(template: string, handler: Handler): void
  delete(template: string, handler: Handler): void
}

/**
 * Routes of one API. Templates are Google's: `/v1/projects/{project}/services/{service}:enable`. A `{project}` or
 * `{namespace}` of the path must have the API enabled.
 */
export function router(app: Hono<RoomEnv>, state: CallerState, product: Declaration, api: Api): Router {
  const add = (method: string) => (template: string, handler: Handler) => {
    app.on(method, pathPattern(template), async function served(context: Context<RoomEnv>, next: Next) {
      if (!servesUnder(product, context.env.host)) return next()
      const caller = authenticate(state, context.req.header('authorization'), api)
      const call = callOf(context, state, caller, api)
      const project = projectOf(call, state)
      if (project) requireEnabled(project, api)
      return reply(context, await handler(call))
    })
  }
  return { get: add('GET'), post: add('POST'), put: add('PUT'), patch: add('PATCH'), delete: add('DELETE') }
}

/** Google prints its JSON for people to read, unless asked not to. */
export function reply(context: Context, body: object, status: number = 200): Response {
  const pretty = context.req.query('prettyPrint') !== 'false'
  const text = pretty ? `${JSON.stringify(body, null, 2)}\n` : JSON.stringify(body)
  return new Response(text, { status, headers: RESPONSE_HEADERS })
}

/** facts 6.9, with Alt-Svc as facts 1.3. */
const RESPONSE_HEADERS: [string, string][] = [
  ['Content-Type', 'application/json; charset=UTF-8'],
  ['Vary', 'Origin'],
  ['Vary', 'X-Origin'],
  ['Vary', 'Referer'],
  ['Cache-Control', 'private'],
  ['Server', 'ESF'],
  ['X-XSS-Protection', '0'],
  ['X-Frame-Options', 'SAMEORIGIN'],
  ['X-Content-Type-Options', 'nosniff'],
  ['Alt-Svc', 'h3=":443"; ma=2592000,h3-29=":443"; ma=2592000'],
]

function callOf(context: Context<RoomEnv>, state: CallerState, caller: Caller, api: Api): Call {
  // The last variable may have brought its custom method with it: `S:getIamPolicy`.
  const param = (name: string) => (context.req.param(name) ?? '').replace(/:[a-zA-Z]+$/, '')
  const authorise: Call['authorise'] = (permission, policies, refusal) => {
    if (!holds(state, caller, permission, policies)) throw refusal()
  }
  const require: Call['require'] = (permission, { resource, policies, refusal, missing = refusal }) => {
    authorise(permission, policies, refusal)
    if (resource === undefined) throw missing()
    return resource
  }
  return {
    caller,
    host: context.env.host,
    userAgent: context.req.header('user-agent') ?? '',
    scheme: context.env.scheme,
    param,
    query: (name) => context.req.query(name) || undefined,
    queries: (name) => context.req.queries(name) ?? [],
    body: async (schema, root) => readMessage(schema, await readText(context.req.raw), root),
    requireEnabled: (project) => requireEnabled(project, api),
    require,
    project(permission, refusal) {
      const resource = state.project(param('project'))
      return require(permission, { resource, policies: projectPolicies(resource), refusal })
    },
    authorise,
  }
}

/** `{name}` is one segment; a custom method stays with the segment that it ends. */
function pathPattern(template: string): string {
  return template.replace(
    /\{(\w+)\}(:\w+)?/g,
    (_, name: string, method: string = '') => `:${name}{[^/:]+${method}}`,
  )
}

function projectOf(call: Call, state: CallerState): Project | undefined {
  const name = call.param('project') || call.param('namespace')
  return name === '' || name === '-' ? undefined : state.project(name)
}
