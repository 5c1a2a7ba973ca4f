/** Cloud Build API v1: `gcloud builds submit`, and what asks after its builds. */
import { randomUUID } from 'node:crypto'
import type { cloudbuild_v1 } from '@googleapis/cloudbuild'
import type { Permission } from '../../iam/roles.ts'
import { accountPolicies, bucketPolicies, type CallerState, holds } from '../../rest/caller.ts'
import { ApiError, denied, invalid, notFound } from '../../rest/errors.ts'
import { message, text } from '../../rest/messages.ts'
import { listed } from '../../rest/paging.ts'
import type { Call, Router } from '../../rest/route.ts'
import { defaultComputeServiceAccount } from '../../state/names.ts'
import type { ObjectStore } from '../../state/objects.ts'
import type { Project, ServiceAccount } from '../../state/resources.ts'
import { type BuildMessage, buildMessage, type Plan, planOf } from './message.ts'
import { type Build, type BuildStatus, buildDocument, buildKey, isOngoing } from './record.ts'
import type { BuildRunner } from './runner.ts'
import { requireNames } from './substitutions.ts'

export interface CloudBuildOptions {
  readonly state: CallerState
  readonly objects: ObjectStore
  readonly runner: BuildRunner
}

const LIST_LIMIT = 1000
const cancelMessage = message({ name: text, projectId: text, id: text })

export function cloudBuild(routes: Router, options: CloudBuildOptions): void {
  const { state, runner } = options
  // Both spellings are of the same builds: one without a location is of `global`.
  for (const base of ['/v1/projects/{project}', '/v1/projects/{project}/locations/{location}']) {
    routes.post(`${base}/builds`, async (call) => {
      const project = projectFor(call, 'cloudbuild.builds.create')
      const build = accept(options, call, project, await call.body(buildMessage, 'build'))
      runner.submit(build)
      return operation(state, build, call)
    })
    routes.get(`${base}/builds`, (call) => {
      const { projectId } = projectFor(call, 'cloudbuild.builds.list')
      const matches = filterOf(call.query('filter'))
      const builds = runner.builds
        .list()
        .filter(
          (build) => build.project === projectId && build.location === locationOf(call) && matches(build),
        )
        .toReversed()
      return listed('builds', call, builds, {
        limit: LIST_LIMIT,
        show: (build) => document(state, build, call),
      })
    })
    routes.get(`${base}/builds/{build}`, (call) =>
      document(state, buildAt(options, call, 'cloudbuild.builds.get'), call),
    )
    routes.post(`${base}/builds/{build}:cancel`, async (call) => {
      await call.body(cancelMessage)
      const build = buildAt(options, call, 'cloudbuild.builds.update')
      // Inferred wording.
      if (!isOngoing(build)) throw new ApiError('FAILED_PRECONDITION', 'cannot cancel a completed build')
      return document(state, runner.cancel(build), call)
    })
  }
  routes.get('/v1/projects/{project}/locations/{location}/defaultServiceAccount', (call) => {
    const { projectNumber } = projectFor(call, 'cloudbuild.builds.get')
    const email = defaultComputeServiceAccount(state.place)
    return {
      name: `projects/${projectNumber}/locations/${locationOf(call)}/defaultServiceAccount`,
      serviceAccountEmail: `projects/${projectNumber}/serviceAccounts/${email}`,
    }
  })
  routes.get('/v1/operations/build/{project}/{operation}', (call) => {
    const { projectId } = projectFor(call, 'cloudbuild.builds.get')
    const id = Buffer.from(call.param('operation'), 'base64').toString()
    const build = runner.builds.listBy('id', id).find(({ project }) => project === projectId)
    if (!build) throw notFound('Requested entity was not found.')
    return operation(state, build, call)
  })
}

/** Everything that Google checks before a build is queued. */
function accept(options: CloudBuildOptions, call: Call, project: Project, request: BuildMessage): Build {
  const { state, objects } = options
  const id = randomUUID()
  const location = locationOf(call)
  const given = request.substitutions ?? {}
  requireNames(given)
  const plan = planOf(request, {
    ...given,
    PROJECT_ID: project.projectId,
    PROJECT_NUMBER: project.projectNumber,
    BUILD_ID: id,
    LOCATION: location,
  })
  const account = accountFor(state, call, request)
  requireSource(options, account, plan)
  const log = logPlace(options, project, request, account)
  if (!log.requested) objects.googleBucket(log.bucket, project.projectId)
  return {
    project: project.projectId,
    location,
    id,
    plan,
    substitutions: given,
    tags: request.tags ?? [],
    options: request.options ?? {},
    ...(request.serviceAccount ? { serviceAccount: request.serviceAccount } : {}),
    log,
    createTime: state.timestamp(),
    status: 'QUEUED',
    steps: plan.steps.map(() => ({ status: 'QUEUED' as const })),
    timing: {},
    results: [],
    lastLines: [],
  }
}

/** Whom the build runs as: who was asked for, else the project's default compute service account, as Google has it since 2024. */
function accountFor(state: CallerState, call: Call, { serviceAccount }: BuildMessage): ServiceAccount {
  const named = serviceAccount?.slice(serviceAccount.lastIndexOf('/') + 1)
  const email = named ?? defaultComputeServiceAccount(state.place)
  const account = state.serviceAccount(email)
  // Inferred wording.
  const refusal = () => denied(`caller does not have permission to act as service account ${email}`)
  if (!account) throw refusal()
  if (named) call.authorise('iam.serviceAccounts.actAs', accountPolicies(state, account), refusal)
  return account
}

/** Google's sentences about sources, seen in the wild. */
function requireSource(
  { state, objects }: CloudBuildOptions,
  account: ServiceAccount,
  { source }: Plan,
): void {
  const unresolved = (why: string) => invalid(`could not resolve source: googleapi: Error ${why}`)
  const bucket = objects.buckets.get(source.bucket)
  if (!bucket) throw unresolved('404: The specified bucket does not exist., notFound')
  const { email, uniqueId } = account
  const principal = { kind: 'serviceAccount', email, uniqueId } as const
  const permission = 'storage.objects.get'
  if (!holds(state, { principal }, permission, bucketPolicies(state, bucket))) {
    throw unresolved(
      `403: ${email} does not have ${permission} access to the Google Cloud Storage object. Permission '${permission}' denied on resource (or it may not exist)., forbidden`,
    )
  }
  const object = objects.object(source.bucket, source.object)
  if (!object || (source.generation && object.generation !== source.generation))
    throw unresolved(`404: No such object: ${source.bucket}/${source.object}, notFound`)
}

function logPlace(
  { objects }: CloudBuildOptions,
  { projectNumber }: Project,
  request: BuildMessage,
  { email }: ServiceAccount,
): Build['log'] {
  const { logsBucket, serviceAccount, options } = request
  if (!logsBucket) {
    const logging = String(options?.logging ?? '')
    const regional = options?.defaultLogsBucketBehavior === 'REGIONAL_USER_OWNED_BUCKET'
    if (serviceAccount && !regional && !['CLOUD_LOGGING_ONLY', 'NONE'].includes(logging)) {
      throw invalid(
        "if 'build.service_account' is specified, the build must either (a) specify 'build.logs_bucket', (b) use the REGIONAL_USER_OWNED_BUCKET build.options.default_logs_bucket_behavior option, or (c) use either CLOUD_LOGGING_ONLY / NONE logging options",
      )
    }
    return { bucket: `${projectNumber}.cloudbuild-logs.googleusercontent.com`, folder: '', requested: false }
  }
  const [bucket = '', ...path] = logsBucket
    .replace(/^gs:\/\//, '')
    .replace(/\/+$/, '')
    .split('/')
  if (!objects.buckets.has(bucket))
    throw invalid(`invalid bucket "${bucket}"; service account ${email} does not have access to the bucket`)
  return { bucket, folder: path.length ? `${path.join('/')}/` : '', requested: true }
}

function projectFor(call: Call, permission: Permission): Project {
  return call.project(permission, () => denied('The caller does not have permission'))
}

function buildAt({ runner }: CloudBuildOptions, call: Call, permission: Permission): Build {
  const { projectId } = projectFor(call, permission)
  const id = call.param('build')
  const build = runner.builds.get(buildKey({ project: projectId, location: locationOf(call), id }))
  if (!build) throw notFound('Requested entity was not found.')
  return build
}

function locationOf(call: Call): string {
  return call.param('location') || 'global'
}

function document(state: CallerState, build: Build, { scheme }: Call): cloudbuild_v1.Schema$Build {
  return buildDocument(build, state.place, scheme === 'https')
}

const ERRORS: Partial<Record<BuildStatus, { readonly code: number; readonly message: string }>> = {
  CANCELLED: { code: 1, message: 'Build cancelled' },
  TIMEOUT: { code: 4, message: 'Build timed out' },
  INTERNAL_ERROR: { code: 13, message: 'Build failed; check build logs for details' },
  FAILURE: { code: 2, message: 'Build failed; check build logs for details' },
}

/** The operation that a build is, too: made from the build, so that the two never disagree. */
function operation(state: CallerState, build: Build, call: Call) {
  const shown = document(state, build, call)
  const type = (name: string) => ({ '@type': `type.googleapis.com/google.devtools.cloudbuild.v1.${name}` })
  const error = ERRORS[build.status]
  return {
    name: `operations/build/${build.project}/${Buffer.from(build.id).toString('base64')}`,
    metadata: { ...type('BuildOperationMetadata'), build: shown },
    ...(isOngoing(build) ? {} : { done: true }),
    ...(build.status === 'SUCCESS' ? { response: { ...type('Build'), ...shown } } : {}),
    ...(error ? { error } : {}),
  }
}

/** `status="WORKING" OR status="QUEUED"`, as gcloud asks for with `--ongoing`, and the same of other statuses. */
function filterOf(filter: string | undefined): (build: Build) => boolean {
  if (filter === undefined) return () => true
  const wanted = filter.split(/\s+OR\s+/).map((term) => /^\(?status="?([A-Z_]+)"?\)?$/.exec(term.trim())?.[1])
  if (wanted.includes(undefined))
    throw invalid(
      `The emulator filters builds by status="…" alone, joined by OR; got ${JSON.stringify(filter)}.`,
    )
  return ({ status }) => wanted.includes(status)
}
