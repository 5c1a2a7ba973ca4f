/** Google's REST APIs, offline: one file a service, one error shape, every caller authenticated and authorised. */
import { randomBytes } from 'node:crypto'
import { Hono } from 'hono'
import type { RoomEnv } from '../front/request.ts'
import { ApiError } from '../rest/errors.ts'
import type { Google } from '../rest/google.ts'
import { type Log, type RandomBytes, reply, router } from '../rest/route.ts'
import type { Builder } from '../runtime/builder.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { ObjectStore } from '../state/objects.ts'
import type { Logs } from '../state/parts.ts'
import { openRepositories } from '../state/repositories.ts'
import { artifactRegistry } from './artifactregistry/artifactregistry.ts'
import { cloudBuild } from './cloudbuild/cloudbuild.ts'
import { BuildRunner } from './cloudbuild/runner.ts'
import { compute } from './compute/compute.ts'
import type { DeletionState } from './iam/account-deletion.ts'
import { iam } from './iam/iam.ts'
import { serviceKeys } from './iam/service-account-keys.ts'
import { workloadIdentityPools } from './iam/workload-identity-pools.ts'
import { type CredentialsState, iamCredentials } from './iamcredentials/iamcredentials.ts'
import { logging } from './logging/logging.ts'
import { cloudResourceManager } from './resourcemanager/resourcemanager.ts'
import { Deployer, type RunState } from './run/deployer.ts'
import { runOperations } from './run/operations.ts'
import { runV1 } from './run/v1.ts'
import { runV2 } from './run/v2.ts'
import { serviceUsage } from './serviceusage/serviceusage.ts'
import { storage } from './storage/storage.ts'

/** What all of them together ask of the state. */
export type ProductsState = RunState & DeletionState & CredentialsState & Logs

export interface ApisOptions {
  readonly state: ProductsState
  readonly runtime: Runtime
  /** What builds stand on. Without it Cloud Storage and Cloud Build are not served. */
  readonly builds?: { readonly objects: ObjectStore; readonly builder: Builder }
  /** Default: the system's. */
  readonly random?: RandomBytes
  /** Takes one line. Default: none. */
  readonly log?: Log
}

export interface Apis {
  readonly app: Hono<RoomEnv>
  /** Starts what had been serving before a restart, and what waited to be built. */
  restore(): Promise<void>
  /** Resolves when no revision is being stopped and nothing is being built any more. */
  idle(): Promise<void>
  /** Breaks off what is being built. */
  close(): Promise<void>
}

export function createApis(options: ApisOptions): Apis {
  const { state, runtime, builds, random = randomBytes, log = () => {} } = options
  const deployer = new Deployer({ state, runtime, random, log })
  const google: Google<ProductsState> = { state, random, log }
  const app = new Hono<RoomEnv>()

  const run = router(app, state, 'run.googleapis.com')
  runV1(run, { ...google, deployer })
  runV2(run, { ...google, deployer })
  runOperations(run, google)
  const accounts = router(app, state, 'iam.googleapis.com')
  iam(accounts, google)
  serviceKeys(accounts, google)
  workloadIdentityPools(accounts, google)
  iamCredentials(router(app, state, 'iamcredentials.googleapis.com'), google)
  cloudResourceManager(router(app, state, 'cloudresourcemanager.googleapis.com'), google)
  serviceUsage(router(app, state, 'serviceusage.googleapis.com'), google)
  compute(router(app, state, 'compute.googleapis.com'), google)
  logging(router(app, state, 'logging.googleapis.com'), google)
  const repositories = openRepositories(state)
  artifactRegistry(router(app, state, 'artifactregistry.googleapis.com'), google, repositories)
  const runner = builds && new BuildRunner({ ...builds, repositories, state, log })
  if (builds && runner) {
    const { objects } = builds
    cloudBuild(router(app, state, 'cloudbuild.googleapis.com'), { state, objects, runner })
    storage(app, { state, objects })
  }

  app.onError(function answer(error, context) {
    if (!(error instanceof ApiError))
      log(`${context.req.method} ${context.req.path} failed: ${error.stack ?? error}`)
    const known = error instanceof ApiError ? error : new ApiError('INTERNAL', 'Internal error encountered.')
    const response = reply(context, known.body(), known.code)
    if (known.challenge) response.headers.set('WWW-Authenticate', known.challenge)
    return response
  })

  const unserved = new Set<string>()
  app.notFound(function answerUnserved(context) {
    const { method, path } = context.req
    const asked = `${method} ${path}`
    // facts gcloud 4.2: a JSON 4xx, because gcloud retries a 5xx for half a minute.
    const error = new ApiError('NOT_FOUND', `${asked} is not served by the emulator.`)
    if (unserved.size < MOST_UNSERVED && !unserved.has(asked)) {
      unserved.add(asked)
      log(`${asked} on ${context.env.host} is not served`)
    }
    return reply(context, error.body(), error.code)
  })

  return {
    app,
    restore: async () => void (await Promise.all([deployer.restore(), runner?.restore()])),
    idle: async () => void (await Promise.all([deployer.idle(), runner?.idle()])),
    close: async () => runner?.close(),
  }
}

/** Paths that are named in the log once; more than these are somebody's scan. */
const MOST_UNSERVED = 1000
