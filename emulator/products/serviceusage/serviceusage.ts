/** Service Usage API v1: which APIs a project has enabled. */
import { apisOf } from '../../catalogue/apis.ts'
import type { Api, Catalogue } from '../../catalogue/product.ts'
import type { Permission } from '../../iam/roles.ts'
import { ApiError, denied, errorInfo, invalid } from '../../rest/errors.ts'
import type { Google } from '../../rest/google.ts'
import { bool, message, strings, text } from '../../rest/messages.ts'
import { keepOperation, operationAt, showOperation } from '../../rest/operations.ts'
import { listed } from '../../rest/paging.ts'
import type { Call, Router } from '../../rest/route.ts'
import type { Projects } from '../../state/parts.ts'
import type { Project } from '../../state/resources.ts'

const SERVICES = '/v1/projects/{project}/services'
const LIST_LIMIT = 200
const MOST_IN_A_BATCH = 20
const enableMessage = message({})
const disableMessage = message({ disableDependentServices: bool, checkIfServiceHasUsage: text })
const batchMessage = message({ serviceIds: strings })

export function serviceUsage(
  routes: Router,
  { state, random }: Google<Projects>,
  catalogue: Catalogue,
): void {
  const apis = apisOf(catalogue)
  const showService = serviceDocuments(apis)
  const projectFor = (
    call: Call,
    permission: Permission,
    verb: string,
    services: readonly string[],
  ): Project => {
    return call.project(permission, () => refusal(verb, services, call.param('project')))
  }
  const done = (type: string, response: Readonly<Record<string, unknown>>) => {
    const name = `operations/acat.p2-${state.place.projectNumber}-${Buffer.from(random(16)).toString('hex')}`
    const outcome = {
      response: { '@type': `type.googleapis.com/google.api.serviceusage.v1.${type}`, ...response },
    }
    return showOperation(keepOperation(state, name, outcome))
  }
  const enable = (project: Project, services: readonly string[]) => {
    const enabledServices = [...new Set([...project.enabledServices, ...services])].sort()
    state.projects.put(project.projectId, { ...project, enabledServices })
  }

  routes.get(SERVICES, (call) => {
    const project = projectFor(call, 'serviceusage.services.list', 'list', [])
    const shown = wantedNames(project, apis, call.query('filter') ?? '')
    const show = (name: string) => showService(project, name)
    return listed('services', call, shown, { limit: LIST_LIMIT, show })
  })
  routes.get(`${SERVICES}/{service}`, (call) => {
    const service = requireName(call.param('service'))
    return showService(projectFor(call, 'serviceusage.services.get', 'get', [service]), service)
  })
  routes.get(`${SERVICES}:batchGet`, (call) => {
    const names = call.queries('names').map((name) => requireName(name.slice(name.lastIndexOf('/') + 1)))
    const project = projectFor(call, 'serviceusage.services.get', 'get', names)
    return { services: names.map((name) => showService(project, name)) }
  })
  routes.post(`${SERVICES}/{service}:enable`, async (call) => {
    await call.body(enableMessage)
    const service = requireName(call.param('service'))
    const project = projectFor(call, 'serviceusage.services.enable', 'enable', [service])
    enable(project, [service])
    return done('EnableServiceResponse', { service: showService(project, service, 'ENABLED') })
  })
  routes.post(`${SERVICES}:batchEnable`, async (call) => {
    const { serviceIds = [] } = await call.body(batchMessage)
    const services = serviceIds.map(requireName)
    if (services.length === 0 || services.length > MOST_IN_A_BATCH) {
      throw invalid('Request contains an invalid argument.')
    }
    const project = projectFor(call, 'serviceusage.services.enable', 'enable', services)
    enable(project, services)
    return done('BatchEnableServicesResponse', {
      services: services.map((service) => showService(project, service, 'ENABLED')),
    })
  })
  routes.post(`${SERVICES}/{service}:disable`, async (call) => {
    await call.body(disableMessage)
    const service = requireName(call.param('service'))
    const project = projectFor(call, 'serviceusage.services.disable', 'disable', [service])
    if (!project.enabledServices.includes(service)) {
      // Inferred wording.
      const at = `projects/${project.projectNumber}`
      throw new ApiError('FAILED_PRECONDITION', `The service ${service} is not enabled for consumer ${at}.`)
    }
    const enabledServices = project.enabledServices.filter((name) => name !== service)
    state.projects.put(project.projectId, { ...project, enabledServices })
    return done('DisableServiceResponse', { service: showService(project, service, 'DISABLED') })
  })
  routes.get('/v1/operations/{operation}', (call) =>
    showOperation(operationAt(state, `operations/${call.param('operation')}`)),
  )
}

function wantedNames(
  { enabledServices }: Project,
  apis: ReadonlyMap<string, Api>,
  filter: string,
): readonly string[] {
  const wanted = /^state:(ENABLED|DISABLED)$/.exec(filter)?.[1]
  if (filter && !wanted) throw invalid('Request contains an invalid argument.')
  const names = [...new Set([...enabledServices, ...apis.keys()])].sort()
  return names.filter((name) => !wanted || enabledServices.includes(name) === (wanted === 'ENABLED'))
}

function serviceDocuments(apis: ReadonlyMap<string, Api>) {
  return function showService(
    { projectNumber, enabledServices }: Project,
    name: string,
    state = enabledServices.includes(name) ? 'ENABLED' : 'DISABLED',
  ) {
    return {
      name: `projects/${projectNumber}/services/${name}`,
      config: { name, title: apis.get(name)?.title ?? name },
      state,
      parent: `projects/${projectNumber}`,
    }
  }
}

/** Any Google API may be enabled: scripts enable what the emulator does not serve. */
function requireName(service: string): string {
  if (/^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/.test(service)) return service
  // Seen in the wild without its help token.
  throw denied(`Not found or permission denied for service(s): ${service}.`, [
    {
      '@type': 'type.googleapis.com/google.rpc.PreconditionFailure',
      violations: [
        { type: 'googleapis.com', subject: `?error_code=220002&services=${encodeURIComponent(service)}` },
      ],
    },
    errorInfo('SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED', 'serviceusage.googleapis.com', {
      services: service,
    }),
  ])
}

/** Seen in the wild without its help token. */
function refusal(verb: string, services: readonly string[], project: string) {
  const names = services.join(', ')
  return denied(
    verb === 'list'
      ? `Permission denied to list services for consumer container [projects/${project}]`
      : `Permission denied to ${verb} service [${names}]`,
    [
      errorInfo(
        'AUTH_PERMISSION_DENIED',
        'serviceusage.googleapis.com',
        services.length ? { service: names } : {},
      ),
    ],
  )
}
