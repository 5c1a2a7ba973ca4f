/** A state with services in it, for tests: as it is after a deployment, without the API that deploys. */
import type { Binding } from '../iam/policy.ts'
import type { Clock } from '../tokens/clock.ts'
import { serviceHosts, serviceKey } from './names.ts'
import { newPolicy } from './new-policy.ts'
import type { Revision, RevisionTemplate, Service, TrafficTarget } from './resources.ts'
import type { ServiceSettings } from './settings.ts'
import { State } from './state.ts'

export interface ServiceSpec {
  readonly settings?: Partial<ServiceSettings>
  readonly bindings?: readonly Binding[]
  readonly traffic?: readonly TrafficTarget[]
  /** Names of its revisions, the last one the latest. Default one. None: nothing is ready. */
  readonly revisions?: readonly string[]
  readonly template?: Partial<RevisionTemplate>
}

export interface Deployed {
  readonly service: Service
  readonly host: string
  readonly url: string
  readonly revisions: readonly Revision[]
}

const PLACE = { projectId: 'demo-project', projectNumber: '123456789012', scheme: 'http' as const }
const REGION = 'us-central1'
const OWNER = 'owner@example.com'

/** A new project in memory. */
export function openTestState(clock: Clock): Promise<State> {
  return State.open({
    ...PLACE,
    region: REGION,
    clock,
    owner: OWNER,
    groups: new Map(),
    domains: new Map(),
  })
}

/** Puts a service and its revisions as they are once all of them are ready. */
export function deploy(state: State, name: string, spec: ServiceSpec = {}): Deployed {
  const service = { project: PLACE.projectId, region: REGION, name }
  const names = spec.revisions ?? [`${name}-00001-abc`]
  const template: RevisionTemplate = {
    annotations: {},
    labels: {},
    settings: {},
    serviceAccount: `${PLACE.projectNumber}-compute@developer.gserviceaccount.com`,
    containers: [],
    containerConcurrency: 80,
    timeoutSeconds: 300,
    ...spec.template,
  }
  const revisions = names.map((revision, index): Revision => {
    const made = {
      ...service,
      name: revision,
      service: name,
      ordinal: index + 1,
      uid: revision,
      createTime: state.timestamp(),
      creator: OWNER,
      template,
      imageDigest: '',
      conditions: [],
    }
    state.revisions.put(serviceKey(made), made)
    return made
  })
  const latest = names.at(-1)
  const made: Service = {
    ...service,
    uid: name,
    generation: Math.max(1, names.length),
    resourceVersion: '1',
    createTime: state.timestamp(),
    updateTime: state.timestamp(),
    creator: OWNER,
    lastModifier: OWNER,
    annotations: {},
    labels: {},
    settings: { ingress: 'all', ...spec.settings },
    template,
    traffic: spec.traffic ?? [{ percent: 100 }],
    policy: newPolicy(spec.bindings ?? []),
    latestCreatedRevision: latest ?? '',
    ...(latest !== undefined && { latestReadyRevision: latest }),
    conditions: [],
  }
  state.services.put(serviceKey(made), made)
  const host = serviceHosts(made, PLACE)[0] ?? ''
  return { service: made, host, url: `http://${host}`, revisions }
}
