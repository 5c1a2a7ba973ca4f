/** Google, offline: every product of a catalogue served, each in its own way or by the one REST front that the others share. */
import { randomBytes } from 'node:crypto'
import { Hono } from 'hono'
import { collectionsOf } from '../catalogue/apis.ts'
import type { RoomBindings, RoomEnv } from '../front/request.ts'
import type { Product, ProductContext, Served } from '../rest/product.ts'
import { router } from '../rest/route.ts'
import { answerFaults, answerUnserved } from '../rest/unserved.ts'
import { openRepositories } from '../state/repositories.ts'
import { catalogue as everything } from './catalogue.ts'

export type ProductsOptions = Pick<ProductContext, 'state' | 'runtime' | 'builds'> &
  Partial<Pick<ProductContext, 'random' | 'log'>> & {
    /** Default: every product there is. */
    readonly catalogue?: readonly Product[]
  }

/** What speaks HTTP. */
export interface Spoken {
  fetch(request: Request, bindings: RoomBindings): Response | Promise<Response>
}

/** One method of a product, in Google's spelling: `/v1/projects/{project}/services/{service}:enable`. */
export interface ServedRoute {
  readonly product: string
  readonly method: string
  readonly path: string
}

export interface Products {
  /** The REST front. */
  readonly app: Hono<RoomEnv>
  /** What a name of the directory speaks by; the REST front has every name that is not a product's own. */
  at(name: string): Spoken
  /** Every method that is served, product by product. */
  readonly routes: readonly ServedRoute[]
  /** Starts what had been going on before a restart. */
  start(): Promise<void>
  /** Resolves when no product has anything in hand any more. */
  idle(): Promise<void>
  /** Breaks off what they have in hand. */
  close(): Promise<void>
}

export async function createProducts(options: ProductsOptions): Promise<Products> {
  const { state, random = randomBytes, log = () => {}, catalogue = everything } = options
  // All of them, so that a reset empties those of a product that opens its own late.
  for (const declaration of collectionsOf(catalogue)) state.store.collection(declaration)
  const app = new Hono<RoomEnv>()
  const context: ProductContext = {
    ...options,
    random,
    log,
    catalogue,
    repositories: openRepositories(state),
  }
  const own = new Map<string, Hono<RoomEnv>>()
  const served: Served[] = []
  const methods: ServedRoute[] = []
  for (const product of catalogue) {
    if (product.paths) {
      const standing = await product.serve(context)
      own.set(product.name, standing.app)
      served.push(standing)
      methods.push(...routesOf(product.name, standing.app))
    } else {
      const { api } = product
      const before = app.routes.length
      const routes = router(app, state, product, api)
      served.push(await product.serve({ ...context, app, api, routes }))
      methods.push(...routesOf(product.name, app, before))
    }
  }
  answerFaults(app, log)
  answerUnserved(app, catalogue, log)

  const all = async (act: (product: Served) => Promise<void> | undefined) =>
    void (await Promise.all(served.map(act)))
  return {
    app,
    at: (name) => own.get(name) ?? app,
    routes: methods,
    start: () => all((product) => product.start?.()),
    idle: () => all((product) => product.idle?.()),
    close: () => all((product) => product.close?.()),
  }
}

/** What was registered from `start` on; Hono's `:name{pattern}` is Google's `{name}`. */
function routesOf(product: string, app: Hono<RoomEnv>, start = 0): ServedRoute[] {
  const found = app.routes
    .slice(start)
    .filter(({ method }) => method !== 'ALL')
    .map(({ method, path }) => ({
      product,
      method,
      path: path.replace(/:(\w+)(?:\{[^{}]*?\+(:\w+)?\})?/g, (_, name, custom = '') => `{${name}}${custom}`),
    }))
  return found
}
