/** Rules about CPU, memory and GPUs, each by itself and together (facts 8.3). */
import type { RevisionTemplate } from '../../../state/resources.ts'
import { bytes, cpus } from '../quantities.ts'
import { behind, inTemplate, type Rule } from './rule.ts'

const GPU = 'nvidia.com/gpu'
const LIMITS: ReadonlySet<string> = new Set(['cpu', 'memory', GPU])
const Mi = 2 ** 20
const Gi = 2 ** 30
/** Memory by CPUs: the least and the most. */
const MEMORY: readonly (readonly [cpus: number, least: string, most: string])[] = [
  [0.5, '128Mi', '512Mi'],
  [1, '128Mi', '1Gi'],
  [2, '128Mi', '4Gi'],
  [4, '128Mi', '8Gi'],
  [6, '2Gi', '16Gi'],
  [8, '4Gi', '24Gi'],
  [Number.POSITIVE_INFINITY, '4Gi', '32Gi'],
]
const WHOLE_CPUS: readonly number[] = [1, 2, 4, 6, 8]
const LEAST_CPU = 0.08

export const resourceRules: readonly Rule[] = [
  {
    name: 'only cpu, memory and nvidia.com/gpu are limited, in quantities',
    source: 'W',
    *broken({ desired: { template } }) {
      for (const { at, limits } of each(template)) {
        const other = Object.keys(limits).find((name) => !LIMITS.has(name))
        if (other !== undefined)
          yield inTemplate(at, at, `Only cpu, memory and ${GPU} limits are supported, not '${other}'.`)
        // Ends of the sentences inferred.
        if (limits.cpu !== undefined && cpus(limits.cpu) === undefined)
          yield inTemplate(`${at}.cpu`, `${at}.cpu`, `Could not parse Quantity '${limits.cpu}'.`)
        if (limits.memory !== undefined && bytes(limits.memory) === undefined)
          yield inTemplate(`${at}.memory`, `${at}.memory`, `Could not parse Quantity '${limits.memory}'.`)
      }
    },
  },
  {
    name: 'a container has .08 to 1, 2, 4, 6 or 8 CPUs',
    source: 'W',
    *broken({ desired: { template } }) {
      for (const { at, cpu } of each(template)) {
        if (cpu === undefined || WHOLE_CPUS.includes(cpu) || (cpu >= LEAST_CPU && cpu < 1)) continue
        yield behind(
          `${at}.cpu`,
          'Invalid value specified for container cpu. Must be equal to one of [.08-1], 1.0, 2.0, 4.0, 6.0, 8.0',
        )
      }
    },
  },
  {
    name: 'memory is what the CPUs allow',
    source: 'W',
    *broken({ desired: { template } }) {
      for (const { at, cpu, memory } of each(template)) {
        const range = MEMORY.find(([below]) => (cpu ?? 1) < below)
        if (!range || memory === undefined || cpu === undefined) continue
        const [, least, most] = range
        if (memory >= (bytes(least) ?? 0) && memory <= (bytes(most) ?? 0)) continue
        // facts 8.3.
        const description = `Invalid value specified for memory. For ${decimal(cpu)} CPU, memory must be between ${least} and ${most} inclusive.`
        yield behind(`${at}.memory`, description)
      }
    },
  },
  {
    name: 'less than one CPU goes with one request at a time, gen1, and a CPU that idles',
    source: 'W',
    *broken({ desired: { template } }) {
      if (total(template, ({ cpu }) => cpu ?? 1) >= 1) return
      const at = 'containers.resources.limits.cpu'
      const say = (what: string) =>
        behind(at, `Invalid value specified for cpu. Total cpu < 1 is not supported with ${what}.`)
      if (template.containerConcurrency > 1) yield say('concurrency > 1')
      if (template.settings.executionEnvironment === 'gen2') yield say('gen2 execution environment')
      if (template.settings.cpuThrottling === false) yield say('cpu always allocated (unthrottled)')
    },
  },
  {
    name: 'less than 512Mi goes with gen1 and a CPU that idles',
    source: 'W',
    *broken({ desired: { template } }) {
      if (total(template, ({ memory }) => memory ?? 512 * Mi) >= 512 * Mi) return
      const at = 'containers.resources.limits.memory'
      const say = (what: string) =>
        behind(at, `Invalid value specified for memory. Total memory < 512 Mi is not supported with ${what}.`)
      if (template.settings.executionEnvironment === 'gen2') yield say('gen2 execution environment')
      if (template.settings.cpuThrottling === false) yield say('cpu always allocated (unthrottled)')
    },
  },
  {
    name: 'a GPU is one, and wants 4 CPUs, 16Gi, gen2 and a CPU that is always allocated',
    source: 'W',
    *broken({ desired: { template } }) {
      const { settings } = template
      for (const { at, limits, cpu = 1, memory = 0 } of each(template)) {
        const gpu = limits[GPU]
        if (gpu === undefined) continue
        if (gpu !== '1') yield behind(`${at}.${GPU}`, 'GPU can only be set to 1.')
        if (cpu < 4 || memory < 16 * Gi)
          yield behind(at, 'CPU must be at least 4; memory must be at least 16Gi to set GPU requirements.')
        if (settings.executionEnvironment === 'gen1')
          yield behind(at, 'Execution environment must be set to gen2 in order to set GPU requirements.')
        if (settings.cpuThrottling !== false)
          yield behind(at, 'CPU throttling must be disabled in order to set GPU requirements.')
      }
    },
  },
]

interface Resources {
  readonly at: string
  readonly limits: Readonly<Record<string, string>>
  readonly cpu: number | undefined
  /** Bytes. */
  readonly memory: number | undefined
}

function each({ containers }: RevisionTemplate): readonly Resources[] {
  return containers.map(({ limits = {} }, index) => ({
    at: `containers[${index}].resources.limits`,
    limits,
    cpu: limits.cpu === undefined ? undefined : cpus(limits.cpu),
    memory: limits.memory === undefined ? undefined : bytes(limits.memory),
  }))
}

function total(template: RevisionTemplate, amount: (resources: Resources) => number): number {
  return each(template).reduce((sum, resources) => sum + amount(resources), 0)
}

/** Google writes `1.0`, and `0.5`. */
function decimal(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : String(value)
}
