/**
 * What Cloud Run refuses in a service before it makes anything of it: one table, for v1, v2 and what `emulator import` sends.
 * The sentences are Google's where one was seen (facts 6.9, 8.2, 8.3), and named as inferred where not. Pure.
 */
import type { Violation } from '../violations.ts'
import { containerRules } from './containers.ts'
import { environmentRules } from './environment.ts'
import { probeRules } from './probes.ts'
import { resourceRules } from './resources.ts'
import type { Request, Rule } from './rule.ts'
import { serviceRules } from './service.ts'
import { templateRules } from './template.ts'
import { trafficRules } from './traffic.ts'
import { volumeRules } from './volumes.ts'

/** In the order in which violations are named: the first one is the sentence that a client shows. */
export const RULES: readonly Rule[] = [
  ...serviceRules,
  ...templateRules,
  ...containerRules,
  ...environmentRules,
  ...resourceRules,
  ...probeRules,
  ...volumeRules,
  ...trafficRules,
]

/** Every violation of every rule. */
export function violationsOf(request: Request): readonly Violation[] {
  return RULES.flatMap((rule) => [...rule.broken(request)])
}
