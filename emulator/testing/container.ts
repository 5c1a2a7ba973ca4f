/**
 * The emulator as a container: for Vitest, Jest or any other runner under Node.js, and `bun test`.
 *
 * On a Docker network it stands for Google's names and for the services' own URLs, so other containers need no more than
 * its certificate.
 */
import { lookup } from 'node:dns/promises'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  AbstractStartedContainer,
  GenericContainer,
  type StartedNetwork,
  type StartedTestContainer,
  TestContainers,
  Wait,
} from 'testcontainers'
import { aliasesOf } from '../catalogue/hosts.ts'
import { catalogue } from '../products/catalogue.ts'
import { instanceEnvironment } from '../runtime/environment.ts'
import { type Place, serviceHosts } from '../state/names.ts'
import { trustEnvironment, trustFiles, writeTrust } from '../trust.ts'
import { connect } from './client.ts'
import type {
  CallOptions,
  CloudRun,
  ExplainedDecision,
  PushOptions,
  PushResult,
  ServiceOptions,
  TokenOptions,
} from './cloud-run.ts'

const HTTP_PORT = 80
const TLS_PORT = 443
/** The first of the ports that tell services' own programs apart. */
const FIRST_INSTANCE_PORT = 9000
/** What containers call the machine that runs the tests. */
const HOST = 'host.testcontainers.internal'
const READY = 60_000

export class CloudRunEmulatorContainer extends GenericContainer {
  readonly #services = new Map<string, ServiceOptions>()
  readonly #serviceAccounts: string[] = []
  #project = 'demo-project'
  #projectNumber = '123456789012'
  #region = 'us-central1'
  #scheme: 'http' | 'https' = 'http'
  #networked = false

  constructor(image = 'invoker/emulator') {
    super(image)
    this.withWaitStrategy(Wait.forHttp('/_emulator/health', HTTP_PORT)).withStartupTimeout(READY)
  }

  /** A service of the test. A port of this machine, or a loopback URL, is one that the tests themselves serve. */
  withService(name: string, options: ServiceOptions): this {
    this.#services.set(name, options)
    return this
  }

  /** A service account beside those that services run as. */
  withServiceAccount(accountId: string): this {
    this.#serviceAccounts.push(accountId)
    return this
  }

  /** Default `demo-project`, 123456789012. */
  withProject(projectId: string, projectNumber = this.#projectNumber): this {
    this.#project = projectId
    this.#projectNumber = projectNumber
    return this
  }

  /** Default `us-central1`. */
  withRegion(region: string): this {
    this.#region = region
    return this
  }

  /** The scheme of services' URLs. Default `http`, which asks nobody to trust a certificate; `https` is as in the cloud. */
  withScheme(scheme: 'http' | 'https'): this {
    this.#scheme = scheme
    return this
  }

  /** On this network it has Google's names and the hosts of the services. */
  override withNetwork(network: StartedNetwork): this {
    this.#networked = true
    return super.withNetwork(network)
  }

  override async start(): Promise<StartedCloudRunEmulatorContainer> {
    const services = [...this.#services]
    const place: Place = {
      projectId: this.#project,
      projectNumber: this.#projectNumber,
      scheme: this.#scheme,
    }
    const instancePorts = new Map(services.map(([name], index) => [name, FIRST_INSTANCE_PORT + index]))

    const upstreams = services.map(([name, { upstream }]) => [name, reachable(upstream)] as const)
    const ports = upstreams.flatMap(([, { hostPort }]) => (hostPort === undefined ? [] : [hostPort]))
    if (ports.length > 0) await TestContainers.exposeHostPorts(...new Set(ports))
    this.withExposedPorts(HTTP_PORT, TLS_PORT, ...instancePorts.values()).withEnvironment({
      INVOKER_PROJECT: this.#project,
      INVOKER_PROJECT_NUMBER: this.#projectNumber,
      INVOKER_REGION: this.#region,
      INVOKER_SCHEME: this.#scheme,
      INVOKER_UPSTREAM: upstreams.map(([name, { url }]) => `${name}=${url}`).join(';'),
      INVOKER_INSTANCE: [...instancePorts].map(([name, port]) => `${port}=${name}`).join(';'),
    })
    if (this.#networked) {
      const hosts = services.flatMap(([name]) =>
        serviceHosts({ project: this.#project, region: this.#region, name }, place),
      )
      this.withNetworkAliases(...aliasesOf(catalogue, [this.#region]), ...hosts)
    }

    const container = await super.start()
    try {
      return await StartedCloudRunEmulatorContainer.connect(container, {
        services: Object.fromEntries(services),
        serviceAccounts: this.#serviceAccounts,
        instancePorts,
        scheme: this.#scheme,
        reused: this.reuse,
      })
    } catch (error) {
      await container.stop()
      throw error
    }
  }
}

interface Setup {
  readonly services: Readonly<Record<string, ServiceOptions>>
  readonly serviceAccounts: readonly string[]
  readonly instancePorts: ReadonlyMap<string, number>
  readonly scheme: 'http' | 'https'
  readonly reused: boolean
}

/** The emulator while its container runs. */
export class StartedCloudRunEmulatorContainer extends AbstractStartedContainer implements CloudRun {
  readonly #cloud: CloudRun

  private constructor(container: StartedTestContainer, cloud: CloudRun) {
    super(container)
    this.#cloud = cloud
  }

  /** @internal */
  static async connect(
    container: StartedTestContainer,
    setup: Setup,
  ): Promise<StartedCloudRunEmulatorContainer> {
    const host = await addressOf(container.getHost())
    const url = `http://${host}:${container.getMappedPort(HTTP_PORT)}`
    const folder = mkdtempSync(join(tmpdir(), 'invoker-ca-'))
    const { services, serviceAccounts, instancePorts, scheme } = setup
    const cloud = await connect({
      url,
      services,
      serviceAccounts,
      begin: setup.reused ? 'anew' : 'as it is',
      env(service) {
        const port = (service === undefined ? undefined : instancePorts.get(service)) ?? HTTP_PORT
        const trust = scheme === 'https' ? trustEnvironment(trustFiles(folder)) : undefined
        return instanceEnvironment(host, container.getMappedPort(port), trust)
      },
      close: async () => {
        rmSync(folder, { recursive: true, force: true })
        await container.stop()
      },
    })
    if (scheme === 'https') await writeTrust(folder, cloud.certificate)
    return new StartedCloudRunEmulatorContainer(container, cloud)
  }

  get url(): string {
    return this.#cloud.url
  }
  get project(): string {
    return this.#cloud.project
  }
  get certificate(): string {
    return this.#cloud.certificate
  }
  get clock(): CloudRun['clock'] {
    return this.#cloud.clock
  }
  urlOf(service: string): string {
    return this.#cloud.urlOf(service)
  }
  env(options?: { readonly as?: string }): Readonly<Record<string, string>> {
    return this.#cloud.env(options)
  }
  createServiceAccount(accountId: string): Promise<string> {
    return this.#cloud.createServiceAccount(accountId)
  }
  grant(service: string, member: string, role?: string): Promise<void> {
    return this.#cloud.grant(service, member, role)
  }
  revoke(service: string, member: string, role?: string): Promise<void> {
    return this.#cloud.revoke(service, member, role)
  }
  token(options: TokenOptions): Promise<string> {
    return this.#cloud.token(options)
  }
  call(service: string, options?: CallOptions): Promise<Response> {
    return this.#cloud.call(service, options)
  }
  push(service: string, options: PushOptions): Promise<PushResult> {
    return this.#cloud.push(service, options)
  }
  decisions(service?: string): Promise<readonly ExplainedDecision[]> {
    return this.#cloud.decisions(service)
  }
  reset(): Promise<void> {
    return this.#cloud.reset()
  }
  /** Stops and removes the container. */
  close(): Promise<void> {
    return this.#cloud.close()
  }
}

/** The address that the mapped ports belong to: an engine may map a port to another number for each family of addresses. */
async function addressOf(host: string): Promise<string> {
  const [first] = await lookup(host, { all: true })
  if (!first) return host
  return first.family === 6 ? `[${first.address}]` : first.address
}

/** Where the container reaches a service; `hostPort` is a port of this machine, which has to be exposed to it. */
function reachable(upstream: string | URL | number): { readonly url: string; readonly hostPort?: number } {
  const url = new URL(typeof upstream === 'number' ? `http://127.0.0.1:${upstream}` : upstream)
  if (!/^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname)) return { url: url.href }
  url.hostname = HOST
  return { url: url.href, hostPort: Number(url.port || 80) }
}
