/** The listeners: which there are, and what each one is for. */
import { dirname } from 'node:path'
import type { Config } from '../config/schema.ts'
import { listeningError } from '../errors/listening.ts'
import type { Listener, ListenOptions } from '../front/listener.ts'
import type { Front } from '../front/server.ts'
import { instanceOf } from '../runtime/contract.ts'
import { instanceEnvironment } from '../runtime/environment.ts'
import type { ConnectInstance, InstanceConnection } from '../runtime/runtime.ts'
import { serviceHosts } from '../state/names.ts'
import type { Placed, Services } from '../state/parts.ts'
import type { InstanceOf, Revision } from '../state/resources.ts'
import { trustEnvironment } from '../trust.ts'
import { lazily } from './lazily.ts'
import type { Trust } from './trust.ts'

type State = Placed & Services

/** Where the emulator is reached: URLs. */
export interface OpenPorts {
  readonly url: string
  readonly tlsUrl: string | undefined
  /** By service. */
  readonly published: Readonly<Record<string, string>>
  /** By service. */
  readonly instances: Readonly<Record<string, string>>
}

export interface Ports {
  /** Those that the configuration names. @throws {InvokerError} ERR_LISTEN, ERR_CONFIG for the folder of certificates */
  open(): Promise<OpenPorts>
  /** One for an instance that the emulator runs itself. */
  readonly connectInstance: ConnectInstance
  /** One for a program that someone else runs, as this service or as none. */
  connectProgram(service: string | undefined): Promise<InstanceConnection>
  /** Ports 80 and, where services are https, 443 of an address, for programs that know names alone. */
  listenByName(host: string): Promise<{ close(): Promise<void> }>
  /** The one by which Google's own products come in. */
  google(): Promise<Listener>
}

export function createPorts(front: Front, config: Config, state: State, trust: Trust): Ports {
  const listen = (where: ListenOptions) =>
    front.listen(where).catch((error: unknown) => {
      throw listeningError(where.port, error)
    })
  const listenAs = (service: string | undefined, host: string, port: number) =>
    listen({
      host,
      port,
      instance: () => (service === undefined ? undefined : servingInstance(state, service)),
    })
  const connection = async ({ port, close }: Listener, advertised: string): Promise<InstanceConnection> => {
    if (config.scheme === 'http') return { env: instanceEnvironment(advertised, port), close }
    // A service's URL is asked for by its own scheme, and a program has to trust who answers.
    const files = await trust.files()
    const env = instanceEnvironment(advertised, port, trustEnvironment(files))
    return { env, folder: dirname(files.certificate), close }
  }
  return {
    open: () => openConfigured({ listen, listenAs, config, state, trust }),
    async connectInstance(instance, { host = '127.0.0.1', advertised = host } = {}) {
      return connection(await listen({ host, port: 0, instance: () => instance }), advertised)
    },
    async connectProgram(service) {
      return connection(await listenAs(service, '127.0.0.1', 0), '127.0.0.1')
    },
    async listenByName(host) {
      const plain = await listen({ host, port: 80 })
      if (config.scheme === 'http') return plain
      const secure = await listen({ host, port: 443, tls: trust.tls }).catch(async (error: unknown) => {
        await plain.close()
        throw error
      })
      return { close: async () => void (await Promise.all([plain.close(), secure.close()])) }
    },
    google: lazily(() => listen({ host: '127.0.0.1', port: 0, google: true })),
  }
}

interface Opening {
  readonly listen: (where: ListenOptions) => Promise<Listener>
  readonly listenAs: (service: string, host: string, port: number) => Promise<Listener>
  readonly config: Config
  readonly state: State
  readonly trust: Trust
}

async function openConfigured({ listen, listenAs, config, state, trust }: Opening): Promise<OpenPorts> {
  const { host, port, tlsPort } = config
  // Who shares the folder may start as soon as the listeners answer.
  if (config.caDir !== undefined) await trust.files()
  const main = await listen({ host, port, control: true })
  const tls =
    tlsPort === undefined ? undefined : await listen({ host, port: tlsPort, control: true, tls: trust.tls })
  const at = (listener: Listener, scheme = 'http') => `${scheme}://${shown(host)}:${listener.port}`

  const published: Record<string, string> = {}
  for (const [number, service] of Object.entries(config.publish)) {
    const name = { project: config.project, region: config.region, name: service }
    const standsFor = () => {
      const [first] = serviceHosts(name, state.place)
      return first === undefined ? undefined : { host: first, scheme: config.scheme }
    }
    published[service] = at(await listen({ host, port: Number(number), standsFor }))
  }
  const instances: Record<string, string> = {}
  for (const [number, service] of Object.entries(config.instance))
    instances[service] = at(await listenAs(service, host, Number(number)))
  return { url: at(main), tlsUrl: tls && at(tls, 'https'), published, instances }
}

/** The revision of a service that serves now, known by the service's name alone. */
export function servingRevision(state: Services, name: string): Revision | undefined {
  const service = state.services.getBy('name', name)
  if (!service?.latestReadyRevision) return undefined
  return state.revisions.get(`${service.project}/${service.region}/${service.latestReadyRevision}`)
}

/** The instance that a service's own program is: of the revision that serves, or, where none does, of one that does not exist. */
function servingInstance(state: State, name: string): InstanceOf {
  const revision = servingRevision(state, name)
  const { projectId: project } = state.place
  return revision
    ? instanceOf(revision)
    : { service: { project, region: state.region, name }, revision: `${name}-none` }
}

function shown(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
