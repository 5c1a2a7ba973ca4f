/** What the REST front answers where no product does: that it is not served, and what is; and to a fault of the emulator's own. */
import type { Hono } from 'hono'
import { productAt } from '../catalogue/hosts.ts'
import type { Catalogue } from '../catalogue/product.ts'
import { cut } from '../decision/cut.ts'
import type { RoomEnv } from '../front/request.ts'
import { ApiError } from './errors.ts'
import { type Log, reply } from './route.ts'

/** Requests that are named in the log once; more than these are somebody's scan. */
const MOST_UNSERVED = 1000
/** The most of one that is said again and kept. Characters. */
const LONGEST = 512

export function answerFaults(app: Hono<RoomEnv>, log: Log): void {
  app.onError(function answer(error, context) {
    if (!(error instanceof ApiError))
      log(`${context.req.method} ${context.req.path} failed: ${error.stack ?? error}`)
    const known = error instanceof ApiError ? error : new ApiError('INTERNAL', 'Internal error encountered.')
    const response = reply(context, known.body(), known.code)
    if (known.challenge) response.headers.set('WWW-Authenticate', known.challenge)
    return response
  })
}

export function answerUnserved(app: Hono<RoomEnv>, catalogue: Catalogue, log: Log): void {
  const logged = new Set<string>()
  app.notFound(function answer(context) {
    const { method, path } = context.req
    const { host } = context.env
    const asked = cut(`${method} ${path}`, LONGEST)
    if (logged.size < MOST_UNSERVED && !logged.has(asked)) {
      logged.add(asked)
      log(`${asked} on ${host} is not served`)
    }
    const error = new ApiError('UNIMPLEMENTED', unserved(catalogue, host, asked))
    return reply(context, error.body(), error.code)
  })
}

/** One sentence for whoever asked: what it was, and what there is. */
function unserved(catalogue: Catalogue, host: string, asked: string): string {
  const product = productAt(catalogue, host)
  if (!product) {
    const names = catalogue.flatMap(({ api }) => (api ? [api.name] : [])).join(', ')
    return `The emulator does not serve ${asked} of ${host}; the APIs that it serves are ${names}.`
  }
  const { api, name, serves } = product
  return `The emulator does not serve ${asked} of ${host}; of the ${api?.title ?? name} it serves ${serves.join('; ')}.`
}
