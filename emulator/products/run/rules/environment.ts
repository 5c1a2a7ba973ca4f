/** Rules about the variables of containers. */
import type { Container } from '../../../state/resources.ts'
import { inTemplate, type Rule } from './rule.ts'

/** What the platform sets itself: `PORT` in the container that takes the requests alone. */
const RESERVED: ReadonlySet<string> = new Set(['K_SERVICE', 'K_REVISION', 'K_CONFIGURATION'])
/** Kubernetes: letters, digits, `_`, `-` and `.`, and no digit first. */
const NAME = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/
/** Google's quotas of Cloud Run. */
const LONGEST_VALUE = 32_768
const MOST_VARIABLES = 1000

export const environmentRules: readonly Rule[] = [
  {
    name: 'K_SERVICE, K_REVISION and K_CONFIGURATION are the platform’s, and PORT is in the container that takes the requests',
    source: 'W',
    *broken({ desired: { template } }) {
      for (const [index, { env, port }] of template.containers.entries()) {
        const reserved = env
          .map(({ name }) => name)
          .filter((name) => RESERVED.has(name) || (name === 'PORT' && port !== undefined))
        if (reserved.length === 0) continue
        const at = `containers[${index}].env`
        yield inTemplate(
          at,
          at,
          `The following reserved env names were provided: ${reserved.join(', ')}. These values are automatically set by the system.`,
        )
      }
    },
  },
  {
    name: 'a variable’s name has letters, digits, _, - and . and begins with no digit',
    source: 'I',
    *broken({ desired: { template } }) {
      for (const [index, { env }] of template.containers.entries()) {
        for (const [place, { name }] of env.entries()) {
          if (NAME.test(name)) continue
          const at = `containers[${index}].env[${place}].name`
          const description = `invalid environment variable name '${name}': it must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit.`
          yield inTemplate(at, at, description)
        }
      }
    },
  },
  {
    name: 'a name is there once if it holds a secret',
    source: 'D',
    *broken({ desired: { template } }) {
      for (const [index, { env }] of template.containers.entries()) {
        const name = secretNames(env).find((secret) => env.filter((one) => one.name === secret).length > 1)
        const at = `containers[${index}].env`
        if (name !== undefined)
          yield inTemplate(at, at, `'${name}' refers to a secret and must be unique in its container.`)
      }
    },
  },
  {
    name: 'a value has at most 32,768 characters, and all containers 1000 variables',
    source: 'W',
    *broken({ desired: { template } }) {
      const { containers } = template
      for (const [index, { env }] of containers.entries()) {
        const place = env.findIndex((one) => 'value' in one && one.value.length > LONGEST_VALUE)
        const at = `containers[${index}].env[${place}].value`
        if (place !== -1) yield inTemplate(at, at, `length cannot exceed ${LONGEST_VALUE} characters.`)
      }
      if (containers.flatMap(({ env }) => env).length > MOST_VARIABLES) {
        const description = `The limit on EnvVars across all containers is ${MOST_VARIABLES}.`
        yield inTemplate('containers', 'containers', description)
      }
    },
  },
  {
    name: 'a secret in a variable is there (none is: there is no Secret Manager)',
    source: 'I',
    *broken({ desired: { template } }) {
      for (const [index, { env }] of template.containers.entries()) {
        if (secretNames(env).length === 0) continue
        const at = `containers[${index}].env`
        const description =
          'a secret that the environment refers to was not found: the emulator has no Secret Manager.'
        yield inTemplate(at, at, description)
      }
    },
  },
]

function secretNames(env: Container['env']): readonly string[] {
  return env.flatMap((variable) => ('secret' in variable ? [variable.name] : []))
}
