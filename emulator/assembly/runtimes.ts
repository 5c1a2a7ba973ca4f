/** How revisions come to run: by someone else, as local processes, as containers. */
import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import { aliasesOf } from '../catalogue/hosts.ts'
import type { Config } from '../config/schema.ts'
import type { Product } from '../rest/product.ts'
import { createDockerRuntime } from '../runtime/docker.ts'
import { createExternalRuntime } from '../runtime/external.ts'
import { localImages } from '../runtime/local-images.ts'
import { createProcessRuntime } from '../runtime/process.ts'
import type { LogLine, OnLog, Runtime } from '../runtime/runtime.ts'
import { combineRuntimes } from '../runtime/runtimes.ts'
import { REGIONS, serviceHosts } from '../state/names.ts'
import type { Logs, Placed, Services, Timed } from '../state/parts.ts'
import type { InstanceOf, LogEntry } from '../state/resources.ts'
import { type Ports, servingRevision } from './ports.ts'

type State = Logs & Placed & Services & Timed

/** Commands that stand for images; a string is for the shell. */
export type Images = Readonly<Record<string, string | readonly string[]>>

export interface RuntimesOptions {
  readonly config: Config
  readonly images: Images
  readonly state: State
  readonly ports: Ports
  readonly catalogue: readonly Product[]
  readonly log: (line: string) => void
}

export interface Runtimes extends Runtime {
  /** Removes the containers of emulators that were killed. */
  removeLeftovers(): Promise<number>
}

export function createRuntimes({ config, images, state, ports, catalogue, log }: RuntimesOptions): Runtimes {
  const { connectInstance, listenByName } = ports
  const onLog: OnLog = (instance, line) => state.logs.add(logEntry(state, instance, line))
  const docker = createDockerRuntime({
    connectInstance,
    onLog,
    log,
    // A data folder is used by one emulator at a time.
    owner: config.data === undefined ? randomUUID() : resolve(config.data),
    listenByName,
    hosts: () => [
      ...aliasesOf(catalogue, REGIONS),
      ...state.services.list().flatMap((service) => serviceHosts(service, state.place)),
    ],
  })
  const all = combineRuntimes([
    createExternalRuntime({
      upstreams: config.upstream,
      serving: (service) => servingRevision(state, service),
      revision: (name) => state.revisions.getBy('name', name),
      now: state.clock,
      log,
    }),
    createProcessRuntime({ images, connectInstance, onLog }),
    docker,
    // Last: an image that was built is what a deployment of its name means.
    createProcessRuntime({ images: localImages(), connectInstance, onLog }),
  ])
  return { ...all, removeLeftovers: () => docker.removeLeftovers() }
}

function logEntry(state: Timed, instance: InstanceOf, { text, log, severity }: LogLine): LogEntry {
  return {
    timestamp: state.timestamp(),
    severity,
    log: `run.googleapis.com/${log}`,
    instance,
    textPayload: text,
  }
}
