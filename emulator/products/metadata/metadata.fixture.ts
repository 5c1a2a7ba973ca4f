/** What the tests of this room stand on: a project with services, a clock that is moved by hand, a network with known addresses. */
import type { Hono } from 'hono'
import type { Peer, RoomEnv } from '../../front/request.ts'
import type { Runtime } from '../../runtime/runtime.ts'
import { serviceAccountEmail, serviceKey } from '../../state/names.ts'
import { newPolicy } from '../../state/new-policy.ts'
import type { InstanceOf, RevisionTemplate, ServiceName } from '../../state/resources.ts'
import { State } from '../../state/state.ts'
import { mintUniqueId } from '../../tokens/mint.ts'
import { createMetadata } from './metadata.ts'

const START = Date.UTC(2026, 0, 1)
export const COMPUTE = '123456789012-compute@developer.gserviceaccount.com'
export const CALLER = 'calling-service-sa@demo-project.iam.gserviceaccount.com'

export interface Project {
  readonly state: State
  readonly app: Hono<RoomEnv>
  /** The time, to be moved. */
  now: number
  /** IP addresses of instances on the network. */
  readonly network: Map<string, InstanceOf>
  /** Deploys a new revision and returns it. */
  deploy(service: string, serviceAccount: string, region?: string): InstanceOf
  createServiceAccount(accountId: string): void
  /** Asks the room, with the flavor header unless told otherwise. */
  ask(path: string, options?: AskOptions): Promise<Response>
}

export interface AskOptions {
  readonly method?: string
  readonly host?: string
  readonly peer?: Peer
  /** `null` takes the flavor header away. */
  readonly headers?: Readonly<Record<string, string>> | null
}

export async function openProject(): Promise<Project> {
  const network = new Map<string, InstanceOf>()
  const unused = () => Promise.reject(new Error('no revision is started here'))
  const runtime: Runtime = {
    start: unused,
    stop: unused,
    upstream: () => undefined,
    instanceAt: (address) => Promise.resolve(network.get(address)),
    close: () => Promise.resolve(),
  }
  let now = START
  const state = await State.open({
    projectId: 'demo-project',
    projectNumber: '123456789012',
    region: 'us-central1',
    scheme: 'http',
    clock: () => now,
    owner: 'developer@example.com',
    groups: new Map(),
    domains: new Map(),
  })
  const app = createMetadata({ state, runtime })

  return {
    state,
    app,
    network,
    get now() {
      return now
    },
    set now(time) {
      now = time
    },
    deploy: (service, serviceAccount, region = 'us-central1') =>
      deploy(state, { project: 'demo-project', region, name: service }, serviceAccount),
    createServiceAccount(accountId) {
      const email = serviceAccountEmail(accountId, 'demo-project')
      const policy = newPolicy([])
      state.serviceAccounts.put(email, {
        email,
        uniqueId: mintUniqueId(),
        projectId: 'demo-project',
        displayName: '',
        description: '',
        disabled: false,
        createTime: state.timestamp(),
        policy,
        etag: policy.etag,
      })
    },
    async ask(path, { method = 'GET', host = 'metadata.google.internal', peer, headers = {} } = {}) {
      const request = new Request(`http://${host}${path}`, {
        method,
        headers: headers === null ? {} : { 'Metadata-Flavor': 'Google', ...headers },
      })
      const from = peer ?? { address: '127.0.0.1' }
      return app.fetch(request, { host, scheme: 'http', peer: from })
    },
  }
}

function deploy(state: State, service: ServiceName, serviceAccount: string): InstanceOf {
  const before = state.services.get(serviceKey(service))
  const ordinal = (before?.generation ?? 0) + 1
  const revision = `${service.name}-0000${ordinal}-abc`
  const template: RevisionTemplate = {
    annotations: {},
    labels: {},
    settings: {},
    serviceAccount,
    containers: [],
    containerConcurrency: 80,
    timeoutSeconds: 300,
  }
  const createTime = state.timestamp()
  state.revisions.put(serviceKey({ ...service, name: revision }), {
    ...service,
    name: revision,
    service: service.name,
    ordinal,
    uid: `uid-of-${service.region}-${revision}`,
    createTime,
    creator: state.owner,
    template,
    imageDigest: '',
    conditions: [],
  })
  state.services.put(serviceKey(service), {
    ...service,
    uid: `uid-of-${service.name}`,
    generation: ordinal,
    resourceVersion: String(ordinal),
    createTime,
    updateTime: createTime,
    creator: state.owner,
    lastModifier: state.owner,
    annotations: {},
    settings: { ingress: 'all' },
    labels: {},
    template,
    traffic: [{ percent: 100 }],
    policy: newPolicy([]),
    latestCreatedRevision: revision,
    latestReadyRevision: revision,
    conditions: [],
  })
  return { service, revision }
}
