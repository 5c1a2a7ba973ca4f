/** The contract of a Google product: what it says of itself, and how it is served. */
import type { Hono } from 'hono'
import type { Api, Catalogue, Declaration } from '../catalogue/product.ts'
import type { RoomEnv } from '../front/request.ts'
import type { Builder } from '../runtime/builder.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { ObjectStore } from '../state/objects.ts'
import type {
  AccessTokens,
  AccountKeys,
  Accounts,
  Decisions,
  DeletedAccounts,
  IdentityPools,
  Logs,
  Projects,
  Services,
  SignIns,
  SigningKeys,
  Stored,
  Users,
} from '../state/parts.ts'
import type { Repositories } from '../state/repositories.ts'
import type { Google } from './google.ts'
import type { Router } from './route.ts'

/** One product: a folder under products/, and a line in products/catalogue.ts. */
export type Product = RestProduct | OwnProduct

/** Speaks as Google's REST APIs do: tokens, enablement, errors and paging are the router's. */
export interface RestProduct extends Declaration {
  readonly api: Api
  readonly paths?: never
  /** Registers its routes. Called once, when the emulator starts; its code is loaded here, not by the catalogue. */
  serve(context: RestContext): Promise<Served>
}

/** Speaks in its own way: the metadata server, the token issuer. */
export interface OwnProduct extends Declaration {
  readonly paths: RegExp
  serve(context: ProductContext): Promise<Served & { readonly app: Hono<RoomEnv> }>
}

/** What all products together ask of the state beside what each does; a product's own functions take what they use. */
export type ProductsState = AccessTokens &
  AccountKeys &
  Accounts &
  Decisions &
  DeletedAccounts &
  IdentityPools &
  Logs &
  Projects &
  Services &
  SigningKeys &
  SignIns &
  Stored &
  Users

/** What a product works on. */
export interface ProductContext extends Google<ProductsState> {
  /** Every product, this one too. */
  readonly catalogue: Catalogue
  readonly runtime: Runtime
  readonly repositories: Repositories
  /** What builds stand on; undefined where nothing is built. */
  readonly builds?: Builds
}

export interface RestContext extends ProductContext {
  readonly api: Api
  readonly routes: Router
  /** For bytes, which the router does not carry: the app that every REST product's routes are in. */
  readonly app: Hono<RoomEnv>
}

export interface Builds {
  readonly objects: ObjectStore
  readonly builder: Builder
}

/** What the emulator does with a product from its start to its end. */
export interface Served {
  /** Goes on with what was going on before a restart. */
  start?(): Promise<void>
  /** Resolves when it has nothing in hand any more. */
  idle?(): Promise<void>
  /** Breaks off what it has in hand. */
  close?(): Promise<void>
}
