/** Rows about how much there is in the state: many services, bindings and groups beside few. */
import { type Emulator, startEmulator } from '../emulator/emulator.ts'
import { decide } from '../emulator/iam/decide.ts'
import type { Question } from '../emulator/iam/question.ts'
import type { Prepared, Row } from './harness.ts'

const MANY = 10_000
const FEW = 10
/** Services that decide() is asked about. */
const ASKED = 10
const SERVICES = '/apis/serving.knative.dev/v1/namespaces/demo-project/services'

export const stateRows: readonly Row[] = [
  {
    name: 'a row written at 10,000 services',
    unit: 'µs',
    beside: 'at 10 services',
    aim: { atMost: 1.5 },
    prepare: () => beside((project) => project.write, 100),
  },
  {
    name: 'a deployment at 10,000 services',
    unit: 'ms',
    beside: 'at 10 services',
    aim: { atMost: 1.5 },
    prepare: () => beside((project) => project.deploy, 1),
  },
  {
    name: 'a request at 10,000 services, after a deployment',
    unit: 'ms',
    beside: 'at 10 services',
    aim: { atMost: 1.5 },
    prepare: () => beside((project) => project.visit, 1),
  },
  {
    name: 'a list of 10,000 services',
    unit: 's',
    aim: { atMost: 1 },
    most: 15,
    async prepare() {
      const project = await openProject(MANY)
      return { run: project.list, close: project.close }
    },
  },
  {
    name: 'decide() at 10,000 services, 100,000 bindings and 1,000 groups',
    unit: 'µs',
    beside: 'at 10 services, 10 bindings and 10 groups',
    aim: { atMost: 1.1 },
    prepare: () => ({ run: asks(MANY, 10, 1000), beside: asks(FEW, 1, 10), times: 100 }),
  },
]

interface Project {
  readonly write: () => unknown
  readonly deploy: () => Promise<void>
  /** A write, then a request: what was worked out of the services before is of no use to it. */
  readonly visit: () => Promise<void>
  /** Every page. */
  readonly list: () => Promise<void>
  readonly close: () => Promise<void>
}

async function beside(pick: (project: Project) => Prepared['run'], times: number): Promise<Prepared> {
  const many = await openProject(MANY)
  const few = await openProject(FEW)
  const close = async () => void (await Promise.all([many.close(), few.close()]))
  return { run: pick(many), beside: pick(few), times, close }
}

/** An emulator that knows so many services. One of them, `measured`, serves. */
async function openProject(count: number): Promise<Project> {
  const upstream = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('') })
  const emulator = await startEmulator({ port: 0, upstream: { measured: upstream.url.origin } })
  const call = callerOf(emulator)
  await call('POST', SERVICES, manifest('0'))
  const { state } = emulator
  const [service] = state.services.list()
  const [revision] = state.revisions.list()
  if (!service || !revision) throw new Error('the deployment left no service')
  for (let index = 1; index < count; index += 1) {
    const name = `service-${index}`
    const latest = `${name}-00001-abc`
    const at = `${service.project}/${service.region}`
    state.revisions.put(`${at}/${latest}`, { ...revision, service: name, name: latest })
    const made = { ...service, name, latestCreatedRevision: latest, latestReadyRevision: latest }
    state.services.put(`${at}/${name}`, made)
  }

  const key = `${service.project}/${service.region}/measured`
  let written = 0
  const write = () => {
    written += 1
    const before = state.services.get(key) ?? service
    state.services.put(key, { ...before, resourceVersion: String(written) })
  }
  return {
    write,
    async deploy() {
      written += 1
      await call('PUT', `${SERVICES}/measured`, manifest(String(written)))
    },
    async visit() {
      write()
      const host = `measured-${state.place.projectNumber}.us-central1.run.app`
      const response = await fetch(`http://${host}/`, { proxy: emulator.url })
      await response.arrayBuffer()
      if (response.status !== 403) throw new Error(`the door answered ${response.status}`)
    },
    async list() {
      let from: string | undefined
      let seen = 0
      do {
        const page = await call('GET', from === undefined ? SERVICES : `${SERVICES}?continue=${from}`)
        seen += page.items?.length ?? 0
        from = page.metadata?.continue
      } while (from)
      if (seen !== count) throw new Error(`${seen} services are listed of ${count}`)
    },
    async close() {
      await emulator.close()
      await upstream.stop(true)
    },
  }
}

interface Listed {
  readonly items?: readonly unknown[]
  readonly metadata?: { readonly continue?: string }
}

function callerOf({ url, state }: Emulator) {
  const { email, uniqueId } = state.user(state.owner)
  const { token } = state.issueAccessToken({ member: `user:${email}`, email, uniqueId, scopes: [] })
  return async (method: string, path: string, body?: object): Promise<Listed> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    })
    if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}`)
    return (await response.json()) as Listed
  }
}

function manifest(value: string) {
  const containers = [{ image: 'gcr.io/demo-project/image', env: [{ name: 'WRITTEN', value }] }]
  return {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: { name: 'measured', namespace: 'demo-project' },
    spec: { template: { spec: { containers } } },
  }
}

/**
 * One question after another, to ten services in turn, whatever others there are: half by a binding of the caller's own, half
 * by one of a group. Every policy has been read before.
 */
function asks(services: number, bindings: number, groups: number): () => void {
  const account = (index: number) => `caller-${index}@demo-project.iam.gserviceaccount.com`
  const directory = {
    groups: new Map(
      Array.from({ length: groups }, (_, index) => [
        `group-${index}@example.com`,
        [`serviceAccount:${account(index)}`],
      ]),
    ),
    domains: new Map<string, readonly string[]>(),
  }
  const project = {
    resource: '//cloudresourcemanager.googleapis.com/projects/demo-project',
    policy: {
      version: 1,
      etag: 'p',
      bindings: [{ role: 'roles/owner', members: ['user:owner@example.com'] }],
    },
  }
  const all = Array.from({ length: services }, (_, service): Question => {
    const group = service % groups
    const member = service % 2 === 0 ? `serviceAccount:${account(group)}` : `group:group-${group}@example.com`
    return {
      principal: { kind: 'serviceAccount', email: account(group), uniqueId: String(group) },
      permission: 'run.routes.invoke',
      policies: [
        {
          resource: `//run.googleapis.com/projects/demo-project/locations/us-central1/services/s-${service}`,
          policy: {
            version: 1,
            etag: String(service),
            bindings: Array.from({ length: bindings }, (_, index) => ({
              role: index === 0 ? 'roles/run.invoker' : 'roles/run.viewer',
              members: [index === 0 ? member : `user:person-${index}@example.com`],
            })),
          },
        },
        project,
      ],
      now: 0,
      ...directory,
    }
  })
  const answer = (index: number) => {
    const question = all[index]
    if (!question || !decide(question).allowed) throw new Error('the caller is refused')
  }
  for (const index of all.keys()) answer(index)
  // Odd, so that both kinds of binding come in turn.
  const step = Math.max(1, services / ASKED - 1)
  let next = 0
  return () => {
    next = (next + 1) % ASKED
    answer(next * step)
  }
}
