/** For tests: the real gcloud, pointed at an emulator by what `emulator env` prints. */
import { test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Emulator, localImages, startEmulator } from '../../emulator/emulator.ts'

export type Mode = 'intercept' | 'override'
export const MODES: readonly Mode[] = ['intercept', 'override']

const MAIN = fileURLToPath(new URL('../../emulator/main.ts', import.meta.url))

/** gcloud starts in a second or two, and several of them share two cores. Milliseconds. */
export const PATIENCE = 300_000

const missing = ['gcloud', 'curl', 'bash'].filter((program) => Bun.which(program) === null)
if (missing.length > 0)
  console.log(`SKIPPED: the real gcloud against the emulator: no ${missing.join(', ')} here`)

/** False where tests skip: what they begin with can be left out too. */
export const gcloudAvailable = missing.length === 0

/** A test that runs the real gcloud, or says that it does not. */
export function gcloudTest(name: string, body: () => Promise<void>): void {
  if (!gcloudAvailable) test.skip(name, body)
  else test(name, body, PATIENCE)
}

const cleanups: (() => unknown)[] = []
/** Does it when the file's tests are done, before what was asked for earlier. */
export function afterwards(cleanup: () => unknown): void {
  cleanups.push(cleanup)
}
/**
 * Ends and removes what a file's tests began. Each file asks for it itself: `afterAll` in this module would hold for the
 * first file of a run only, which is the one that loads it.
 */
export async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'invoker-gcloud-'))
  afterwards(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** An emulator of this process, gone when the file's tests are done. Its images are local processes, engine or not. */
export async function emulator(config: Parameters<typeof startEmulator>[0] = {}): Promise<Emulator> {
  const started = await startEmulator({ port: 0, ...config }, { images: localImages() })
  afterwards(() => started.close())
  return started
}

/** A command that stands for an image: its container says which revision it is. */
export const REVISION = `exec '${process.execPath}' -e 'Bun.serve({ port: process.env.PORT, fetch: () => new Response(process.env.K_REVISION) })'`

/** An emulator in a process of its own, on a data folder: it can be killed at any moment and started again. */
export class Killable {
  readonly #flags: readonly string[]
  #child: Bun.Subprocess<'ignore', 'pipe', 'inherit'> | undefined
  #url = ''

  constructor(flags: readonly string[]) {
    this.#flags = ['--data', temporaryFolder(), ...flags]
    afterwards(() => this.kill())
  }

  /** The same after every start. */
  get url(): string {
    return this.#url
  }

  /** Resolves when it listens and what had been deployed runs again. */
  async start(): Promise<void> {
    const port = this.#url === '' ? '0' : new URL(this.#url).port
    const child = Bun.spawn([process.execPath, MAIN, '--port', port, ...this.#flags], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'inherit',
    })
    this.#child = child
    let output = ''
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader()
    while (!/^ *state .*\n/m.test(output)) {
      const { value, done } = await lines.read()
      if (done) throw new Error(`the emulator ended: ${output}`)
      output += value
    }
    lines.releaseLock()
    this.#url = /listening +(http:\S+)/.exec(output)?.[1] ?? ''
  }

  /** As a power cut would. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.#child?.exited
  }
}

export interface Ran {
  readonly command: string
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
  readonly seconds: number
}

/** Runs `$1` in bash. The tutorial's variables last from one line to the next, as in a person's shell. */
const KEEPING_VARIABLES = `
[ ! -f ../variables ] || . ../variables
eval "$1"
code=$?
declare -p PROJECT_ID REGION RECEIVING_SERVICE_URL SENDING_SERVICE_URL >../variables 2>/dev/null
exit $code`

/** A shell with the emulator's environment and a gcloud configuration of its own. */
export class Shell {
  /** Where lines are run: an empty folder. */
  readonly folder: string
  readonly variables: Readonly<Record<string, string>>
  readonly #history: Ran[] = []

  private constructor(folder: string, variables: Readonly<Record<string, string>>) {
    this.folder = folder
    this.variables = variables
  }

  /** Evaluates what `emulator env` prints, in bash, on top of everything that this machine has set. */
  static async open(url: string, mode: Mode, ...flags: string[]): Promise<Shell> {
    const parent = temporaryFolder()
    const folder = join(parent, 'work')
    mkdirSync(folder)
    const env = [process.execPath, MAIN, 'env', '--url', url, '--mode', mode, '--shell', 'bash']
    const line = [...env, '--dir', join(parent, 'env'), ...flags].map((word) => `'${word}'`).join(' ')
    const shell = Bun.spawn(['bash', '-c', `eval "$(${line})" && env -0`], { stdout: 'pipe', stderr: 'pipe' })
    const printed = await new Response(shell.stdout).text()
    if ((await shell.exited) !== 0)
      throw new Error(`emulator env failed: ${await new Response(shell.stderr).text()}`)
    const variables = printed
      .split('\0')
      .filter(Boolean)
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)])
    return new Shell(folder, Object.fromEntries(variables))
  }

  /** What was run so far, oldest first. */
  get history(): readonly Ran[] {
    return this.#history
  }

  /** Runs a line as bash does, whatever comes of it. */
  async run(command: string): Promise<Ran> {
    const before = performance.now()
    const child = Bun.spawn(['bash', '-c', KEEPING_VARIABLES, 'bash', command], {
      cwd: this.folder,
      env: { ...this.variables, NO_COLOR: '1' },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ])
    const ran = { command, exitCode, stdout, stderr, seconds: (performance.now() - before) / 1000 }
    this.#history.push(ran)
    if (process.env.GCLOUD_TIMES) console.log(`${ran.seconds.toFixed(1)} s  ${exitCode}  ${command}`)
    return ran
  }

  /** Standard output of a line that has to succeed. */
  async ok(command: string): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run(command)
    if (exitCode !== 0) throw new Error(`${command}\nended with ${exitCode}\n${stdout}${stderr}`)
    return stdout.trimEnd()
  }

  /** What a line prints as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: a test reads any part of Google's documents, and fails where it is not there
  async json(command: string): Promise<any> {
    return JSON.parse(await this.ok(`${command} --format=json`))
  }

  /** Standard error of a line that has to fail. */
  async fails(command: string): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run(command)
    if (exitCode === 0) throw new Error(`${command}\nshould have failed\n${stdout}${stderr}`)
    return stderr
  }

  /** Signs in and sets project and region, as the tutorial begins. */
  async begin(): Promise<this> {
    await this.ok('gcloud auth login')
    await this.ok('gcloud config set project demo-project')
    await this.ok('gcloud config set run/region us-central1')
    return this
  }
}
