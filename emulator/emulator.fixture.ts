/** For tests: the emulator as a process of its own, and a client that signs in to it. */
import { fileURLToPath } from 'node:url'
import { throughEmulator } from './client/http.ts'
import { type SignedIn, signIn as signInBy } from './client/sign-in.ts'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))

export interface Spawned {
  readonly process: Bun.Subprocess<'ignore', 'pipe', 'pipe'>
  /** Everything that it has written to standard output so far. */
  readonly output: () => string
  /** Everything that it wrote to standard error, once it has ended. */
  readonly errors: Promise<string>
  /** The match of a pattern in its output, now or later. Rejects when the output ends without one. */
  match(pattern: RegExp): Promise<RegExpExecArray>
  /** Where it listens, once it does. */
  url(): Promise<string>
  /** Ends it as a power cut would, and waits until it is gone. */
  crash(): Promise<void>
}

const running = new Set<Bun.Subprocess>()

/** Ends every emulator that was spawned. For each test file to call: hooks of this one would hold in the first that imports it. */
export async function endEmulators(): Promise<void> {
  for (const child of running) child.kill('SIGKILL')
  await Promise.all([...running].map((child) => child.exited))
}

/** Starts the emulator on a free port with these flags. Of this environment it sees no `INVOKER_` variable. */
export function spawnEmulator(flags: readonly string[], variables: Record<string, string> = {}): Spawned {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('INVOKER_'))
  const child = Bun.spawn([process.execPath, MAIN, ...flags], {
    env: { ...Object.fromEntries(inherited), INVOKER_PORT: '0', ...variables },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  running.add(child)
  void child.exited.then(() => running.delete(child))
  let output = ''
  let told = Promise.withResolvers<boolean>()
  void (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      output += text
      told.resolve(true)
      told = Promise.withResolvers()
    }
    told.resolve(false)
  })()
  const errors = new Response(child.stderr).text()

  async function match(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(output)
      if (found) return found
      if (!(await told.promise))
        throw new Error(`the emulator ended without ${pattern}; it wrote ${output}${await errors}`)
    }
  }
  return {
    process: child,
    output: () => output,
    errors,
    match,
    url: async () => (await match(/^ *listening +(http:\/\/\S+)/m))[1] ?? '',
    async crash() {
      child.kill('SIGKILL')
      await child.exited
    },
  }
}

/** Signs the project's owner in by Google's endpoints, as gcloud does. */
export function signIn(url: string): Promise<SignedIn> {
  return signInBy(throughEmulator(url))
}

export interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: a test reads any part of Google's documents, and fails where it is not there
  readonly body: any
}

/** One call of a Google API at the emulator's own address. */
export async function callApi(
  url: string,
  token: string,
  method: string,
  path: string,
  body?: object,
): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  const text = await response.text()
  return { status: response.status, body: text ? JSON.parse(text) : undefined }
}

export const SERVICES = '/apis/serving.knative.dev/v1/namespaces/demo-project/services'
export const LOCATED = '/v1/projects/demo-project/locations/us-central1/services'
export const ACCOUNTS = '/v1/projects/demo-project/serviceAccounts'

/** A Knative service of one container. */
export function manifest(
  name: string,
  { image = 'gcr.io/demo-project/image', env = {} }: { image?: string; env?: Record<string, string> } = {},
) {
  return {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: { name, namespace: 'demo-project' },
    spec: {
      template: {
        spec: {
          containers: [{ image, env: Object.entries(env).map(([key, value]) => ({ name: key, value })) }],
        },
      },
    },
  }
}

/** A `GET` through the door of a service, by its host name. */
export async function visit(
  url: string,
  service: string,
  token?: string,
): Promise<{ readonly status: number; readonly body: string }> {
  const response = await fetch(`http://${service}-123456789012.us-central1.run.app/`, {
    proxy: url,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  })
  return { status: response.status, body: await response.text() }
}

/** An ID token of the default compute service account, from the metadata server. */
export async function computeToken(url: string, service: string): Promise<string> {
  const audience = `http://${service}-123456789012.us-central1.run.app`
  const response = await fetch(
    `${url}/computeMetadata/v1/instance/service-accounts/default/identity?audience=${audience}`,
    { headers: { 'Metadata-Flavor': 'Google' } },
  )
  return response.text()
}
