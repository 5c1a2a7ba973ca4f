/** Runs one program against the emulator: points its environment there, reads its lines, and grants when it asks. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { z } from 'zod'
import type { Places, Program } from './clients.ts'
import type { Prepared } from './cloud.ts'
import { run } from './install.ts'
import { isStepId, type Line, type StepId, type Way } from './steps.ts'

/** What a program printed. */
export interface Transcript {
  readonly version: string
  readonly lines: ReadonlyMap<StepId, Line>
  /** The end of its standard error, and how it ended when that was not with 0. */
  readonly trouble: string
}

/** How long one program may take. Milliseconds. */
const PATIENCE = 300_000
const TAIL = 1500

const printed = z.strictObject({ step: z.string(), ok: z.boolean(), detail: z.string() })

export async function runProgram(
  program: Program,
  { task, grant }: Prepared,
  emulator: URL,
  folder: string,
): Promise<Transcript> {
  mkdirSync(join(folder, 'home'), { recursive: true })
  const taskFile = join(folder, 'task.json')
  writeFileSync(taskFile, JSON.stringify(task), { mode: 0o600 })
  const env = await environment(program, task.way, emulator, folder)
  const child = Bun.spawn([...program.command, taskFile], {
    cwd: folder,
    env,
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: PATIENCE,
  })
  const errors = new Response(child.stderr).text()
  const lines = new Map<StepId, Line>()
  let version = 'unknown'
  const strange: string[] = []
  for await (const text of createInterface({ input: Readable.fromWeb(child.stdout) })) {
    const line = readLine(text)
    if (!line) strange.push(text)
    else if (line.step === 'version') version = line.detail
    else if (isStepId(line.step)) lines.set(line.step, { ...line, step: line.step })
    if (line?.step === 'call-refused') {
      await grant()
      child.stdin.write('granted\n')
      await child.stdin.end()
    }
  }
  const code = await child.exited
  const ending = code === 0 ? '' : `ended with ${child.signalCode ?? code}\n`
  return { version, lines, trouble: `${ending}${[...strange, await errors].join('\n')}`.trim().slice(-TAIL) }
}

function readLine(text: string): z.infer<typeof printed> | undefined {
  try {
    return printed.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** The machine's variables, but for what would lead elsewhere; then those that `emulator env` has a shell set. */
async function environment(
  program: Program,
  way: Way,
  emulator: URL,
  folder: string,
): Promise<Record<string, string>> {
  const files = join(folder, 'trust')
  const metadata = way === 'override' ? ['--metadata'] : []
  const command = [
    process.execPath,
    MAIN,
    'env',
    '--url',
    emulator.origin,
    '--mode',
    way,
    '--shell',
    'bash',
    '--dir',
    files,
  ]
  const script = await run([...command, ...metadata], folder, { HOME: join(folder, 'home') })
  const shell = await run(['bash', '-c', `${script}\nenv --null`], folder)
  const variables = Object.fromEntries(
    shell
      .split('\0')
      .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)] as const)
      .filter(([name]) => name !== '' && !/^(?:GOOGLE_|INVOKER_|_INVOKER_)/.test(name)),
  )
  const places: Places = { url: emulator, certificate: join(files, 'ca.pem'), folder }
  return {
    ...variables,
    // What `override` leaves to Google's own names must not get there: without the certificate it fails here.
    ...(way === 'override' ? { https_proxy: emulator.origin, HTTPS_PROXY: emulator.origin } : {}),
    // Cloud Run's contract with a container (facts 1.8), and no credentials of whoever runs this.
    K_SERVICE: 'conformance',
    K_REVISION: 'conformance-00001-abc',
    K_CONFIGURATION: 'conformance',
    HOME: join(folder, 'home'),
    ...(await program.env(way, places)),
  }
}

const MAIN = join(import.meta.dir, '..', 'emulator', 'main.ts')
