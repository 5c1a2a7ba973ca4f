/** The composition root: what an emulator is made of, in the order of starting. It ends in the opposite one. */

import { createDocuments } from './assembly/documents.ts'
import { createPorts } from './assembly/ports.ts'
import { createRehearsal, type Repeat, startRotation } from './assembly/rehearsal.ts'
import { createRuntimes, type Images, type Runtimes } from './assembly/runtimes.ts'
import { Started } from './assembly/started.ts'
import { createTrust } from './assembly/trust.ts'
import { addedRoles, endpointOverrides, initiallyEnabled } from './catalogue/apis.ts'
import { directoryOf } from './catalogue/hosts.ts'
import { configure } from './config/configure.ts'
import type { Config, ConfigInput } from './config/schema.ts'
import { createControl } from './control/control.ts'
import { cut } from './decision/cut.ts'
import { isGateway, isLoopback } from './front/addresses.ts'
import { createProxy } from './front/proxy.ts'
import type { Peer } from './front/request.ts'
import { createFront } from './front/server.ts'
import { createIngress } from './ingress/ingress.ts'
import { readManifests } from './manifests.ts'
import { catalogue as everything } from './products/catalogue.ts'
import { createProducts } from './products/products.ts'
import type { Product } from './rest/product.ts'
import { createBuilder } from './runtime/builder.ts'
import { createDockerBuilder } from './runtime/docker-builder.ts'
import { localImages } from './runtime/local-images.ts'
import type { InstanceConnection } from './runtime/runtime.ts'
import { ObjectStore } from './state/objects.ts'
import { State } from './state/state.ts'
import { adjustableClock, type Clock, systemClock } from './tokens/clock.ts'
import { IdTokenVerifier } from './tokens/verify.ts'

export { localImages }

/** Long enough for the trace of a fault. Characters. */
const LONGEST_LINE = 8192

export interface EmulatorOptions {
  readonly clock?: Clock
  /** How often-repeated work is called back. Default `setInterval`. */
  readonly repeat?: Repeat
  /** Lines about what the emulator itself does or could not do. Default: none. */
  readonly log?: (line: string) => void
  /** Commands that stand for images, for programs that embed the emulator. */
  readonly images?: Images
  /** Called when `emulator down` asks for the end. Default: that is refused. */
  readonly onShutdown?: () => void
  /** Google's products. Default: all that there are. */
  readonly catalogue?: readonly Product[]
}

export interface Emulator {
  /** Where the one port is, such as `http://127.0.0.1:8080`. */
  readonly url: string
  readonly config: Config
  readonly state: State
  /** Where TLS is spoken, such as `https://127.0.0.1:8443`; undefined unless a port was given for it. */
  readonly tlsUrl: string | undefined
  /** Published ports, by service. */
  readonly published: Readonly<Record<string, string>>
  /** Ports of services' own programs, by service: URLs of their metadata servers. */
  readonly instances: Readonly<Record<string, string>>
  /** Opens the way to Google for a program that someone else runs, as this service or as none: the variables it is to have. */
  connect(service?: string): Promise<InstanceConnection>
  /** Removes the containers of emulators that were killed. A deployment to an engine does the same first. */
  removeLeftovers(): Promise<number>
  close(): Promise<void>
}

/**
 * Starts an emulator. When it resolves, keys are made, listeners are open, and what was deployed before is running again.
 *
 * @throws {InvokerError} ERR_CONFIG for a setting that cannot be used, ERR_DATA_FOLDER, ERR_LISTEN
 */
export async function startEmulator(
  input: ConfigInput = {},
  options: EmulatorOptions = {},
): Promise<Emulator> {
  const config = configure(input)
  const started = new Started()
  try {
    return await assemble(config, options, started)
  } catch (error) {
    await started.close()
    throw error
  }
}

async function assemble(config: Config, options: EmulatorOptions, started: Started): Promise<Emulator> {
  const { catalogue = everything, repeat, onShutdown } = options
  // Callers make part of a line, and say how long it is.
  const log = (line: string) => options.log?.(cut(line, LONGEST_LINE))
  const manifests = config.manifests === undefined ? undefined : readManifests(config.manifests)
  const images = { ...options.images, ...config.image }
  const time = adjustableClock(options.clock ?? systemClock)

  const state = started.add(await openState(config, catalogue, time.now))
  const trust = started.add(createTrust(config, state))
  const front = createFront(log, { aliases: [config.host, ...config.alias] })
  const ports = createPorts(front, config, state, trust)

  const runtime = started.add(createRuntimes({ config, images, state, ports, catalogue, log }))
  const builds = { objects: await ObjectStore.open(state, config.data), builder: builderOf(images) }
  const products = started.add(await createProducts({ catalogue, state, runtime, builds, log }))
  const documents = createDocuments({ state, config, manifests, products, log })

  const elsewhere = started.add(createProxy({ ...trust.tls, log }))
  const verifier = new IdTokenVerifier(state.keys)
  const { audiencePath, frontEndRules } = config
  const rules = { acceptAudiencePath: audiencePath === 'accept', frontEndRules }
  const ingress = started.add(createIngress({ state, runtime, verifier, log, ...rules }))
  const control = createControl({
    state,
    serviceAt: servicesOf(runtime),
    certificate: trust.certificate,
    tunnels: isNear,
    endpoints: endpointOverrides(catalogue),
    googlePort: async () => (await ports.google()).port,
    instances: { permits: isNear, connect: (service) => ports.connectProgram(service) },
    rehearsal: createRehearsal({ state, time, products, objects: builds.objects, documents }),
    ...(onShutdown && { shutdown: { permits: isNear, begin: onShutdown } }),
  })

  started.add(front).serve({
    directory: directoryOf(catalogue),
    product: (name) => products.at(name),
    console: { fetch: (request, bindings) => control.fetch(request, bindings) },
    ingress,
    elsewhere,
    serviceAt: async (address) => (await runtime.instanceAt(address))?.service.name,
  })
  started.add(await startRotation(state, repeat, log))
  const open = await ports.open()
  await products.start()
  await documents.apply()
  return {
    ...open,
    config,
    state,
    removeLeftovers: () => runtime.removeLeftovers(),
    connect: (service) => ports.connectProgram(service),
    close: () => started.close(),
  }
}

function openState(config: Config, catalogue: readonly Product[], clock: Clock): Promise<State> {
  const { project, projectNumber, scheme, region, account, group, domain, data } = config
  return State.open({
    projectId: project,
    projectNumber,
    scheme,
    region,
    clock,
    owner: account,
    groups: new Map(Object.entries(group)),
    domains: new Map(Object.entries(domain)),
    enabledServices: initiallyEnabled(catalogue),
    addedRoles: addedRoles(catalogue),
    ...(data === undefined ? {} : { data }),
  })
}

function builderOf(images: Images) {
  return createBuilder({
    engine: createDockerBuilder(),
    commands: Object.keys(images),
    fallbacks: Object.keys(localImages()),
  })
}

/** The service whose program a peer is. What comes by a container's gateway may be anything of the machine outside. */
function servicesOf(runtime: Runtimes) {
  return async ({ address, instance }: Peer) =>
    (instance ?? (isGateway(address) ? undefined : await runtime.instanceAt(address)))?.service.name
}

function isNear({ address }: Peer): boolean {
  return isLoopback(address)
}
