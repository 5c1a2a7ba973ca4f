/** What Cloud Run refuses in a service before it makes anything of it (facts 6.9). Pure. */

import { type ApiError, badRequest } from '../../rest/errors.ts'
import type {
  Container,
  Revision,
  RevisionTemplate,
  ServiceName,
  TrafficTarget,
} from '../../state/resources.ts'

/** What a client wants a service to be. */
export interface DesiredService extends ServiceName {
  readonly annotations: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly template: RevisionTemplate
  readonly traffic: readonly TrafficTarget[]
}

/** The version of the API that a request came by: each names fields in its own way. */
export type Spelling =
  | { readonly version: 'v1' }
  | { readonly version: 'v2'; readonly request: 'CreateServiceRequest' | 'UpdateServiceRequest' }

export interface Violation {
  /** Path of the field in a v1 service, and in a v2 one. */
  readonly v1: string
  readonly v2: string
  readonly description: string
}

/** Refuses what breaks a rule: the first violation in words, all of them in the details. */
export function refuse(violations: readonly Violation[], spelling: Spelling): ApiError {
  const named = violations.map((violation) => ({
    field: spelling.version === 'v1' ? violation.v1 : `${spelling.request}.${violation.v2}`,
    description: violation.description,
  }))
  const [first] = named
  const prefix = spelling.version === 'v1' ? '' : 'Violation in '
  return badRequest(`${prefix}${first?.field}: ${first?.description}`, named)
}

/** Every rule that `desired` breaks. `revisions` are those of the service so far. */
export function violationsOf(
  desired: DesiredService,
  revisions: readonly Pick<Revision, 'name'>[],
  spelling: Spelling,
): readonly Violation[] {
  return [
    ...nameViolations(desired.name, spelling),
    ...templateViolations(desired),
    ...annotationViolations(desired.annotations),
    ...trafficViolations(desired, revisions),
  ]
}

const DNS_LABEL = /^[a-z](?:[-a-z0-9]*[a-z0-9])?$/
const TAG = /^[a-z](?:[-a-z0-9]*[a-z0-9])?$/
/** Longest service name, by API version. */
const NAME_LENGTH = { v1: 63, v2: 49 }

function* nameViolations(name: string, { version }: Spelling): Generator<Violation> {
  if (DNS_LABEL.test(name) && name.length <= NAME_LENGTH[version]) return
  // facts 6.9: the two versions say it in words of their own.
  const end = version === 'v1' ? 'may not end with hyphen' : 'cannot end with hyphen'
  yield {
    v1: 'service.metadata.name',
    v2: 'service_id',
    description: `only lowercase, digits, and hyphens; must begin with letter, and ${end}; must be less than ${NAME_LENGTH[version] + 1} characters.`,
  }
}

function* templateViolations({ name, template }: DesiredService): Generator<Violation> {
  const { containers, containerConcurrency, timeoutSeconds } = template
  if (
    template.name !== undefined &&
    !(template.name.startsWith(`${name}-`) && DNS_LABEL.test(template.name))
  ) {
    yield {
      v1: 'spec.template.metadata.name',
      v2: 'service.template.revision',
      // Knative's words.
      description:
        'Revision name must be prefixed by the name of the enclosing Service or Configuration with a trailing -',
    }
  }
  // Inferred wordings from here on, where no fact is named.
  const spec = (v1: string, v2: string, description: string): Violation => ({
    v1: `spec.template.spec.${v1}`,
    v2: `service.template.${v2}`,
    description,
  })
  if (containers.length === 0) yield spec('containers', 'containers', 'at least one container is required.')
  if (containers.length > 1 && containers.filter(({ port }) => port !== undefined).length !== 1) {
    yield spec('containers', 'containers', 'exactly one container must have an exposed port.')
  }
  if (timeoutSeconds < 1 || timeoutSeconds > 3600) {
    yield spec('timeoutSeconds', 'timeout', 'must be between 1 and 3600 seconds.')
  }
  if (containerConcurrency < 1 || containerConcurrency > 1000) {
    yield spec('containerConcurrency', 'max_instance_request_concurrency', 'must be between 1 and 1000.')
  }
  for (const [index, container] of containers.entries()) {
    const at = `containers[${index}]`
    for (const [field, description] of containerViolations(container)) {
      yield spec(`${at}.${field}`, `${at}.${field}`, description)
    }
  }
}

const RESERVED_VARIABLES: ReadonlySet<string> = new Set([
  'PORT',
  'K_SERVICE',
  'K_REVISION',
  'K_CONFIGURATION',
])

function* containerViolations({ image, env, port, rest }: Container): Generator<readonly [string, string]> {
  if (!isImagePath(image)) {
    // facts 6.9.
    yield [
      'image',
      `Expected an image path like [host/]repo-path[:tag and/or @digest], where host is one of [region.]gcr.io, [region-]docker.pkg.dev or docker.io but obtained ${image}`,
    ]
  }
  if (port !== undefined && (port < 1 || port > 65535)) yield ['ports[0]', 'must be between 1 and 65535.']
  const reserved = env.filter(({ name }) => RESERVED_VARIABLES.has(name)).map(({ name }) => name)
  if (reserved.length) {
    yield [
      'env',
      `The following reserved env names were provided: ${reserved.join(', ')}. These values are automatically set by the system.`,
    ]
  }
  const names = env.map(({ name }) => name)
  const secrets = rest.secretEnv
  if (Array.isArray(secrets) && secrets.length) {
    // There is no Secret Manager here, so no secret is ever found. Inferred wording.
    yield [
      'env',
      'a secret that the environment refers to was not found: the emulator has no Secret Manager.',
    ]
  }
  if (names.some((name) => name === '' || name.includes('=')))
    yield ['env', 'invalid environment variable name.']
  if (new Set(names).size !== names.length) yield ['env', 'duplicate environment variable names.']
}

const IMAGE_HOST = /^(?:(?:[a-z]+\.)?gcr\.io|(?:[a-z0-9-]+-)?docker\.pkg\.dev|(?:[a-z0-9-]+\.)?docker\.io)$/
const IMAGE_PATH = /^[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/

/** As Docker reads a reference: a first part with a dot or a port, or `localhost`, is a host. */
function isImagePath(image: string): boolean {
  const slash = image.indexOf('/')
  const first = image.slice(0, Math.max(slash, 0))
  const hasHost = first.includes('.') || first.includes(':') || first === 'localhost'
  return (!hasHost || IMAGE_HOST.test(first)) && IMAGE_PATH.test(hasHost ? image.slice(slash + 1) : image)
}

const INGRESS: readonly string[] = ['all', 'internal', 'internal-and-cloud-load-balancing']
const FLAGS: readonly (readonly [annotation: string, v2: string])[] = [
  ['run.googleapis.com/invoker-iam-disabled', 'invoker_iam_disabled'],
  ['run.googleapis.com/default-url-disabled', 'default_uri_disabled'],
]
/** facts 1.6: characters of the custom audiences, as JSON. */
const AUDIENCES_LENGTH = 32_768

function* annotationViolations(annotations: Readonly<Record<string, string>>): Generator<Violation> {
  const at = (name: string, v2: string, description: string): Violation => ({
    v1: `metadata.annotations[${name}]`,
    v2: `service.${v2}`,
    description,
  })
  const ingress = annotations['run.googleapis.com/ingress']
  if (ingress !== undefined && !INGRESS.includes(ingress)) {
    yield at(
      'run.googleapis.com/ingress',
      'ingress',
      `must be one of ${INGRESS.join(', ')} but obtained ${ingress}`,
    )
  }
  for (const [name, v2] of FLAGS) {
    const value = annotations[name]?.toLowerCase()
    if (value !== undefined && value !== 'true' && value !== 'false')
      yield at(name, v2, 'must be true or false.')
  }
  const audiences = annotations['run.googleapis.com/custom-audiences']
  if (audiences !== undefined && (!isStringList(audiences) || audiences.length > AUDIENCES_LENGTH)) {
    yield at(
      'run.googleapis.com/custom-audiences',
      'custom_audiences',
      `must be a JSON list of strings, at most ${AUDIENCES_LENGTH} characters.`,
    )
  }
}

function isStringList(json: string): boolean {
  try {
    const value: unknown = JSON.parse(json)
    return Array.isArray(value) && value.every((item) => typeof item === 'string')
  } catch {
    return false
  }
}

function* trafficViolations(
  { traffic, template }: DesiredService,
  revisions: readonly Pick<Revision, 'name'>[],
): Generator<Violation> {
  const at = (field: string, description: string): Violation => ({
    v1: `spec.traffic${field}`,
    v2: `service.traffic${field}`,
    description,
  })
  const known = new Set([...revisions.map(({ name }) => name), ...(template.name ? [template.name] : [])])
  const tags = new Set<string>()
  for (const [index, { revisionName, percent, tag }] of traffic.entries()) {
    if (revisionName !== undefined && !known.has(revisionName)) {
      yield at(
        `[${index}].revision_name`,
        `Revision '${revisionName}' does not exist or is deleted. Update all traffic to route to currently available revisions.`,
      )
    }
    if (percent < 0 || percent > 100) yield at(`[${index}].percent`, 'must be between 0 and 100.')
    if (tag === undefined) continue
    if (!TAG.test(tag) || tag.length > 46) {
      yield at(
        `[${index}].tag`,
        'only lowercase, digits, and hyphens; must begin with letter, and may not end with hyphen.',
      )
    }
    if (tags.has(tag)) yield at(`[${index}].tag`, `tag '${tag}' is used more than once.`)
    tags.add(tag)
  }
  const sum = traffic.reduce((total, { percent }) => total + percent, 0)
  if (sum !== 100) yield at('', `traffic percentages must sum to 100 but sum to ${sum}.`)
}
