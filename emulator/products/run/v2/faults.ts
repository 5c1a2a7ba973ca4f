/** What the messages of v2 can hold and the neutral form cannot. */
import type { Violation } from '../violations.ts'
import type { V2Service } from './messages.ts'
import { stageWords } from './words.ts'

/** Namespaces that v2 has fields for, or keeps to itself (facts 8.1). */
const SYSTEM =
  /^(?:run\.googleapis\.com|cloud\.googleapis\.com|serving\.knative\.dev|autoscaling\.knative\.dev)\//

export function* faults(document: V2Service): Generator<Violation> {
  const at = (v2: string, description: string): Violation => ({ v1: v2, v2, description })
  const { template = {} } = document
  for (const [path, { annotations, labels }] of [
    ['service', document],
    ['service.template', template],
  ] as const) {
    const system = Object.keys(annotations ?? {}).find((name) => SYSTEM.test(name))
    // The sentence's middle was seen in the wild; its frame is inferred.
    if (system !== undefined)
      yield at(`${path}.annotations`, `system annotations are not supported: '${system}'.`)
    const label = Object.keys(labels ?? {}).find((name) => SYSTEM.test(name))
    if (label !== undefined) yield at(`${path}.labels`, `system labels are not supported: '${label}'.`)
  }
  if (document.launchStage && document.launchStage !== 'LAUNCH_STAGE_UNSPECIFIED') {
    if (stageWords.read(document.launchStage) === undefined)
      yield at('service.launch_stage', 'only ALPHA, BETA, GA, or unspecified are supported.')
  }
  for (const field of ['timeout', 'encryptionKeyShutdownDuration'] as const) {
    const value = template[field]
    if (value === undefined || seconds(value) !== undefined) continue
    yield at(`service.template.${snake(field)}`, 'Illegal duration format; duration must end with `s`.')
  }
  for (const [index, volume] of (template.volumes ?? []).entries()) {
    const { name: _, ...sources } = volume
    if (Object.values(sources).filter((source) => source !== undefined).length > 1)
      yield at(`service.template.volumes[${index}]`, 'a volume has exactly one source.')
  }
}

/** Whole seconds of a proto duration, such as `300s`. Undefined: none. */
export function seconds(duration: string): number | undefined {
  const match = /^(\d{1,9})(?:\.\d{1,9})?s$/.exec(duration)
  return match ? Number(match[1]) : undefined
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** What v1 can have of those namespaces: v2 does not show it, and a change by v2 leaves it as it is. */
export function systemLabels(
  labels: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => SYSTEM.test(name)))
}

export function withoutSystemLabels(
  labels: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !SYSTEM.test(name)))
}
