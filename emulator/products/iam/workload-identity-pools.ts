/** Identity and Access Management API v1: workload identity pools and their OIDC providers. Every change is an operation that has ended. */
import type { iam_v1 } from '@googleapis/iam'
import { z } from 'zod'
import type { Permission } from '../../iam/roles.ts'
import { ApiError, denied, errorInfo, invalid, notFound } from '../../rest/errors.ts'
import type { Google } from '../../rest/google.ts'
import { bool, labels, message, outputOnly, strings, text } from '../../rest/messages.ts'
import { keepOperation, operationAt, showOperation } from '../../rest/operations.ts'
import { listed } from '../../rest/paging.ts'
import type { Call, Router } from '../../rest/route.ts'
import { isLive, POOL_ID, poolName, providerTrouble } from '../../state/federation.ts'
import type { IdentityPools } from '../../state/parts.ts'
import type { Project, WorkloadIdentityPool, WorkloadIdentityPoolProvider } from '../../state/resources.ts'

const common = {
  name: text,
  displayName: text,
  description: text,
  state: outputOnly,
  disabled: bool,
  expireTime: outputOnly,
}
const poolMessage = message(common)
const providerMessage = message({
  ...common,
  attributeMapping: labels,
  attributeCondition: text,
  oidc: message({ issuerUri: text, allowedAudiences: strings, jwksJson: text }),
  aws: z.unknown(),
  saml: z.unknown(),
  x509: z.unknown(),
})
const emptyMessage = message({})

const POOLS = '/v1/projects/{project}/locations/global/workloadIdentityPools'
const POOL = `${POOLS}/{pool}`
const PROVIDERS = `${POOL}/providers`
const PROVIDER = `${PROVIDERS}/{provider}`
const LIST_LIMIT = 1000
const DAY = 86_400_000
/** IAM's reference: how long a deleted one can be taken back. */
const KEPT = 30 * DAY

type Noun = 'workloadIdentityPools' | 'workloadIdentityPoolProviders'
type Verb = 'get' | 'list' | 'create' | 'update' | 'delete' | 'undelete'

export function workloadIdentityPools(routes: Router, google: Google<IdentityPools>): void {
  const access = poolAccess(google)
  poolRoutes(routes, google, access)
  providerRoutes(routes, google, access)
  operationRoutes(routes, google, access)
}

type Access = ReturnType<typeof poolAccess>

/** The pools and providers that a call means, where its caller may, and what is answered of a change. */
function poolAccess({ state, random }: Google<IdentityPools>) {
  const authorised = (call: Call, noun: Noun, verb: Verb): Project => {
    const permission: Permission = `iam.${noun}.${verb}`
    return call.project(permission, () => poolDenied(permission, call))
  }
  const poolFor = (call: Call, noun: Noun, verb: Verb): WorkloadIdentityPool => {
    const { projectNumber } = authorised(call, noun, verb)
    return state.workloadIdentityPools.get(poolName(projectNumber, call.param('pool'))) ?? missing()
  }
  const providerFor = (call: Call, verb: Verb): WorkloadIdentityPoolProvider => {
    const { name } = poolFor(call, 'workloadIdentityPoolProviders', verb)
    return state.workloadIdentityPoolProviders.get(`${name}/providers/${call.param('provider')}`) ?? missing()
  }
  const ended = (name: string, type: Noun, resource?: object) => {
    const id = Buffer.from(random(15)).toString('hex')
    const kind = type === 'workloadIdentityPools' ? 'WorkloadIdentityPool' : 'WorkloadIdentityPoolProvider'
    const response = { '@type': `type.googleapis.com/google.iam.v1.${kind}`, ...resource }
    const metadata = { '@type': `type.googleapis.com/google.iam.v1.${kind}OperationMetadata` }
    return showOperation(keepOperation(state, `${name}/operations/${id}`, { response }, metadata))
  }
  const purgeTime = () => new Date(state.clock() + KEPT).toISOString()
  return { authorised, poolFor, providerFor, ended, purgeTime }
}

function poolRoutes(routes: Router, { state }: Google<IdentityPools>, access: Access): void {
  const { authorised, poolFor, ended, purgeTime } = access
  const pools = state.workloadIdentityPools
  const putPool = (pool: WorkloadIdentityPool) => {
    pools.put(pool.name, pool)
    return ended(pool.name, 'workloadIdentityPools', showPool(pool))
  }
  routes.post(POOLS, async (call) => {
    const sent = await call.body(poolMessage, 'workload_identity_pool')
    const { projectNumber } = authorised(call, 'workloadIdentityPools', 'create')
    const name = poolName(projectNumber, requireId(call.query('workloadIdentityPoolId')))
    if (pools.has(name)) throw exists()
    return putPool({ name, ...texts(sent), disabled: sent.disabled ?? false })
  })
  routes.get(POOLS, (call) => {
    const prefix = poolName(authorised(call, 'workloadIdentityPools', 'list').projectNumber, '')
    const own = shown(pools.list(), prefix, call)
    return listed('workloadIdentityPools', call, own, { limit: LIST_LIMIT, show: showPool })
  })
  routes.get(POOL, (call) => showPool(poolFor(call, 'workloadIdentityPools', 'get')))
  routes.patch(POOL, async (call) => {
    const sent = await call.body(poolMessage, 'workload_identity_pool')
    const pool = live(poolFor(call, 'workloadIdentityPools', 'update'))
    return putPool({ ...pool, ...commonChanges(sent, masked(call)) })
  })
  routes.delete(POOL, (call) => {
    const pool = live(poolFor(call, 'workloadIdentityPools', 'delete'))
    return putPool({ ...pool, expireTime: purgeTime() })
  })
  routes.post(`${POOL}:undelete`, async (call) => {
    await call.body(emptyMessage)
    const { expireTime, ...pool } = poolFor(call, 'workloadIdentityPools', 'undelete')
    if (expireTime === undefined) throw notDeleted()
    return putPool(pool)
  })
}

function providerRoutes(routes: Router, { state }: Google<IdentityPools>, access: Access): void {
  const { poolFor, providerFor, ended, purgeTime } = access
  const providers = state.workloadIdentityPoolProviders
  const putProvider = (provider: WorkloadIdentityPoolProvider) => {
    const trouble = providerTrouble(provider)
    if (trouble !== undefined) throw invalid(trouble)
    providers.put(provider.name, provider)
    return ended(provider.name, 'workloadIdentityPoolProviders', showProvider(provider))
  }
  routes.post(PROVIDERS, async (call) => {
    const sent = await call.body(providerMessage, 'workload_identity_pool_provider')
    const pool = live(poolFor(call, 'workloadIdentityPoolProviders', 'create'))
    const name = `${pool.name}/providers/${requireId(call.query('workloadIdentityPoolProviderId'))}`
    requireOidc(sent)
    if (providers.has(name)) throw exists()
    const { oidc: { issuerUri = '', allowedAudiences = [], jwksJson } = {} } = sent
    return putProvider({
      name,
      ...texts(sent),
      disabled: sent.disabled ?? false,
      attributeMapping: sent.attributeMapping ?? {},
      attributeCondition: sent.attributeCondition ?? '',
      oidc: { issuerUri, allowedAudiences, ...(jwksJson ? { jwksJson } : {}) },
    })
  })
  routes.get(PROVIDERS, (call) => {
    const { name } = poolFor(call, 'workloadIdentityPoolProviders', 'list')
    const own = shown(providers.list(), `${name}/`, call)
    return listed('workloadIdentityPoolProviders', call, own, { limit: LIST_LIMIT, show: showProvider })
  })
  routes.get(PROVIDER, (call) => showProvider(providerFor(call, 'get')))
  routes.patch(PROVIDER, async (call) => {
    const sent = await call.body(providerMessage, 'workload_identity_pool_provider')
    const provider = live(providerFor(call, 'update'))
    requireOidc(sent)
    const mask = masked(call)
    const { jwksJson, ...oidc } = provider.oidc
    const { issuerUri = '', allowedAudiences = [], jwksJson: newJwks = '' } = sent.oidc ?? {}
    const jwks = mask('oidc.jwksJson') ? newJwks : jwksJson
    return putProvider({
      ...provider,
      ...commonChanges(sent, mask),
      ...(mask('attributeMapping') ? { attributeMapping: sent.attributeMapping ?? {} } : {}),
      ...(mask('attributeCondition') ? { attributeCondition: sent.attributeCondition ?? '' } : {}),
      oidc: {
        ...oidc,
        ...(mask('oidc.issuerUri') ? { issuerUri } : {}),
        ...(mask('oidc.allowedAudiences') ? { allowedAudiences } : {}),
        ...(jwks ? { jwksJson: jwks } : {}),
      },
    })
  })
  routes.delete(PROVIDER, (call) => {
    const provider = live(providerFor(call, 'delete'))
    return putProvider({ ...provider, expireTime: purgeTime() })
  })
  routes.post(`${PROVIDER}:undelete`, async (call) => {
    await call.body(emptyMessage)
    const { expireTime, ...provider } = providerFor(call, 'undelete')
    if (expireTime === undefined) throw notDeleted()
    return putProvider(provider)
  })
}

function operationRoutes(routes: Router, { state }: Google<IdentityPools>, access: Access): void {
  const { poolFor, providerFor } = access
  routes.get(`${POOL}/operations/{operation}`, (call) => {
    const { name } = poolFor(call, 'workloadIdentityPools', 'get')
    return showOperation(operationAt(state, `${name}/operations/${call.param('operation')}`))
  })
  routes.get(`${PROVIDER}/operations/{operation}`, (call) => {
    const { name } = providerFor(call, 'get')
    return showOperation(operationAt(state, `${name}/operations/${call.param('operation')}`))
  })
}

function showPool({ name, displayName, description, disabled, expireTime }: WorkloadIdentityPool) {
  return {
    name,
    ...(displayName ? { displayName } : {}),
    ...(description ? { description } : {}),
    state: expireTime === undefined ? 'ACTIVE' : 'DELETED',
    ...(disabled ? { disabled } : {}),
    ...(expireTime === undefined ? {} : { expireTime }),
  } satisfies iam_v1.Schema$WorkloadIdentityPool
}

function showProvider(provider: WorkloadIdentityPoolProvider) {
  const { issuerUri, allowedAudiences, jwksJson } = provider.oidc
  return {
    ...showPool(provider),
    attributeMapping: { ...provider.attributeMapping },
    ...(provider.attributeCondition ? { attributeCondition: provider.attributeCondition } : {}),
    oidc: {
      issuerUri,
      ...(allowedAudiences.length ? { allowedAudiences: [...allowedAudiences] } : {}),
      ...(jwksJson ? { jwksJson } : {}),
    },
  } satisfies iam_v1.Schema$WorkloadIdentityPoolProvider
}

/** Those under a name, without the deleted ones unless the query asks for them. */
function shown<T extends WorkloadIdentityPool>(all: readonly T[], prefix: string, call: Call): readonly T[] {
  const deletedToo = call.query('showDeleted') === 'true'
  return all.filter((each) => each.name.startsWith(prefix) && (deletedToo || isLive(each)))
}

type Sent = { readonly [name in 'displayName' | 'description']?: string | undefined } & {
  readonly disabled?: boolean | undefined
}

function texts({ displayName = '', description = '' }: Sent) {
  // IAM's reference; wording inferred.
  if (displayName.length > 32) throw invalid('The display name must be at most 32 characters.')
  if (description.length > 256) throw invalid('The description must be at most 256 characters.')
  return { displayName, description }
}

function commonChanges(sent: Sent, mask: (field: string) => boolean): Partial<WorkloadIdentityPool> {
  const { displayName, description } = texts(sent)
  return {
    ...(mask('displayName') ? { displayName } : {}),
    ...(mask('description') ? { description } : {}),
    ...(mask('disabled') ? { disabled: sent.disabled ?? false } : {}),
  }
}

/** Is a field of the update mask? A message's name stands for all of its fields. */
function masked(call: Call): (field: string) => boolean {
  const fields = (call.query('updateMask') ?? '')
    .split(',')
    .map((field) => field.trim().replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()))
  return (field) => fields.some((named) => named === field || field.startsWith(`${named}.`))
}

function requireId(id = ''): string {
  // Inferred wording; the rule is IAM's.
  if (!POOL_ID.test(id))
    throw invalid(
      'The ID must be 4 to 32 characters long, contain only [a-z0-9-], and must not start with "gcp-".',
    )
  return id
}

function requireOidc({
  aws,
  saml,
  x509,
}: {
  readonly aws?: unknown
  readonly saml?: unknown
  readonly x509?: unknown
}) {
  if ([aws, saml, x509].some((other) => other !== undefined))
    throw new ApiError('UNIMPLEMENTED', 'The emulator takes OIDC providers only: no AWS, SAML or X.509.')
}

function live<T extends WorkloadIdentityPool>(resource: T): T {
  return isLive(resource) ? resource : missing()
}

function missing(): never {
  throw notFound('Requested entity was not found.')
}

/** Seen: a deleted one keeps its id, too. */
function exists(): ApiError {
  return new ApiError('ALREADY_EXISTS', 'Requested entity already exists')
}

/** Inferred. */
function notDeleted(): ApiError {
  return new ApiError('FAILED_PRECONDITION', 'Precondition check failed.')
}

function poolDenied(permission: Permission, call: Call): ApiError {
  const pool = call.param('pool')
  const resource = `//iam.googleapis.com/projects/${call.param('project')}/locations/global${pool ? `/workloadIdentityPools/${pool}` : ''}`
  return denied(`Permission '${permission}' denied on resource '${resource}' (or it may not exist).`, [
    errorInfo('IAM_PERMISSION_DENIED', 'iam.googleapis.com', { permission, resource }),
  ])
}
