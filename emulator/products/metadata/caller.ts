/**
 * Which workload is asking the metadata server?
 *
 * The connection decides: the listener it came in by, then its address on the Docker network. A host name only fills in
 * where the connection says nothing; one that contradicts it is refused, so that nobody gets an identity by asking for it.
 */
import { createHash } from 'node:crypto'
import type { Peer } from '../../front/request.ts'
import type { Runtime } from '../../runtime/runtime.ts'
import { defaultComputeServiceAccount, serviceKey } from '../../state/names.ts'
import type { Placed, Projects, Read, Services } from '../../state/parts.ts'
import type { InstanceOf, Revision, Service } from '../../state/resources.ts'

type CallerState = Read<Placed & Projects & Services>

/** What the metadata server says of the workload that asks. */
export interface Workload {
  /** Stable for a revision: 130 lower-case hex digits. */
  readonly instanceId: string
  readonly projectId: string
  readonly projectNumber: string
  readonly region: string
  /** Email of the account it runs as. Whether that account still exists is another question. */
  readonly serviceAccount: string
}

export type Identified =
  | { readonly known: true; readonly workload: Workload }
  /** `message` is one line for a person. */
  | { readonly known: false; readonly status: 403 | 404; readonly message: string }

const SERVICE_HOST = /^(.+)\.metadata\.google\.internal$/

/** `host` is the host asked for: lower case, without port. */
export async function identify(
  state: CallerState,
  runtime: Runtime,
  host: string,
  peer: Peer,
): Promise<Identified> {
  const claimed = SERVICE_HOST.exec(host)?.[1]
  const instance = peer.instance ?? (await runtime.instanceAt(peer.address))
  if (instance) {
    if (claimed !== undefined && claimed !== instance.service.name) return contradiction(claimed, instance)
    return ofInstance(state, instance)
  }
  if (claimed !== undefined) return ofName(state, claimed)
  return { known: true, workload: bareMachine(state) }
}

function contradiction(claimed: string, { service, revision }: InstanceOf): Identified {
  const message = `This connection comes from service ${service.name} (revision ${revision}), but asks for the metadata of service ${claimed}: an identity cannot be asked for. Use metadata.google.internal.`
  return { known: false, status: 403, message }
}

/** The identity is that of the revision, never of a newer one of the same service. */
function ofInstance(state: CallerState, { service, revision }: InstanceOf): Identified {
  const found = state.revisions.get(serviceKey({ ...service, name: revision }))
  if (found) return { known: true, workload: ofRevision(state, found) }
  return unknown(`Revision ${revision} of service ${service.name} no longer exists.`)
}

function ofName(state: CallerState, name: string): Identified {
  const service = serviceNamed(state, name)
  if (service === undefined)
    return unknown(`There is no service ${name} in project ${state.place.projectId}.`)
  if (service === 'several') {
    return unknown(
      `Several regions have a service ${name}, and none of them is ${state.region}: its name does not tell which.`,
    )
  }
  const { project, region, latestReadyRevision: revision } = service
  if (revision === undefined) return unknown(`Service ${name} has no revision that is ready.`)
  return ofInstance(state, { service: { project, region, name }, revision })
}

function serviceNamed(state: CallerState, name: string): Service | 'several' | undefined {
  const { projectId } = state.place
  const near = state.services.get(serviceKey({ project: projectId, region: state.region, name }))
  if (near) return near
  const far = state.services.listBy('name', name).filter(({ project }) => project === projectId)
  return far.length > 1 ? 'several' : far[0]
}

function ofRevision(state: CallerState, revision: Revision): Workload {
  const project = state.project(revision.project)
  return {
    instanceId: instanceId(revision.uid),
    projectId: revision.project,
    projectNumber: project?.projectNumber ?? state.place.projectNumber,
    region: revision.region,
    serviceAccount: revision.template.serviceAccount,
  }
}

/** Nothing is known of who asks: the answers are those that a machine of the project would get. */
function bareMachine(state: CallerState): Workload {
  const { projectId, projectNumber } = state.place
  return {
    instanceId: instanceId(projectNumber),
    projectId,
    projectNumber,
    region: state.region,
    serviceAccount: defaultComputeServiceAccount(state.place),
  }
}

/** facts 2.1: long lower-case hex. Ids seen on Cloud Run have 130 digits and begin with 00. */
function instanceId(seed: string): string {
  return `00${createHash('sha512').update(seed).digest('hex')}`
}

function unknown(message: string): Identified {
  return { known: false, status: 404, message }
}
