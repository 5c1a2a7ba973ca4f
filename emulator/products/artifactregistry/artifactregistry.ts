/**
 * Artifact Registry API v1: repositories. The images in them are the Docker engine's, or local commands that stand for
 * them, so there are no packages, tags and versions here; nor policies of a repository: the project's decide.
 */
import type { z } from 'zod'
import type { Permission } from '../../iam/roles.ts'
import { ApiError, denied, errorInfo, invalid, notFound } from '../../rest/errors.ts'
import type { Google } from '../../rest/google.ts'
import { bool, enumeration, labels, message, outputOnly, text } from '../../rest/messages.ts'
import { keepOperation, operationAt, showOperation } from '../../rest/operations.ts'
import { listed } from '../../rest/paging.ts'
import type { Call, Router } from '../../rest/route.ts'
import { REGIONS } from '../../state/names.ts'
import type { Repositories, Repository } from '../../state/repositories.ts'
import type { Project } from '../../state/resources.ts'

const LOCATION = '/v1/projects/{project}/locations/{location}'
const REPOSITORIES = `${LOCATION}/repositories`
const LIST_LIMIT = 1000
/** Locations that are not regions. */
const MULTI_REGIONS: readonly string[] = ['us', 'europe', 'asia']

const PACKAGE = 'google.devtools.artifactregistry.v1'
const settings = [
  'kmsKeyName',
  'mavenConfig',
  'dockerConfig',
  'cleanupPolicies',
  'cleanupPolicyDryRun',
] as const
const repositoryMessage = message({
  name: text,
  format: enumeration(`${PACKAGE}.Repository.Format`, [
    'FORMAT_UNSPECIFIED',
    'DOCKER',
    'MAVEN',
    'NPM',
    'GOOGET',
    'APT',
    'YUM',
    'GIT',
    'PYTHON',
    'KFP',
    'GO',
    'GENERIC',
  ]),
  mode: enumeration(`${PACKAGE}.Repository.Mode`, [
    'MODE_UNSPECIFIED',
    'STANDARD_REPOSITORY',
    'VIRTUAL_REPOSITORY',
    'REMOTE_REPOSITORY',
  ]),
  description: text,
  labels,
  kmsKeyName: text,
  mavenConfig: outputOnly,
  dockerConfig: outputOnly,
  cleanupPolicies: outputOnly,
  cleanupPolicyDryRun: bool,
  vulnerabilityScanningConfig: outputOnly,
  createTime: outputOnly,
  updateTime: outputOnly,
  sizeBytes: outputOnly,
  satisfiesPzs: outputOnly,
  satisfiesPzi: outputOnly,
  registryUri: outputOnly,
  disallowUnspecifiedMode: outputOnly,
})

/** Those of this state. Call once a state. */
export function artifactRegistry(
  routes: Router,
  { state, random }: Google,
  repositories: Repositories,
): void {
  const done = (call: Call, response: Readonly<Record<string, unknown>>) => {
    const id = Buffer.from(random(16)).toString('hex')
    const name = `${parentOf(call)}/operations/${id.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')}`
    const metadata = { '@type': `type.googleapis.com/${PACKAGE}.OperationMetadata` }
    return showOperation(keepOperation(state, name, { response }, metadata))
  }
  const parentOf = (call: Call) => {
    const { projectId } = state.project(call.param('project')) ?? {}
    return `projects/${projectId ?? call.param('project')}/locations/${call.param('location')}`
  }
  /** The project of the path, if the caller holds the permission in it. */
  const projectFor = (call: Call, permission: Permission, name: string): Project => {
    return call.project(permission, () => refusal(permission, name))
  }
  const repositoryAt = (call: Call, permission: Permission): Repository => {
    const name = `${parentOf(call)}/repositories/${call.param('repository')}`
    projectFor(call, permission, name)
    const repository = repositories.get(name)
    // Inferred wording.
    if (!repository) throw notFound(`Requested entity was not found: Repository "${name}" not found.`)
    return repository
  }

  routes.get(REPOSITORIES, (call) => {
    const parent = parentOf(call)
    projectFor(call, 'artifactregistry.repositories.list', parent)
    const prefix = parent.endsWith('/-') ? parent.slice(0, -1) : `${parent}/`
    const own = repositories.list().filter(({ name }) => name.startsWith(prefix))
    return listed('repositories', call, own, { limit: LIST_LIMIT, show })
  })
  routes.post(REPOSITORIES, async (call) => {
    const id = call.query('repositoryId') ?? ''
    const parent = parentOf(call)
    const location = call.param('location')
    projectFor(call, 'artifactregistry.repositories.create', parent)
    const asked = await call.body(repositoryMessage, 'repository')
    const format = requireCreatable(id, location, asked)
    const name = `${parent}/repositories/${id}`
    if (repositories.has(name)) throw new ApiError('ALREADY_EXISTS', 'the repository already exists')
    const repository = newRepository(name, format, asked, state.timestamp())
    repositories.put(name, repository)
    return done(call, { '@type': `type.googleapis.com/${PACKAGE}.Repository`, ...show(repository) })
  })
  routes.get(`${REPOSITORIES}/{repository}`, (call) =>
    show(repositoryAt(call, 'artifactregistry.repositories.get')),
  )
  routes.patch(`${REPOSITORIES}/{repository}`, async (call) => {
    const current = repositoryAt(call, 'artifactregistry.repositories.update')
    const asked = await call.body(repositoryMessage, 'repository')
    const fields = call.query('updateMask')?.split(',')
    const wants = (field: string) => !fields || fields.includes('*') || fields.includes(field)
    const changed: Repository = {
      ...current,
      ...(wants('description') ? { description: asked.description ?? '' } : {}),
      ...(wants('labels') ? { labels: asked.labels ?? {} } : {}),
      updateTime: state.timestamp(),
    }
    repositories.put(current.name, changed)
    return show(changed)
  })
  routes.delete(`${REPOSITORIES}/{repository}`, (call) => {
    repositories.delete(repositoryAt(call, 'artifactregistry.repositories.delete').name)
    return done(call, { '@type': 'type.googleapis.com/google.protobuf.Empty' })
  })
  routes.get(`${LOCATION}/operations/{operation}`, (call) => {
    const name = `${parentOf(call)}/operations/${call.param('operation')}`
    projectFor(call, 'artifactregistry.repositories.get', name)
    return showOperation(operationAt(state, name))
  })
}

type Asked = z.output<typeof repositoryMessage>

/** Gives the format, which has to be there. */
function requireCreatable(id: string, location: string, { format }: Asked): string {
  // Inferred wordings; the rules are documented.
  if (!/^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(id) && !/^(?:(?:us|eu|asia)\.)?gcr\.io$/.test(id))
    throw invalid('repository_id must be lowercase letters, digits and hyphens, beginning with a letter.')
  if (!format || format === 'FORMAT_UNSPECIFIED') throw invalid('format is required.')
  if (!REGIONS.includes(location) && !MULTI_REGIONS.includes(location))
    throw invalid(`Location ${location} is not found or access is unauthorized.`)
  return format
}

function newRepository(name: string, format: string, asked: Asked, now: string): Repository {
  const { mode } = asked
  return {
    name,
    format,
    mode: mode === undefined || mode === 'MODE_UNSPECIFIED' ? 'STANDARD_REPOSITORY' : mode,
    description: asked.description ?? '',
    labels: asked.labels ?? {},
    createTime: now,
    updateTime: now,
    rest: Object.fromEntries(
      settings.flatMap((key) => (asked[key] === undefined ? [] : [[key, asked[key]]])),
    ),
  }
}

function show({ rest, description, labels: marks, ...repository }: Repository) {
  const [, project, , location, , id] = repository.name.split('/')
  return {
    ...repository,
    ...(description ? { description } : {}),
    ...(Object.keys(marks).length ? { labels: marks } : {}),
    ...(repository.format === 'DOCKER' ? { registryUri: `${location}-docker.pkg.dev/${project}/${id}` } : {}),
    ...rest,
  }
}

/** Seen in the wild. */
function refusal(permission: string, name: string): ApiError {
  return denied(
    `Permission '${permission}' denied on resource '//artifactregistry.googleapis.com/${name}' (or it may not exist).`,
    [errorInfo('IAM_PERMISSION_DENIED', 'artifactregistry.googleapis.com', { permission, resource: name })],
  )
}
