/** For tests: an emulator as a process of its own, a shell that only its environment points at it, and the real gcloud signed in. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../emulator/main.ts', import.meta.url))
const FOLDER = fileURLToPath(new URL('.', import.meta.url))

/** A deployment is twenty runs of gcloud, each a second or two, and others may share the machine. Milliseconds. */
export const PATIENCE = 300_000

export const missing = ['gcloud', 'curl', 'bash'].filter((program) => Bun.which(program) === null)

export interface Ran {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export interface Cloud {
  /** Where the emulator is. */
  readonly url: string
  readonly folder: string
  /** Runs one of the scripts beside this file on the project, with nobody there to be asked. */
  script(name: 'deploy.sh' | 'destroy.sh', flags: readonly string[], variables?: Variables): Promise<Ran>
  /** One call of a Google API as the project's owner. Undefined where there is no such thing. */
  // biome-ignore lint/suspicious/noExplicitAny: a test reads any part of Google's documents, and fails where it is not there
  google(method: string, path: string, body?: object): Promise<any>
  /** The last decisions of a service's door, newest last, as `STATUS MEMBER`. */
  decisions(service: string): Promise<readonly string[]>
  /** What the door of a service answers to nobody in particular. */
  knock(service: string): Promise<number>
  close(): Promise<void>
}

type Variables = Readonly<Record<string, string>>

export interface CloudOptions {
  readonly mode: 'intercept' | 'override'
  /** The emulator's program. Default: the sources beside this folder. */
  readonly main?: string
  readonly flags?: readonly string[]
}

export async function openCloud({ mode, main = MAIN, flags = [] }: CloudOptions): Promise<Cloud> {
  const folder = mkdtempSync(join(tmpdir(), 'invoker-deploy-'))
  const { child, url } = await spawnEmulator(main, flags)
  const close = async () => {
    child.kill('SIGTERM')
    await child.exited
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const variables = await environment(url, mode, folder)
    const bash = (words: readonly string[], more: Variables = {}) =>
      run(words, folder, { ...variables, ...more })
    await ok(bash(['gcloud', 'auth', 'login']))
    const token = (await ok(bash(['gcloud', 'auth', 'print-access-token']))).trim()
    return {
      url,
      folder,
      script: (name, args, more) =>
        bash([join(FOLDER, name), '--project=demo-project', ...args], {
          NO_COLOR: '1',
          DEPLOY_WAIT: '60',
          ...more,
        }),
      async google(method, path, body) {
        const response = await fetch(`${url}${path}`, {
          method,
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          ...(body ? { body: JSON.stringify(body) } : {}),
        })
        if (response.status === 404) return undefined
        if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
        return response.json()
      },
      async decisions(service) {
        const answer = await fetch(`${url}/_emulator/decisions?service=${service}`)
        const { decisions } = (await answer.json()) as {
          decisions: readonly { status: number; caller?: { member: string } }[]
        }
        return decisions.map(({ status, caller }) => `${status} ${caller?.member ?? 'nobody'}`)
      },
      async knock(service) {
        const at = `http://${service}-123456789012.us-central1.run.app/`
        return (await fetch(at, { proxy: url })).status
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function spawnEmulator(main: string, flags: readonly string[]) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('INVOKER_'))
  const child = Bun.spawn([process.execPath, main, '--port=0', ...flags], {
    env: Object.fromEntries(inherited),
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const listening = Promise.withResolvers<string>()
  void (async () => {
    let output = ''
    // Read to its end, so that the emulator never waits for a reader.
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      output += text
      const [, url] = /^ *listening +(http:\/\/\S+)/m.exec(output) ?? []
      if (url) listening.resolve(url)
    }
    listening.reject(new Error(`the emulator ended before it listened; it wrote ${output}`))
  })()
  return { child, url: await listening.promise }
}

/** The variables of a shell that has evaluated what `emulator env` prints. */
async function environment(url: string, mode: string, folder: string): Promise<Variables> {
  const env = `'${process.execPath}' '${MAIN}' env --url '${url}' --mode ${mode} --shell bash --dir '${folder}'`
  const printed = await ok(
    run(['bash', '-c', `lines=$(${env}) && eval "$lines" && env -0`], folder, process.env),
  )
  const entries = printed.split('\0').filter(Boolean)
  return Object.fromEntries(
    entries.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
  )
}

async function run(
  words: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Ran> {
  const child = Bun.spawn([...words], { cwd, env, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { exitCode, stdout, stderr }
}

async function ok(ran: Promise<Ran>): Promise<string> {
  const { exitCode, stdout, stderr } = await ran
  if (exitCode !== 0) throw new Error(`ended with ${exitCode}: ${stdout}${stderr}`)
  return stdout
}
