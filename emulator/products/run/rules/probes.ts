/** Rules about probes (facts 8.2). */
import type { Probe } from '../../../state/settings.ts'
import { inTemplate, type Rule } from './rule.ts'

const KINDS = ['startupProbe', 'livenessProbe', 'readinessProbe'] as const
type Kind = (typeof KINDS)[number]
/** v2's names of the fields. */
const FIELD = {
  startupProbe: 'startup_probe',
  livenessProbe: 'liveness_probe',
  readinessProbe: 'readiness_probe',
} as const
const WORD = { startupProbe: 'startup', livenessProbe: 'liveness', readinessProbe: 'readiness' } as const
/** Longest period and delay, in seconds. */
const LONGEST = { startupProbe: 240, livenessProbe: 3600, readinessProbe: 300 } as const
const HEADER = /^[-A-Za-z0-9]+$/

export const probeRules: readonly Rule[] = [
  probeRule('a probe asks in exactly one way', function* (probe) {
    const ways = [probe.httpGet, probe.tcpSocket, probe.grpc].filter((way) => way !== undefined)
    if (ways.length !== 1) yield 'Exactly one probe action must be set.'
  }),
  probeRule('only a start-up probe connects by TCP', function* (probe, kind) {
    if (probe.tcpSocket && kind !== 'startupProbe')
      yield `Cloud Run currently does not support TCP socket in ${WORD[kind]} probe.`
  }),
  probeRule(
    'a probe’s times are in their bounds, and its time-out within its period',
    function* (probe, kind) {
      const { initialDelaySeconds = 0, timeoutSeconds = 1, periodSeconds = 10 } = probe
      const most = LONGEST[kind]
      if (kind === 'readinessProbe' && initialDelaySeconds !== 0)
        yield 'Initial delay is not supported for readiness probe.'
      else if (initialDelaySeconds < 0 || initialDelaySeconds > most)
        yield `initial_delay_seconds must be a number between 0 and ${most}.`
      if (periodSeconds < 0 || periodSeconds > most)
        yield `period_seconds must be a number between 0 and ${most}.`
      if (timeoutSeconds < 0 || timeoutSeconds > 3600)
        yield 'timeout_seconds must be a number between 0 and 3600.'
      // 0 is a field that was left out. Documented; wording inferred.
      else if ((timeoutSeconds || 1) > (periodSeconds || 10))
        yield 'timeout_seconds must not be greater than period_seconds.'
    },
  ),
  probeRule('a probe fails after a positive number of times', function* (probe) {
    if ((probe.failureThreshold ?? 0) < 0) yield 'failure_threshold: Must be a positive number if set.'
    // Google's reference: "Must be 1 if set".
    if ((probe.successThreshold ?? 1) > 1 || (probe.successThreshold ?? 1) < 0)
      yield 'success_threshold: Must be 1 if set.'
  }),
  probeRule('a probe’s port is between 1 and 65535, and its headers are headers', function* (probe) {
    for (const way of [probe.httpGet, probe.tcpSocket, probe.grpc]) {
      if (way?.port && (way.port < 1 || way.port > 65_535))
        yield 'port: if specified, must be between 1 and 65535.'
    }
    if (probe.httpGet?.httpHeaders?.some(({ name }) => !HEADER.test(name)))
      yield "a valid HTTP header must consist of alphanumeric characters or '-'."
  }),
]

function probeRule(name: string, faults: (probe: Probe, kind: Kind) => Iterable<string>): Rule {
  return {
    name,
    source: 'W',
    *broken({ desired: { template } }) {
      for (const [index, container] of template.containers.entries()) {
        for (const kind of KINDS) {
          const probe = container[kind]
          if (probe === undefined) continue
          const at = `containers[${index}]`
          for (const description of faults(probe, kind))
            yield inTemplate(`${at}.${kind}`, `${at}.${FIELD[kind]}`, description)
        }
      }
    },
  }
}
