/** Cloud Run's contract with a container (facts 1.8) and its sentences about one that breaks it (facts 6.9). Pure. */
import type { Container, InstanceOf, Revision, RevisionTemplate } from '../state/resources.ts'
import type { LogLine, StartResult } from './runtime.ts'

/** The port that requests go to where the container names none. */
export const DEFAULT_PORT = 8080
/** The default start-up probe gives a container this long to listen (facts 6.9). Milliseconds. */
export const START_TIME = 240_000
/** From SIGTERM to SIGKILL (facts 1.8). Milliseconds. */
export const STOP_TIME = 10_000

/** The container that requests go to: the one with a port, or the only one. */
export function ingressContainer({ containers }: Pick<RevisionTemplate, 'containers'>): Container {
  const container = containers.find(({ port }) => port !== undefined) ?? containers[0]
  if (!container) throw new Error('a revision has no container')
  return container
}

export function instanceOf({ project, region, service, name }: Revision): InstanceOf {
  return { service: { project, region, name: service }, revision: name }
}

/** The variables of a revision's container. `connection`: what points it at the emulator; `port`: where it is to listen. */
export function containerEnvironment(
  revision: Revision,
  connection: Readonly<Record<string, string>>,
  port: number,
): Record<string, string> {
  const own = ingressContainer(revision.template).env.flatMap((variable) =>
    'value' in variable ? [[variable.name, variable.value] as const] : [],
  )
  return {
    ...Object.fromEntries(own),
    ...connection,
    PORT: String(port),
    K_SERVICE: revision.service,
    K_REVISION: revision.name,
    K_CONFIGURATION: revision.service,
    CLOUD_RUN_TIMEOUT_SECONDS: String(revision.template.timeoutSeconds),
  }
}

/** facts 6.9: an image that is not there. */
export function imageNotFound(revision: Revision): StartResult {
  const { image } = ingressContainer(revision.template)
  return {
    ready: false,
    reason: 'ContainerMissing',
    message: `Revision '${revision.name}' is not ready and cannot serve traffic. Image '${image}' not found.`,
  }
}

/** facts 6.9: a container that does not listen. */
export function didNotListen(revision: Revision): StartResult {
  const port = ingressContainer(revision.template).port ?? DEFAULT_PORT
  return {
    ready: false,
    reason: 'HealthCheckContainerError',
    message:
      `Revision '${revision.name}' is not ready and cannot serve traffic. The user-provided container failed to start and listen on the port defined provided by the ` +
      `PORT=${port} environment variable within the allocated timeout. This can happen when the container port is misconfigured or if the timeout is too short. ` +
      'The health check timeout can be extended. Logs for this revision might contain more information.',
  }
}

/** How a process or a container ended. */
export type Ended = { readonly exitCode: number } | { readonly signal: number }

/** What the platform logs when a container ends by itself. Seen in the wild under varlog/system. */
export function endedLine(ended: Ended): LogLine {
  const text =
    'signal' in ended
      ? `Container terminated on signal ${ended.signal}.`
      : `Container called exit(${ended.exitCode}).`
  return { text, log: 'varlog/system', severity: 'WARNING' }
}

/** facts 6.9: the log line of a container that does not listen. That one which ends meanwhile is CANCELLED is inferred. */
export function probeFailedLine(revision: Revision, status: 'DEADLINE_EXCEEDED' | 'CANCELLED'): LogLine {
  const { name, port = DEFAULT_PORT } = ingressContainer(revision.template)
  // A container without a name is called SERVICE-1, as seen in the wild.
  const container = name || `${revision.service}-1`
  return {
    text: `Default STARTUP TCP probe failed 1 time consecutively for container "${container}" on port ${port}. The instance was not started. Connection failed with status ${status}`,
    log: 'varlog/system',
    severity: 'ERROR',
  }
}

/** What the platform logs when there is nothing that could be started. Wording inferred. */
export function cannotStartLine(reason: string): LogLine {
  return { text: `Application failed to start: ${reason}`, log: 'varlog/system', severity: 'ERROR' }
}
