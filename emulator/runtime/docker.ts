/**
 * Revisions that run as containers, of images that the Docker engine has.
 *
 * A program finds Google by the variables that every library knows (metadata host, proxy). One that knows neither finds it
 * by name, where port 80 of the network's gateway may be opened: Google's names and those of the services that are known
 * when the container starts resolve to it. 169.254.169.254 cannot be had in a container.
 */
import { randomBytes } from 'node:crypto'
import { BlockList } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type Docker from 'dockerode'
import { serviceKey } from '../state/names.ts'
import type { InstanceOf, Revision } from '../state/resources.ts'
import {
  containerEnvironment,
  DEFAULT_PORT,
  didNotListen,
  imageNotFound,
  ingressContainer,
  instanceOf,
  STOP_TIME,
} from './contract.ts'
import { type ContainerRun, NOWHERE, runContainer } from './docker-container.ts'
import {
  type Bridge,
  createBridge,
  inContainer,
  LABEL,
  type LocalImage,
  localImage,
  openDocker,
  ownLabels,
  removeLeftovers,
  removeOwned,
} from './docker-engine.ts'
import { type Instance, keepRunning, makeWay } from './instance.ts'
import type { ConnectInstance, InstanceConnection, OnLog } from './runtime.ts'
import type { SelectiveRuntime } from './runtimes.ts'

export interface DockerOptions {
  /** Default: the engine that DOCKER_HOST names, else this machine's. */
  readonly docker?: Docker
  readonly connectInstance: ConnectInstance
  readonly onLog: OnLog
  /** Names this emulator: the same after a restart, and of no other one that runs at the same time. */
  readonly owner: string
  /** Listens on port 80 of an address, for programs that know no proxy. Rejects where that is not allowed. */
  readonly listenByName: (host: string) => Promise<{ close(): Promise<void> }>
  /** The names that lead to the emulator: Google's, and the services'. Asked for at each start of a container. */
  readonly hosts: () => readonly string[]
  /** Lines about what the runtime could not do. */
  readonly log: (line: string) => void
  /** How long a container may take to listen. Milliseconds, default 240 s. */
  readonly startTime?: number
  /** From SIGTERM to SIGKILL. Milliseconds, default 10 s. */
  readonly stopTime?: number
  /** Whether containers are reached at their own addresses. Default: whether the network is this machine's own. */
  readonly direct?: boolean
}

export interface DockerRuntime extends SelectiveRuntime {
  /** True when an engine answers and has the image. */
  owns(revision: Revision): Promise<boolean>
  /** Removes what an emulator that crashed has left. Gives the number of containers; 0 where no engine answers. */
  removeLeftovers(): Promise<number>
}

/** The network and the listeners on it: made when the first revision needs them. */
interface ContainerNetwork {
  readonly docker: Docker
  readonly bridge: Bridge
  /** Whether names lead to the emulator, too. */
  readonly byName: boolean
  /** The addresses that containers can have. */
  readonly subnet: BlockList
  close(): Promise<void>
}

export function createDockerRuntime(options: DockerOptions): DockerRuntime {
  const engine = lazyEngine(options)
  const instances = new Map<string, Instance>()
  const addresses = addressBook()
  let closed = false

  return {
    async owns(revision) {
      if (closed) return false
      const asked = engine.docker().then((opened) => localImage(opened, references(revision)))
      const image = await Promise.race([
        asked.catch(() => undefined),
        sleep(ANSWER_TIME, undefined, { ref: false }),
      ])
      return image !== undefined
    },

    async start(revision) {
      if (closed) throw new Error('the Docker runtime is closed')
      const on = await engine.prepare()
      const image = await localImage(on.docker, references(revision))
      if (!image) return imageNotFound(revision)
      if (closed) throw new Error('the Docker runtime was closed')
      const key = serviceKey(revision)
      const instance = startInstance(options, addresses, { revision, image, on, before: instances.get(key) })
      instances.set(key, instance)
      if (await instance.listens) return { ready: true, imageDigest: image.digest }
      await instance.stop()
      if (instances.get(key) === instance) instances.delete(key)
      return didNotListen(revision)
    },

    async stop(revision) {
      const key = serviceKey(revision)
      const instance = instances.get(key)
      await instance?.stop()
      if (instances.get(key) === instance) instances.delete(key)
    },

    upstream(revision) {
      const instance = instances.get(serviceKey(revision))
      // Between a crash and the next start its last address may be another container's already.
      return instance?.url ?? (instance?.lastUrl && NOWHERE)
    },

    async instanceAt(address) {
      return (await engine.subnet())?.check(address) ? addresses.find(address) : undefined
    },

    async removeLeftovers() {
      try {
        return await engine.clear()
      } catch {
        return 0
      }
    },

    async close() {
      closed = true
      await Promise.allSettled([...instances.values()].map((instance) => instance.stop()))
      instances.clear()
      await engine.close()
    },
  }
}

/** The engine, and the network on it: each opened when it is first needed, and again where that failed. */
function lazyEngine(options: DockerOptions) {
  const { owner } = options
  let engine: Promise<Docker> | undefined
  let network: Promise<ContainerNetwork> | undefined
  let cleared: Promise<number> | undefined

  const docker = () => (engine ??= options.docker ? Promise.resolve(options.docker) : openDocker())
  const clear = async () => {
    cleared ??= docker().then((opened) => removeLeftovers(opened, owner))
    try {
      return await cleared
    } catch (error) {
      cleared = undefined
      throw error
    }
  }
  const prepare = async () => {
    network ??= clear().then(async () => openNetwork(await docker(), options))
    try {
      return await network
    } catch (error) {
      network = undefined
      throw error
    }
  }
  const opened = async () => network?.catch(() => undefined)
  return {
    docker,
    /** Removes what an emulator that was killed has left. */
    clear,
    prepare,
    /** The addresses that containers can have, once there is a network. */
    subnet: async () => (await opened())?.subnet,
    async close() {
      await cleared?.catch(() => {})
      await (await opened())?.close()
    },
  }
}

/** Whose containers have which addresses. */
function addressBook() {
  const addresses = new Map<string, InstanceOf>()
  const launching = new Set<Promise<unknown>>()
  const remember = (of: InstanceOf, { address, ended }: ContainerRun) => {
    if (address === undefined) return
    addresses.set(address, of)
    void ended.then(() => {
      if (addresses.get(address) === of) addresses.delete(address)
    })
  }
  return {
    /** Resolves once its address is known. */
    async launched(of: InstanceOf, run: Promise<ContainerRun>): Promise<ContainerRun> {
      const known = run
        .then(
          (started) => remember(of, started),
          () => {},
        )
        .finally(() => launching.delete(known))
      launching.add(known)
      await known
      return run
    },
    async find(address: string): Promise<InstanceOf | undefined> {
      // It may ask before the engine has told which address it was given.
      while (!addresses.has(address) && launching.size > 0) await Promise.race(launching)
      return addresses.get(address)
    },
  }
}

interface Beginning {
  readonly revision: Revision
  readonly image: LocalImage
  readonly on: ContainerNetwork
  /** The instance that this one takes the place of. */
  readonly before: Instance | undefined
}

function startInstance(
  options: DockerOptions,
  addresses: ReturnType<typeof addressBook>,
  { revision, image, on, before }: Beginning,
): Instance {
  const { connectInstance, onLog, startTime } = options
  const of = instanceOf(revision)
  const way = makeWay(before)
  return keepRunning({
    revision,
    onLine: (line) => onLog(of, line),
    ...(startTime === undefined ? {} : { startTime }),
    prepare: async () => {
      await way.first
      return connectInstance(of, on.bridge)
    },
    launch: (connection) => addresses.launched(of, runIn(options, on, { revision, image, connection })),
    onEnd: async (connection) => void (await Promise.all([connection.close(), way.last])),
  })
}

interface RunIn extends Pick<Beginning, 'revision' | 'image'> {
  readonly connection: InstanceConnection
}

function runIn(
  { onLog, owner, hosts, stopTime = STOP_TIME }: DockerOptions,
  { docker, bridge, byName }: ContainerNetwork,
  { revision, image, connection }: RunIn,
): Promise<ContainerRun> {
  const container = ingressContainer(revision.template)
  const port = container.port ?? DEFAULT_PORT
  const of = instanceOf(revision)
  return runContainer(docker, {
    image: image.id,
    container,
    name: `${revision.name}-${randomBytes(4).toString('hex')}`,
    env: containerEnvironment(revision, connection.env, port),
    labels: { ...ownLabels(owner), [LABEL.service]: revision.service, [LABEL.revision]: revision.name },
    networkId: bridge.networkId,
    extraHosts: extraHosts(bridge, byName ? hosts() : []),
    folders: connection.folder === undefined ? [] : [connection.folder],
    port,
    direct: bridge.direct,
    stopTime,
    onLine: (line) => onLog(of, line),
  })
}

/** An engine that takes longer to say whether it has an image counts as none. Milliseconds. */
const ANSWER_TIME = 5000

/** A revision stays with the image that it was deployed with, whatever its tag means by now. */
function references({ imageDigest, template }: Revision): readonly string[] {
  return [imageDigest, ingressContainer(template).image]
}

async function openNetwork(
  docker: Docker,
  { owner, listenByName, log, direct }: DockerOptions,
): Promise<ContainerNetwork> {
  const bridge = await createBridge(docker, owner, direct)
  const subnet = new BlockList()
  let names: { close(): Promise<void> } | undefined
  const close = async () => {
    await names?.close()
    await removeOwned(docker, owner)
  }
  try {
    if (!bridge.direct) {
      if (direct === undefined && inContainer()) throw new Error(IN_CONTAINER)
      log(
        'containers reach the emulator by its proxy variables only: this engine does not run on this machine itself',
      )
    } else {
      if (bridge.subnet) subnet.addSubnet(bridge.subnet.address, bridge.subnet.prefix)
      names = await listenByName(bridge.host).catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error)
        log(`containers reach the emulator by its proxy variables only: port 80 of ${bridge.host}: ${reason}`)
        return undefined
      })
    }
    return { docker, bridge, byName: names !== undefined, subnet, close }
  } catch (error) {
    await close().catch(() => {})
    throw error
  }
}

const IN_CONTAINER =
  'The emulator runs in a container, and the engine outside of it: containers that it starts cannot reach it. Run the emulator on the machine itself, or the services beside it with --upstream.'

function extraHosts({ direct, host, advertised }: Bridge, names: readonly string[]): readonly string[] {
  return direct ? names.map((name) => `${name}:${host}`) : [`${advertised}:host-gateway`]
}
