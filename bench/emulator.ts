/** The emulator as its users start it: a process of its own, with two services that one other process answers for. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { end } from './peers.ts'

const CALLER = 'orders-sa@demo-project.iam.gserviceaccount.com'
const NUMBER = '123456789012'
const MAIN = new URL('../emulator/main.ts', import.meta.url).pathname

export interface Running {
  readonly url: string
  readonly pid: number
  /** Headers that lead to a service by its host. */
  to(service: 'open' | 'closed'): Readonly<Record<string, string>>
  /** An ID token for it, of the one account that may call `closed`. */
  token(service: 'open' | 'closed'): Promise<string>
  close(): Promise<void>
}

const minted = z.object({ token: z.string() })

/** @param upstream what both services are */
export async function emulator(upstream: string, flags: readonly string[] = []): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-emulator-'))
  const manifests = join(folder, 'manifests')
  mkdirSync(manifests)
  for (const name of ['open', 'closed']) writeFileSync(join(manifests, `${name}.yaml`), manifest(name))
  writeFileSync(join(manifests, 'open.policy.yaml'), policy('allUsers'))
  writeFileSync(join(manifests, 'closed.policy.yaml'), policy(`serviceAccount:${CALLER}`))
  const origin = new URL(upstream).origin
  const child = Bun.spawn(
    [
      process.execPath,
      MAIN,
      ...['--port', '0', '--manifests', manifests, ...flags],
      ...['--upstream', `open=${origin}`, '--upstream', `closed=${origin}`],
    ],
    { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe', env: plainEnvironment() },
  )
  const url = await listening(child)
  const hostOf = (service: string) => `${service}-${NUMBER}.us-central1.run.app`
  return {
    url,
    pid: child.pid,
    // Spelled so, or wrk adds one of its own.
    to: (service) => ({ Host: hostOf(service) }),
    async token(service) {
      const response = await fetch(`${url}/_emulator/tokens`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ serviceAccount: CALLER, audience: `http://${hostOf(service)}` }),
      })
      return minted.parse(await response.json()).token
    },
    async close() {
      await end(child)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Without settings that the caller's own environment may have. */
function plainEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('INVOKER_')))
}

/** Where it listens, once it does; what it says after that is read and forgotten. */
async function listening(child: Bun.Subprocess<'ignore', 'pipe', 'pipe'>): Promise<string> {
  void new Response(child.stderr).text()
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  void (async () => {
    let text = ''
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      if (text.length < 10_000) text += chunk
      const [, url] = /^ *listening +(http:\/\/\S+)/m.exec(text) ?? []
      if (url !== undefined) resolve(url)
    }
    reject(new Error(`the emulator ended before it listened; it wrote ${text}`))
  })()
  return promise
}

function manifest(name: string): string {
  return `apiVersion: serving.knative.dev/v1
kind: Service
metadata: { name: ${name} }
spec: { template: { spec: { containers: [{ image: gcr.io/demo-project/${name} }] } } }
`
}

function policy(member: string): string {
  return `bindings: [{ role: roles/run.invoker, members: ['${member}'] }]\netag: BwYAAAAAAAA=\n`
}
