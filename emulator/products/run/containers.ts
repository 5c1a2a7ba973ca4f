/** A container as clients send it: what v1 and v2 spell alike, and the neutral form made of it. */
import { z } from 'zod'
import { int, message, strings, text } from '../../rest/messages.ts'
import type { Container } from '../../state/resources.ts'
import type { EnvironmentVariable, Probe } from '../../state/settings.ts'
import { defined, filled } from './defined.ts'
import { cpus } from './quantities.ts'
import type { Violation } from './violations.ts'

/** Cloud Run's defaults for what a client leaves out. */
export const DEFAULTS = {
  timeoutSeconds: 300,
  port: 8080,
  portName: 'http1',
  limits: { cpu: '1000m', memory: '512Mi' },
} as const

export const port = { name: text, containerPort: int }
export const volumeMount = { name: text, mountPath: text, subPath: text }
export const httpGet = {
  path: text,
  port: int,
  httpHeaders: z.array(message({ name: text, value: text })),
}
export const probe = {
  httpGet: message(httpGet),
  tcpSocket: message({ port: int }),
  grpc: message({ port: int, service: text }),
  initialDelaySeconds: int,
  timeoutSeconds: int,
  periodSeconds: int,
  successThreshold: int,
  failureThreshold: int,
}
const probeMessage = message(probe)
export type ProbeMessage = z.output<typeof probeMessage>

/** Both versions' container messages begin with these. */
export const container = {
  name: text,
  image: text,
  command: strings,
  args: strings,
  ports: z.array(message(port)),
  volumeMounts: z.array(message(volumeMount)),
  workingDir: text,
  livenessProbe: probeMessage,
  readinessProbe: probeMessage,
  startupProbe: probeMessage,
}
const containerMessage = message(container)
export type ContainerMessage = z.output<typeof containerMessage>

/** What the versions spell each in its own way. */
interface OwnParts {
  readonly env: readonly EnvironmentVariable[]
  readonly limits: Readonly<Record<string, string>> | undefined
  readonly requests?: Readonly<Record<string, string>> | undefined
  readonly dependsOn: readonly string[] | undefined
}

/** `only`: a single container takes the requests, whether or not it says so. */
export function containerFrom(
  given: ContainerMessage,
  { env, limits, requests, dependsOn }: OwnParts,
  only: boolean,
): Container {
  const [first] = given.ports ?? []
  const number = first?.containerPort || (only || first ? DEFAULTS.port : undefined)
  const mounts = given.volumeMounts?.map(({ name = '', mountPath = '', subPath }) =>
    defined({ name, mountPath, subPath: filled(subPath) }),
  )
  return {
    name: given.name ?? '',
    image: given.image ?? '',
    command: given.command ?? [],
    args: given.args ?? [],
    env,
    ...(number === undefined ? {} : { port: number, portName: first?.name || DEFAULTS.portName }),
    ...defined({
      workingDir: filled(given.workingDir),
      limits: { ...DEFAULTS.limits, ...limits },
      requests: filled(requests),
      volumeMounts: filled(mounts),
      startupProbe: probeFrom(given.startupProbe),
      livenessProbe: probeFrom(given.livenessProbe),
      readinessProbe: probeFrom(given.readinessProbe),
      dependsOn: filled(dependsOn),
    }),
  }
}

/** facts 8.3: a revision of less than one CPU takes one request at a time, any other 80. */
export function defaultConcurrency(containers: readonly Container[]): number {
  const total = containers.reduce((sum, { limits }) => sum + (cpus(limits?.cpu ?? '1') ?? 1), 0)
  return total < 1 ? 1 : 80
}

function probeFrom(given: ProbeMessage | undefined): Probe | undefined {
  if (given === undefined) return undefined
  const { httpGet: http, tcpSocket, grpc, ...times } = given
  const headers = http?.httpHeaders?.map(({ name = '', value = '' }) => ({ name, value }))
  return {
    ...defined(times),
    ...(http ? { httpGet: defined({ ...http, httpHeaders: filled(headers) }) } : {}),
    ...(tcpSocket ? { tcpSocket: defined(tcpSocket) } : {}),
    ...(grpc ? { grpc: defined(grpc) } : {}),
  }
}

/** What the neutral form has no place for. */
export function* unreadable(containers: readonly ContainerMessage[]): Generator<Violation> {
  for (const [index, { ports = [] }] of containers.entries()) {
    if (ports.length < 2) continue
    // facts 8.2.
    const at = `containers[${index}].ports`
    yield {
      v1: `spec.template.spec.${at}`,
      v2: `service.template.${at}`,
      description: 'ports should contain 0 or 1 port.',
    }
  }
}
