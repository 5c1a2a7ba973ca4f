/** The emulator's own API, under `/_emulator/` and nowhere else: what it is doing, and why it decided as it did. */
import { Hono } from 'hono'
import { z } from 'zod'
import type { EndpointOverrides } from '../catalogue/apis.ts'
import type { Peer, RoomEnv } from '../front/request.ts'
import { absentFrom } from '../iam/validate.ts'
import { defaultComputeServiceAccount, serviceUrl } from '../state/names.ts'
import type { Users } from '../state/parts.ts'
import { decisionRoutes } from './decisions.ts'
import { createInstances, type Instances } from './instances.ts'
import { createPush, type PushOptions } from './push.ts'
import { type Rehearsal, readRequest, rehearsalRoutes } from './rehearsal.ts'

export interface ControlOptions extends PushOptions {
  readonly state: PushOptions['state'] & Users
  /** PEM of the certificate that programs have to trust. */
  readonly certificate: () => Promise<string>
  /** The service whose program this peer is, if any: the control API is not for services. */
  readonly serviceAt?: (peer: Peer) => Promise<string | undefined>
  /** Whether hosts that are not Google's are reached through here, for this peer. */
  readonly tunnels: (peer: Peer) => boolean
  /** gcloud's settings for other endpoints. Default none. */
  readonly endpoints?: EndpointOverrides
  /** Ends the emulator for programs of its own machine. Without it that is left to whoever started it. */
  readonly shutdown?: { readonly permits: (peer: Peer) => boolean; readonly begin: () => void }
  /** Opens the way to Google for programs that somebody else runs. */
  readonly instances?: Instances
  /** Without it a test cannot let time pass or begin anew. */
  readonly rehearsal?: Rehearsal
}

/** What a service's container may ask for as it starts: it tells nothing, and allows nothing. */
const FOR_ANYONE: ReadonlySet<string> = new Set(['/_emulator/health', '/_emulator/ca.pem'])

const absentRequest = z.strictObject({
  /** Whether it is a service's policy; else it is the project's. */
  service: z.boolean(),
  bindings: z.array(z.object({ role: z.string(), members: z.array(z.string()) })),
})

export function createControl(options: ControlOptions): Hono<RoomEnv> {
  const { state, rehearsal, instances, googlePort } = options
  const app = new Hono<RoomEnv>()
  notForServices(app, options)
  if (rehearsal) rehearsalRoutes(app, state, rehearsal)
  aboutRoutes(app, options)
  decisionRoutes(app, options.state)
  /** One request as Pub/Sub, Cloud Scheduler, Cloud Tasks or Eventarc makes it. */
  app.post('/_emulator/push', createPush({ state, googlePort }))
  if (instances) app.post('/_emulator/instances', createInstances(state, instances))
  shutdownRoute(app, options)
  absentRoute(app, options)

  app.get('/', (c) =>
    c.text(
      `invoker emulates Google Cloud for project ${state.place.projectId}. See /_emulator/decisions and /_emulator/services.\n`,
    ),
  )

  app.notFound((c) =>
    c.json(
      {
        error: `${c.req.method} ${c.req.path} is not served. There are /_emulator/health, /_emulator/decisions, /_emulator/services and, by POST, /_emulator/push.`,
      },
      404,
    ),
  )
  return app
}

function notForServices(
  app: Hono<RoomEnv>,
  { serviceAt = () => Promise.resolve(undefined) }: ControlOptions,
): void {
  app.use(async (c, next) => {
    const service = FOR_ANYONE.has(c.req.path) ? undefined : await serviceAt(c.env.peer)
    if (service === undefined) return next()
    const error = `The control API is not for services, and this request comes from ${service}. Ask from another program.`
    return c.json({ error }, 403)
  })
}

/** What the emulator says of itself, and of the services there are. */
function aboutRoutes(
  app: Hono<RoomEnv>,
  { state, certificate, tunnels, endpoints = { direct: [], byName: {} } }: ControlOptions,
): void {
  app.get('/_emulator/health', (c) =>
    c.json({ status: 'ok', project: state.place.projectId, region: state.region }),
  )

  /** What `emulator env` makes a shell's variables of. */
  app.get('/_emulator/environment', (c) => {
    const { projectId, projectNumber, scheme } = state.place
    const { region, owner } = state
    return c.json({
      project: projectId,
      projectNumber,
      region,
      account: owner,
      computeAccount: defaultComputeServiceAccount(state.place),
      scheme,
      tunnels: tunnels(c.env.peer),
      endpoints,
    })
  })
  app.get('/_emulator/ca.pem', async (c) =>
    c.body(await certificate(), 200, { 'Content-Type': 'application/x-pem-file' }),
  )

  /** The services there are, with the URL of each. */
  app.get('/_emulator/services', (c) =>
    c.json({
      services: state.services.list().map((service) => ({
        name: service.name,
        region: service.region,
        url: serviceUrl(service, state.place),
      })),
    }),
  )
}

function shutdownRoute(app: Hono<RoomEnv>, { shutdown }: ControlOptions): void {
  /** `{}` ends the emulator, as a signal would. Answers with the process to wait for. */
  app.post('/_emulator/shutdown', async (c) => {
    if (!shutdown?.permits(c.env.peer)) {
      const owner = shutdown
        ? 'a program of its own machine, or whatever started its container'
        : 'its program'
      return c.json({ error: `This emulator is ended by ${owner}.` }, 403)
    }
    const request = await readRequest(c, z.strictObject({}))
    if ('error' in request) return c.json(request, 400)
    setImmediate(shutdown.begin) // the answer goes first
    return c.json({ pid: process.pid })
  })
}

function absentRoute(app: Hono<RoomEnv>, { state }: ControlOptions): void {
  /** What a policy names and does not exist here: setIamPolicy refuses it for the first of these. */
  app.post('/_emulator/absent', async (c) => {
    const request = await readRequest(c, absentRequest)
    if ('error' in request) return c.json(request, 400)
    const { service, bindings } = request.value
    const accountExists = (email: string) => state.serviceAccount(email) !== undefined
    return c.json(absentFrom(bindings, { resourceKind: service ? 'service' : 'project', accountExists }))
  })
}
