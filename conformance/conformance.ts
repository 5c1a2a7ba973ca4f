/** The whole run: every client, both ways, judged by what is expected of it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CLIENTS, type Client, type Program } from './clients.ts'
import { openCloud } from './cloud.ts'
import { type Exception, type Exceptions, readExpectations, reasonOf } from './expectations.ts'
import { Missing, missingTool } from './install.ts'
import { runProgram, type Transcript } from './program.ts'
import { STEPS, type StepId, WAYS, type Way } from './steps.ts'

export type Result = Ran | Skipped

export interface Ran {
  readonly client: Client
  readonly ran: true
  readonly version: string
  readonly notes: readonly string[]
  readonly outcomes: readonly Outcome[]
}

/** A toolchain that is not here. */
export interface Skipped {
  readonly client: Client
  readonly ran: false
  readonly reason: string
}

export interface Outcome {
  readonly step: StepId
  readonly way: Way
  readonly passed: boolean
  /** Why the library cannot, where it is expected not to pass. */
  readonly reason?: string
  /** What is not as expected. */
  readonly wrong?: string
}

/** How many programs run at once: they mostly wait, but compilers and virtual machines do not. */
const AT_ONCE = 3

/** Runs the clients; `tell` hears of each as it ends. */
export async function runConformance(
  clients: readonly Client[] = CLIENTS,
  tell: (result: Result) => void = () => {},
): Promise<readonly Result[]> {
  const folder = mkdtempSync(join(tmpdir(), 'conformance-'))
  try {
    return await runAll(clients, folder, tell)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function runAll(
  clients: readonly Client[],
  folder: string,
  tell: (result: Result) => void,
): Promise<readonly Result[]> {
  const ids = clients.map(({ id }) => id)
  const cloud = await openCloud(ids, folder)
  const transcribe = async (client: Client, program: Program, way: Way): Promise<Transcript> => {
    const prepared = await cloud.prepare(client.id, way)
    const own = mkdtempSync(join(folder, `${client.id}-${way}-`))
    return runProgram(program, prepared, new URL(cloud.url), own)
  }
  const atOnce = limit(AT_ONCE)
  const runClient = async (client: Client): Promise<Result> => {
    const absent = missingTool(client.tools)
    if (absent !== undefined) return { client, ran: false, reason: absent }
    const program = await atOnce(() => client.prepare().catch(missing))
    if (program instanceof Missing) return { client, ran: false, reason: program.message }
    const transcripts = await Promise.all(
      WAYS.map((way) => atOnce(() => transcribe(client, program, way)).then((said) => ({ way, said }))),
    )
    const { notes, exceptions } = readExpectations(client.folder)
    const outcomes = transcripts.flatMap(({ way, said }) => judge(said, way, exceptions[way] ?? {}))
    return { client, ran: true, version: transcripts[0]?.said.version ?? '', notes, outcomes }
  }
  try {
    return await Promise.all(
      clients.map(async (client) => {
        const result = await runClient(client)
        tell(result)
        return result
      }),
    )
  } finally {
    await cloud.close()
  }
}

/** What is not as expected, one a line; empty when all is well. */
export function wrongs({ outcomes }: Ran): readonly string[] {
  return outcomes.flatMap(({ wrong, step, way }) =>
    wrong === undefined ? [] : [`${way}, ${step}: ${wrong}`],
  )
}

function missing(error: unknown): Missing {
  if (error instanceof Missing) return error
  throw error
}

/** Runs what it is given when fewer than `most` are running. */
function limit(most: number) {
  const waiting: (() => void)[] = []
  let running = 0
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running < most) running += 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      // Whoever waits takes this one's place.
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }
}

function judge({ lines, trouble }: Transcript, way: Way, exceptions: Exceptions): readonly Outcome[] {
  return STEPS.map(({ id: step }) => {
    const line = lines.get(step)
    const exception = exceptions[step]
    const helped = exception !== undefined && 'helped' in exception
    const passed = line?.ok === true && !helped
    const wrong = contradiction(exception, line && { ok: line.ok, detail: line.detail }, trouble)
    return {
      step,
      way,
      passed,
      ...(exception ? { reason: reasonOf(exception) } : {}),
      ...(wrong === undefined ? {} : { wrong }),
    }
  })
}

function contradiction(
  exception: Exception | undefined,
  line: { readonly ok: boolean; readonly detail: string } | undefined,
  trouble: string,
): string | undefined {
  if (exception && 'untried' in exception)
    return line ? 'was tried, though it is said to be impossible' : undefined
  if (!line) return `was not reached. ${trouble}`
  if (exception && 'fails' in exception) {
    if (line.ok) return 'passed, though it is said to fail'
    return line.detail.includes(exception.saying) ? undefined : `failed otherwise than said: ${line.detail}`
  }
  return line.ok ? undefined : line.detail
}
