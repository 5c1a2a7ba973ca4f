/** What is asked of a Docker engine: its images, the emulator's own network, and what an emulator that crashed has left. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { createServer, isIP } from 'node:net'
import { hostname } from 'node:os'
import type Docker from 'dockerode'
import { imageDigest, imageName } from './image-name.ts'

/** The engine that the environment names: DOCKER_HOST and its companions, else this machine's own. Nothing is sent yet. */
export async function openDocker(): Promise<Docker> {
  // Only where it is wanted: loading it takes longer than starting an emulator.
  const { default: Engine } = await import('dockerode')
  return new Engine()
}

export interface LocalImage {
  /** `sha256:…`. */
  readonly id: string
  /** `NAME@sha256:…`. One that was built here and never pushed has no digest of a registry: its id stands for it. */
  readonly digest: string
}

/**
 * The first of these references that the engine has an image for; empty ones are passed over.
 *
 * @throws when no engine answers
 */
export async function localImage(
  docker: Docker,
  references: readonly string[],
): Promise<LocalImage | undefined> {
  for (const reference of references) {
    for (const name of [reference, imageDigest(reference)]) {
      if (!name) continue
      const found = await orNothing(docker.getImage(name).inspect())
      if (!found) continue
      const repository = `${imageName(reference)}@`
      const pulled = found.RepoDigests?.find((digest) => digest.startsWith(repository))
      return { id: found.Id, digest: pulled ?? `${repository}${found.Id}` }
    }
  }
  return undefined
}

/** How containers and the emulator reach each other. */
export interface Bridge {
  readonly networkId: string
  /** The address that listeners for containers bind. */
  readonly host: string
  /** What containers call it. */
  readonly advertised: string
  /** The network's addresses are this machine's own, so a container is reached at its address; otherwise through published ports. */
  readonly direct: boolean
  /** The addresses of the network, where they are known. */
  readonly subnet?: { readonly address: string; readonly prefix: number }
}

/** Labels of everything that an emulator makes. */
export const LABEL = {
  /** The emulator, the same after a restart. */
  owner: 'invoker.owner',
  /** Where its process runs, and which one it is. */
  machine: 'invoker.machine',
  pid: 'invoker.pid',
  service: 'invoker.service',
  revision: 'invoker.revision',
} as const

export function ownLabels(owner: string): Record<string, string> {
  return { [LABEL.owner]: owner, [LABEL.machine]: hostname(), [LABEL.pid]: String(process.pid) }
}

/** Makes a network for one emulator. `direct` undefined: find out. */
export async function createBridge(docker: Docker, owner: string, direct?: boolean): Promise<Bridge> {
  const network = await docker.createNetwork({
    Name: `invoker-${randomBytes(4).toString('hex')}`,
    Driver: 'bridge',
    Labels: ownLabels(owner),
    // On Cloud Run an instance reaches another only through the front door.
    Options: { 'com.docker.network.bridge.enable_icc': 'false' },
  })
  const { IPAM } = await network.inspect()
  const { gateway, subnet } = placeOf(IPAM)
  if (gateway !== undefined && (direct ?? (await isOwnAddress(gateway)))) {
    const place = { networkId: network.id, host: gateway, advertised: gateway, direct: true }
    return subnet ? { ...place, subnet } : place
  }
  // The engine runs in a virtual machine, as Docker Desktop's does: its name for this machine leads to loopback.
  return { networkId: network.id, host: '127.0.0.1', advertised: 'host.docker.internal', direct: false }
}

/** True when this program runs in a container itself: then host.docker.internal is somebody else's loopback. */
export function inContainer(): boolean {
  return existsSync('/.dockerenv') || existsSync('/run/.containerenv')
}

/**
 * Removes containers and networks of this emulator's earlier life, and of any other emulator of this machine whose process
 * is gone. Gives the number of containers.
 */
export async function removeLeftovers(docker: Docker, owner: string): Promise<number> {
  return removeLabelled(docker, (labels) => {
    if (labels[LABEL.owner] === owner) return true
    return labels[LABEL.machine] === hostname() && !isAlive(Number(labels[LABEL.pid]))
  })
}

/** Removes what is left of one emulator. */
export async function removeOwned(docker: Docker, owner: string): Promise<void> {
  await removeLabelled(docker, (labels) => labels[LABEL.owner] === owner)
}

async function removeLabelled(
  docker: Docker,
  wanted: (labels: Readonly<Record<string, string>>) => boolean,
): Promise<number> {
  const filters = { label: [LABEL.owner] }
  const containers = (await docker.listContainers({ all: true, filters })).filter(({ Labels }) =>
    wanted(Labels ?? {}),
  )
  await Promise.all(containers.map(({ Id }) => removeContainer(docker.getContainer(Id))))
  const networks = (await docker.listNetworks({ filters })).filter(({ Labels }) => wanted(Labels ?? {}))
  await Promise.all(networks.map(({ Id }) => orNothing(docker.getNetwork(Id).remove())))
  return containers.length
}

export async function removeContainer(container: Docker.Container): Promise<void> {
  await orNothing(container.remove({ force: true, v: true }))
}

/** An answer of the engine, or undefined where it refuses; rejects when it does not answer at all. */
export async function orNothing<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    // A refusal has a status: the thing is gone, is going, or has never been there.
    if (isRefusal(error)) return undefined
    throw error
  }
}

export function isRefusal(error: unknown): error is Error & { readonly statusCode: number } {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
}

/** What the engine says, without what its client puts around it. */
export function reasonOf(error: Error): string {
  return error.message.replace(/^\(HTTP code \d+\) .*? - /, '').trim()
}

/** The IPv4 part of a network's addresses. */
function placeOf(ipam: Docker.IPAM | undefined): {
  gateway?: string
  subnet?: NonNullable<Bridge['subnet']>
} {
  for (const { Gateway, Subnet } of ipam?.Config ?? []) {
    // Some engines write the gateway with the length of its prefix.
    const gateway = Gateway?.split('/')[0]
    if (!gateway || isIP(gateway) !== 4) continue
    const [address, prefix] = Subnet?.split('/') ?? []
    return address && prefix ? { gateway, subnet: { address, prefix: Number(prefix) } } : { gateway }
  }
  return {}
}

/** A list of interfaces does not tell: a bridge without containers counts as down and is left out of it. */
function isOwnAddress(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(0, address, () => server.close(() => resolve(true)))
  })
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // Somebody else's process is alive, too.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
