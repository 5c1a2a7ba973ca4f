/** What the runtimes' tests stand on: a revision to start, a log to wait for, and a Google that says who is asking. */
import { createServer, type IncomingMessage } from 'node:http'
import type { Container, InstanceOf, Revision, RevisionTemplate } from '../state/resources.ts'
import type { ConnectInstance, ListenerPlace, LogLine } from './runtime.ts'

export interface RevisionSpec extends Partial<Container> {
  readonly imageDigest?: string
  readonly revision?: string
  readonly timeoutSeconds?: number
  readonly sidecars?: readonly Container[]
}

export function revisionOf(service: string, spec: RevisionSpec = {}): Revision {
  const {
    imageDigest = '',
    revision = `${service}-00001-abc`,
    timeoutSeconds = 300,
    sidecars = [],
    ...own
  } = spec
  const container: Container = { name: '', image: service, command: [], args: [], env: [], ...own }
  const template: RevisionTemplate = {
    annotations: {},
    labels: {},
    settings: {},
    serviceAccount: 'runner@demo-project.iam.gserviceaccount.com',
    containers: [container, ...sidecars],
    containerConcurrency: 80,
    timeoutSeconds,
  }
  return {
    project: 'demo-project',
    region: 'us-central1',
    name: revision,
    service,
    ordinal: 1,
    uid: revision,
    createTime: '2026-01-01T00:00:00.000000Z',
    creator: 'developer@example.com',
    template,
    imageDigest,
    conditions: [],
  }
}

export function variables(values: Readonly<Record<string, string>>): Container['env'] {
  return Object.entries(values).map(([name, value]) => ({ name, value }))
}

/** Every line that was logged, and a way to wait for one. */
export class TestLog {
  readonly lines: (LogLine & { readonly revision: string })[] = []
  readonly #waiting = new Set<() => void>()

  readonly add = (instance: InstanceOf, line: LogLine): void => {
    this.lines.push({ ...line, revision: instance.revision })
    for (const look of this.#waiting) look()
  }

  /** Resolves when a line with this text has come `times` times. */
  until(text: string, times = 1): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (this.texts.filter((line) => line === text).length < times) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }

  get texts(): readonly string[] {
    return this.lines.map(({ text }) => text)
  }
}

/** Listeners that answer every request with the revision that they take the caller for. */
export class TestGoogle {
  readonly open = new Set<string>()

  readonly connect: ConnectInstance = async (instance, place) => {
    const { host = '127.0.0.1', advertised = host } = place ?? {}
    const { port, close } = await this.listen({ host }, 0, () => Promise.resolve(instance.revision))
    const address = `${advertised}:${port}`
    const env = {
      GCE_METADATA_HOST: address,
      http_proxy: `http://${address}`,
      no_proxy: `localhost,${advertised}`,
    }
    this.open.add(address)
    return {
      env,
      close: async () => {
        this.open.delete(address)
        await close()
      },
    }
  }

  listen(
    { host = '127.0.0.1' }: ListenerPlace,
    port: number,
    who: (request: IncomingMessage) => Promise<string | undefined>,
  ): Promise<{ readonly port: number; close(): Promise<void> }> {
    const server = createServer((request, response) => {
      who(request).then(
        (name) => response.end(name ?? 'nobody'),
        () => response.destroy(),
      )
    })
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, () => {
        const address = server.address()
        resolve({
          port: typeof address === 'object' && address ? address.port : port,
          close: () =>
            new Promise((closed) => {
              server.close(() => closed())
              server.closeAllConnections()
            }),
        })
      })
    })
  }
}
