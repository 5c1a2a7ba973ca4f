/** The composition root: state, rooms and listeners made into one emulator. */
import { randomUUID } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { addedRoles, endpointOverrides, initiallyEnabled } from './catalogue/apis.ts'
import { aliasesOf, directoryOf } from './catalogue/hosts.ts'
import { Google } from './client/google.ts'
import { type Config, type ConfigInput, configure } from './config.ts'
import { createControl } from './control/control.ts'
import { cut } from './decision/cut.ts'
import { InvokerError, isError, reasonOf } from './errors/errors.ts'
import { listeningError } from './errors/listening.ts'
import { isGateway, isLoopback } from './front/addresses.ts'
import { Authority, type KeptAuthority } from './front/authority.ts'
import type { Listener, ListenOptions } from './front/listener.ts'
import { createProxy } from './front/proxy.ts'
import type { RoomBindings } from './front/request.ts'
import { createFront, type Front } from './front/server.ts'
import { createIngress } from './ingress/ingress.ts'
import { applyOnce, readManifests } from './manifests.ts'
import { catalogue as everything } from './products/catalogue.ts'
import { createProducts, type Products } from './products/products.ts'
import type { Product } from './rest/product.ts'
import { createBuilder } from './runtime/builder.ts'
import { instanceOf } from './runtime/contract.ts'
import { createDockerRuntime } from './runtime/docker.ts'
import { createDockerBuilder } from './runtime/docker-builder.ts'
import { instanceEnvironment } from './runtime/environment.ts'
import { createExternalRuntime } from './runtime/external.ts'
import { localImages } from './runtime/local-images.ts'
import { createProcessRuntime } from './runtime/process.ts'
import type { ConnectInstance, InstanceConnection, LogLine, OnLog } from './runtime/runtime.ts'
import { combineRuntimes } from './runtime/runtimes.ts'
import { AppliedDocuments } from './state/applied.ts'
import type { CollectionDeclaration } from './state/collection.ts'
import { putProviders } from './state/federation.ts'
import { REGIONS, serviceHosts } from './state/names.ts'
import { ObjectStore } from './state/objects.ts'
import type { InstanceOf, LogEntry, Revision } from './state/resources.ts'
import { State } from './state/state.ts'
import { adjustableClock, type Clock, systemClock } from './tokens/clock.ts'
import { IdTokenVerifier } from './tokens/verify.ts'
import { trustEnvironment, writeTrust } from './trust.ts'

export { localImages }

/** The local CA: whoever trusts its certificate goes on to after a reset. */
const authorities: CollectionDeclaration<KeptAuthority> = {
  name: 'authority',
  survivesReset: true,
  survivesRestart: true,
}

/** How often it is looked whether a signing key has served its time. Milliseconds. */
const ROTATION_CHECK = 60_000
/** Long enough for the trace of a fault. Characters. */
const LONGEST_LINE = 8192

export interface EmulatorOptions {
  readonly clock?: Clock
  /** Calls back every so many milliseconds, until the returned function is called. Default `setInterval`. */
  readonly repeat?: (work: () => void, interval: number) => () => void
  /** Lines about what the emulator itself does or could not do. Default: none. */
  readonly log?: (line: string) => void
  /** Commands that stand for images, for programs that embed the emulator; a string is for the shell. */
  readonly images?: Readonly<Record<string, string | readonly string[]>>
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
  const { repeat = systemRepeat, catalogue = everything } = options
  // Callers make part of a line, and say how long it is.
  const log = (line: string) => options.log?.(cut(line, LONGEST_LINE))
  const time = adjustableClock(options.clock ?? systemClock)
  const clock = time.now
  const config = configure(input)
  const manifests = config.manifests === undefined ? undefined : readManifests(config.manifests)
  const state = await State.open({
    projectId: config.project,
    projectNumber: config.projectNumber,
    scheme: config.scheme,
    region: config.region,
    clock,
    owner: config.account,
    groups: new Map(Object.entries(config.group)),
    domains: new Map(Object.entries(config.domain)),
    enabledServices: initiallyEnabled(catalogue),
    addedRoles: addedRoles(catalogue),
    ...(config.data === undefined ? {} : { data: config.data }),
  })

  let front: Front | undefined
  const listen = async (where: ListenOptions) => {
    if (!front) throw new Error('an instance was started before the listeners')
    return front.listen(where).catch((error: unknown) => {
      throw listeningError(where.port, error)
    })
  }
  const connection = async ({ port, close }: Listener, advertised: string): Promise<InstanceConnection> => {
    if (config.scheme === 'http') return { env: instanceEnvironment(advertised, port), close }
    // A service's URL is asked for by its own scheme, and a program has to trust who answers.
    const files = await trust()
    const env = instanceEnvironment(advertised, port, trustEnvironment(files))
    return { env, folder: dirname(files.certificate), close }
  }
  const connectInstance: ConnectInstance = async (
    instance,
    { host = '127.0.0.1', advertised = host } = {},
  ) => {
    const listener = await listen({ host, port: 0, instance: () => instance })
    return connection(listener, advertised)
  }
  const onLog: OnLog = (instance, line) => state.logs.add(logEntry(state, instance, line))
  const docker = createDockerRuntime({
    connectInstance,
    onLog,
    log,
    // A data folder is used by one emulator at a time.
    owner: config.data === undefined ? randomUUID() : resolve(config.data),
    listenByName: async (host) => {
      const plain = await listen({ host, port: 80 })
      if (config.scheme === 'http') return plain
      const tls = { authority, now: clock }
      const secure = await listen({ host, port: 443, tls }).catch(async (error: unknown) => {
        await plain.close()
        throw error
      })
      return { close: async () => void (await Promise.all([plain.close(), secure.close()])) }
    },
    hosts: () => [
      ...aliasesOf(catalogue, REGIONS),
      ...state.services.list().flatMap((service) => serviceHosts(service, state.place)),
    ],
  })
  const runtime = combineRuntimes([
    createExternalRuntime({
      upstreams: config.upstream,
      serving: (service) => servingRevision(state, service),
      revision: (name) => state.revisions.getBy('name', name),
      now: clock,
      log,
    }),
    createProcessRuntime({ images: { ...options.images, ...config.image }, connectInstance, onLog }),
    docker,
    // Last: an image that was built is what a deployment of its name means.
    createProcessRuntime({ images: localImages(), connectInstance, onLog }),
  ])

  const authority = lazily(() => {
    const kept = state.store.collection(authorities)
    return Authority.open(kept.get('ca'), clock(), (made) => kept.put('ca', made))
  })
  let temporary: string | undefined
  const trust = lazily(async () => {
    if (config.caDir === undefined) {
      temporary = await mkdtemp(join(tmpdir(), 'invoker-ca-'))
      await chmod(temporary, 0o755) // services may run as another user
    }
    const folder = resolve(config.caDir ?? temporary ?? '')
    return writeTrust(folder, (await authority()).certificate).catch((error: unknown) => {
      const sentence = `caDir: expected a folder that can be written, got ${JSON.stringify(folder)} (${reasonOf(error)}).`
      throw new InvokerError('ERR_CONFIG', sentence, { cause: error })
    })
  })
  const builds = {
    objects: await ObjectStore.open(state, config.data),
    builder: createBuilder({
      engine: createDockerBuilder(),
      commands: Object.keys({ ...options.images, ...config.image }),
      fallbacks: Object.keys(localImages()),
    }),
  }
  const directory = directoryOf(catalogue)
  const apis = await createProducts({ catalogue, state, runtime, builds, log })
  const google = ownersGoogle(state, apis.app)
  const applied = new AppliedDocuments(state)
  const applyAll = async () => {
    applyProviders(state, config, applied, log)
    if (manifests) await applyOnce(manifests, applied, { google, log }).catch(asSetting)
  }
  const reset = async () => {
    for (const { name, region } of state.services.list()) {
      const services = `/apis/serving.knative.dev/v1/namespaces/${config.project}/services`
      await google.request('DELETE', `${region}-run.googleapis.com`, `${services}/${name}`)
    }
    await apis.idle()
    time.reset()
    state.reset()
    await builds.objects.tidy()
    await applyAll()
  }
  const verifier = new IdTokenVerifier(state.keys)
  const ingress = createIngress({
    state,
    runtime,
    verifier,
    log,
    acceptAudiencePath: config.audiencePath === 'accept',
  })
  const googleDoor = lazily(() => listen({ host: '127.0.0.1', port: 0, google: true }))
  const elsewhere = createProxy({ authority, now: clock, log })
  front = createFront(
    {
      directory,
      product: (name) => room(apis.at(name)),
      console: room(
        createControl({
          state,
          serviceAt: async ({ address, instance }) =>
            (instance ?? (isGateway(address) ? undefined : await runtime.instanceAt(address)))?.service.name,
          certificate: async () => (await authority()).certificate,
          tunnels: ({ address }) => isLoopback(address),
          endpoints: endpointOverrides(catalogue),
          googlePort: async () => (await googleDoor()).port,
          ...(options.onShutdown && {
            shutdown: { permits: ({ address }) => isLoopback(address), begin: options.onShutdown },
          }),
          rehearsal: {
            async advance(milliseconds) {
              time.advance(milliseconds)
              await state.keys.rotateWhenDue(clock())
            },
            reset,
          },
        }),
      ),
      ingress,
      elsewhere,
    },
    log,
    {
      aliases: [config.host, ...config.alias],
      serviceAt: async (address) => (await runtime.instanceAt(address))?.service.name,
    },
  )

  await state.keys.rotateWhenDue(clock())
  const stopRotation = repeat(() => {
    state.keys.rotateWhenDue(clock()).catch((error: unknown) => log(`key rotation failed: ${String(error)}`))
  }, ROTATION_CHECK)

  const close = async () => {
    stopRotation()
    await front?.close()
    ingress.close()
    elsewhere.close()
    await apis.close()
    await runtime.close()
    state.close()
    if (temporary) await rm(temporary, { recursive: true, force: true })
  }
  try {
    // Who shares the folder may start as soon as the listeners answer.
    if (config.caDir !== undefined) await trust()
    const { host } = config
    const main = await listen({ host, port: config.port, control: true })
    const tls =
      config.tlsPort === undefined
        ? undefined
        : await listen({ host, port: config.tlsPort, control: true, tls: { authority, now: clock } })
    const published: Record<string, string> = {}
    for (const [port, service] of Object.entries(config.publish)) {
      const name = { project: config.project, region: config.region, name: service }
      const standsFor = () => {
        const [first] = serviceHosts(name, state.place)
        return first === undefined ? undefined : { host: first, scheme: config.scheme }
      }
      const listener = await listen({ host, port: Number(port), standsFor })
      published[service] = `http://${shown(host)}:${listener.port}`
    }
    const listenAs = (service: string | undefined, at: string, port: number) =>
      listen({
        host: at,
        port,
        instance: () => (service === undefined ? undefined : servingInstance(state, service)),
      })
    const instances: Record<string, string> = {}
    for (const [port, service] of Object.entries(config.instance)) {
      const listener = await listenAs(service, host, Number(port))
      instances[service] = `http://${shown(host)}:${listener.port}`
    }
    await apis.start()
    await applyAll()
    return {
      url: `http://${shown(host)}:${main.port}`,
      tlsUrl: tls && `https://${shown(host)}:${tls.port}`,
      config,
      state,
      published,
      instances,
      removeLeftovers: () => docker.removeLeftovers(),
      connect: async (service) => connection(await listenAs(service, '127.0.0.1', 0), '127.0.0.1'),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function servingRevision(state: State, name: string): Revision | undefined {
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

/** As with manifests: a provider in the configuration counts once, and again when it has changed. */
function applyProviders(
  state: State,
  { workloadIdentityPoolProviders: providers }: Config,
  applied: AppliedDocuments,
  log: (line: string) => void,
): void {
  const resource = (name: string) => `provider ${name}`
  applied.keepOnly(/^provider /, new Set(providers.map(({ name }) => resource(name))))
  for (const provider of providers) {
    const of = resource(provider.name)
    const standing = applied.standing(of, [provider])
    if (standing === 'unchanged')
      log(
        `workloadIdentityPoolProviders: ${provider.name} was applied before and not changed since: it stays as it was left`,
      )
    else {
      if (standing === 'changed')
        log(
          `workloadIdentityPoolProviders: ${provider.name} has changed since it was applied: it replaces the one that was kept`,
        )
      putProviders(state, [provider])
      applied.applied(of, [provider])
    }
  }
}

/** A document of the setting `manifests` that is refused is a setting that cannot be used. */
function asSetting(error: unknown): never {
  throw isError(error, 'ERR_GOOGLE') ? new InvokerError('ERR_CONFIG', error.message, { cause: error }) : error
}

/** Google's APIs of this process, called by the project's owner, without a connection. */
function ownersGoogle(state: State, app: Products['app']): Google {
  return new Google({
    project: state.place.projectId,
    region: state.region,
    fetch: async (url, init) =>
      app.fetch(new Request(url, init), {
        host: new URL(url).host,
        scheme: 'https',
        peer: { address: '127.0.0.1' },
      }),
    async accessToken() {
      const { email, uniqueId } = state.user(state.owner)
      const scopes = ['https://www.googleapis.com/auth/cloud-platform']
      return state.issueAccessToken({ member: `user:${email}`, email, uniqueId, scopes }).token
    },
  })
}

function logEntry(state: State, instance: InstanceOf, { text, log, severity }: LogLine): LogEntry {
  return {
    timestamp: state.timestamp(),
    severity,
    log: `run.googleapis.com/${log}`,
    instance,
    textPayload: text,
  }
}

function room(app: { fetch(request: Request, bindings: RoomBindings): Response | Promise<Response> }) {
  return { fetch: (request: Request, bindings: RoomBindings) => app.fetch(request, bindings) }
}

function systemRepeat(work: () => void, interval: number): () => void {
  const timer = setInterval(work, interval)
  timer.unref() // it keeps nothing running
  return () => clearInterval(timer)
}

function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}

function shown(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
