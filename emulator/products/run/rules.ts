/** What Cloud Run refuses in a service before it makes anything of it (facts 6.9). Pure. */

import type { Container, Revision } from '../../state/resources.ts'
import type { DesiredService } from './desired.ts'
import type { Spelling, Violation } from './violations.ts'

/** Every rule that `desired` breaks. `revisions` are those of the service so far. */
export function violationsOf(
  desired: DesiredService,
  revisions: readonly Pick<Revision, 'name'>[],
  spelling: Spelling,
): readonly Violation[] {
  return [
    ...nameViolations(desired.name, spelling),
    ...templateViolations(desired),
    ...settingViolations(desired),
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
  for (const description of dependencyFaults(containers)) yield spec('containers', 'containers', description)
  for (const [index, container] of containers.entries()) {
    const at = `containers[${index}]`
    for (const [field, description] of containerViolations(container)) {
      yield spec(`${at}.${field}`, `${at}.${field}`, description)
    }
  }
}

function* dependencyFaults(containers: readonly Container[]): Generator<string> {
  const after = new Map(containers.map(({ name, dependsOn = [] }) => [name, dependsOn]))
  for (const { name, dependsOn = [] } of containers) {
    if (dependsOn.length && name === '') yield 'a container that depends on others must have a name.'
    const unknown = dependsOn.find((other) => other === '' || !after.has(other))
    // Both sentences' ends as seen in the wild.
    if (unknown !== undefined) yield `Container '${unknown}', on which '${name}' depends, does not exist.`
    if (reaches(name, name, after, new Set())) yield `dependency cycle detected at '${name}'.`
  }
}

function reaches(
  from: string,
  to: string,
  after: ReadonlyMap<string, readonly string[]>,
  seen: Set<string>,
): boolean {
  return (after.get(from) ?? []).some((next) => {
    if (next === to) return true
    if (seen.has(next)) return false
    seen.add(next)
    return reaches(next, to, after, seen)
  })
}

const RESERVED_VARIABLES: ReadonlySet<string> = new Set([
  'PORT',
  'K_SERVICE',
  'K_REVISION',
  'K_CONFIGURATION',
])

function* containerViolations({ image, env, port }: Container): Generator<readonly [string, string]> {
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
  if (env.some((variable) => 'secret' in variable)) {
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

/** facts 1.6: characters of the custom audiences, as JSON. */
const AUDIENCES_LENGTH = 32_768

function* settingViolations({ settings, template }: DesiredService): Generator<Violation> {
  const { customAudiences = [] } = settings
  if (JSON.stringify(customAudiences).length > AUDIENCES_LENGTH) {
    yield {
      v1: 'metadata.annotations',
      v2: 'service.custom_audiences',
      description: `custom audiences may have at most ${AUDIENCES_LENGTH} characters.`,
    }
  }
  for (const [v1, v2, counts] of [
    ['metadata.annotations', 'service.scaling', settings],
    ['spec.template.metadata.annotations', 'service.template.scaling', template.settings],
  ] as const) {
    const { minInstances = 0, maxInstances } = counts
    // Middles of the sentences as seen in the wild.
    if (minInstances < 0)
      yield { v1, v2: `${v2}.min_instance_count`, description: 'must be greater than or equal to zero.' }
    if (maxInstances !== undefined && maxInstances < 0)
      yield { v1, v2: `${v2}.max_instance_count`, description: 'must be greater than or equal to zero.' }
    if (maxInstances && maxInstances < minInstances) {
      yield {
        v1,
        v2: `${v2}.max_instance_count`,
        description: 'must be greater than or equal to min_instance_count.',
      }
    }
  }
  if ((settings.manualInstances ?? 0) < 0) {
    yield {
      v1: 'metadata.annotations',
      v2: 'service.scaling.manual_instance_count',
      description: 'must be greater than or equal to zero.',
    }
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
