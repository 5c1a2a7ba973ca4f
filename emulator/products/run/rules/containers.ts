/** Rules about containers: how many, their names and images, their ports, which waits for which. */
import type { Container } from '../../../state/resources.ts'
import { behind, inTemplate, type Rule } from './rule.ts'

const MOST_CONTAINERS = 10
/** RFC 1123. */
const NAME = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/

export const containerRules: readonly Rule[] = [
  {
    name: 'a template has between 1 and 10 containers',
    source: 'W',
    *broken({ desired: { template } }) {
      const { length } = template.containers
      const sentence =
        length === 0 ? 'must contain at least one container.' : 'must contain at most 10 containers.'
      if (length === 0 || length > MOST_CONTAINERS) yield inTemplate('containers', 'containers', sentence)
    },
  },
  {
    name: 'exactly one container takes the requests',
    source: 'W',
    *broken({ desired: { template } }) {
      const { containers } = template
      if (containers.length < 2 || containers.filter(({ port }) => port !== undefined).length === 1) return
      // facts 8.2.
      yield behind(
        'containers',
        'Revision template should contain exactly one container with an exposed port.',
      )
    },
  },
  {
    name: 'a container’s name is a DNS label, and its own',
    source: 'W',
    *broken({ desired: { template } }) {
      const names = template.containers.map(({ name }) => name)
      for (const [index, name] of names.entries()) {
        const at = `containers[${index}].name`
        if (name !== '' && !NAME.test(name))
          yield inTemplate(at, at, 'must conform to RFC 1123 DNS label restrictions.')
      }
      const twice = names.find((name, index) => name !== '' && names.indexOf(name) !== index)
      if (twice !== undefined)
        yield inTemplate('containers', 'containers', `duplicate container names: '${twice}'.`)
    },
  },
  {
    name: 'an image is of Container Registry, Artifact Registry or Docker Hub',
    source: 'W',
    *broken({ desired: { template } }) {
      for (const [index, { image }] of template.containers.entries()) {
        if (isImagePath(image)) continue
        const at = `containers[${index}].image`
        // facts 6.9.
        const description = `Expected an image path like [host/]repo-path[:tag and/or @digest], where host is one of [region.]gcr.io, [region-]docker.pkg.dev or docker.io but obtained ${image}`
        yield inTemplate(at, at, description)
      }
    },
  },
  {
    name: 'a port is between 1 and 65535 and is called http1 or h2c',
    source: 'W',
    *broken({ desired: { template } }) {
      for (const [index, { port, portName }] of template.containers.entries()) {
        const at = `containers[${index}].ports[0]`
        if (port !== undefined && (port < 1 || port > 65_535)) {
          const v1 = `${at}.containerPort`
          yield inTemplate(
            v1,
            `${at}.container_port`,
            'must be 0 (which means the default) or between 1 and 65535.',
          )
        }
        if (portName !== undefined && portName !== 'http1' && portName !== 'h2c')
          yield inTemplate(`${at}.name`, `${at}.name`, "must be one of empty, 'http1' or 'h2c'.")
      }
    },
  },
  {
    name: 'containers wait for containers that there are, and not for each other in a circle',
    source: 'W',
    *broken({ desired: { template } }) {
      for (const description of dependencyFaults(template.containers))
        yield inTemplate('containers', 'containers', description)
    },
  },
]

const IMAGE_HOST = /^(?:(?:[a-z]+\.)?gcr\.io|(?:[a-z0-9-]+-)?docker\.pkg\.dev|(?:[a-z0-9-]+\.)?docker\.io)$/
const IMAGE_PATH = /^[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/

/** As Docker reads a reference: a first part with a dot or a port, or `localhost`, is a host. */
function isImagePath(image: string): boolean {
  const slash = image.indexOf('/')
  const first = image.slice(0, Math.max(slash, 0))
  const hasHost = first.includes('.') || first.includes(':') || first === 'localhost'
  return (!hasHost || IMAGE_HOST.test(first)) && IMAGE_PATH.test(hasHost ? image.slice(slash + 1) : image)
}

function* dependencyFaults(containers: readonly Container[]): Generator<string> {
  const after = new Map(containers.map(({ name, dependsOn = [] }) => [name, dependsOn]))
  for (const { name, dependsOn = [] } of containers) {
    // Inferred: v1 has no way to say it.
    if (dependsOn.length && name === '') yield 'a container that depends on others must have a name.'
    const unknown = dependsOn.find((other) => other === '' || !after.has(other))
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
