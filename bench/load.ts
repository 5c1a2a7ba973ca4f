/** Requests as fast as they are answered, from a process of its own: wrk where it is installed, else autocannon. Loopback only. */
import { createRequire } from 'node:module'

export interface Load {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  /** What every answer has to be. */
  readonly status: number
  /** Connections. Default 32. */
  readonly connections?: number
  /** Seconds. Default 2. */
  readonly seconds?: number
}

export interface Loaded {
  /** Answers a second. */
  readonly rate: number
  /** The time that 99 of 100 answers took at most. Milliseconds. */
  readonly p99: number
}

const CONNECTIONS = 32
const SECONDS = 2
const LOOPBACK = /^http:\/\/127\.0\.0\.1:\d+\//

/** @throws when one answer is not as it has to be, or the load does not end by itself */
export async function drive(load: Load): Promise<Loaded> {
  if (!LOOPBACK.test(load.url)) throw new Error(`${load.url}: a load goes to http://127.0.0.1:PORT/ alone`)
  const first = await fetch(load.url, { headers: { ...load.headers } })
  await first.arrayBuffer()
  if (first.status !== load.status)
    throw new Error(`${load.url}: expected ${load.status}, was answered ${first.status}`)
  return Bun.which('wrk') ? withWrk(load) : withAutocannon(load)
}

async function withWrk({ url, headers = {}, status, connections = CONNECTIONS, seconds = SECONDS }: Load) {
  const given = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const shape = ['-t1', `-c${connections}`, `-d${seconds}`, '--timeout', '10', '--latency']
  const output = await outputOf(['wrk', ...shape, ...given, url])
  const rate = Number(/^Requests\/sec:\s+([\d.]+)/m.exec(output)?.[1])
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1] ?? 0)
  const answered = Number(/(\d+) requests in/.exec(output)?.[1])
  const broken = /Socket errors: (.+)/.exec(output)?.[1]
  const expected = status < 400 ? 0 : answered
  if (!(rate > 0) || broken !== undefined || Math.abs(refused - expected) > connections)
    throw new Error(`${url}: not every answer was ${status}:\n${output}`)
  const [, time = '', unit = 'ms'] = /99%\s+([\d.]+)(us|ms|s)/.exec(output) ?? []
  return { rate, p99: Number(time) * ({ us: 0.001, ms: 1, s: 1000 }[unit] ?? 1) }
}

async function withAutocannon(load: Load): Promise<Loaded> {
  const { url, headers = {}, status, connections = CONNECTIONS, seconds = SECONDS } = load
  const program = createRequire(import.meta.url).resolve('autocannon/autocannon.js')
  const given = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}=${value}`])
  const shape = ['-c', String(connections), '-d', String(seconds), '--json', '--no-progress']
  const told: unknown = JSON.parse(
    await outputOf([
      process.execPath,
      program,
      ...shape,
      ...given,
      '--expectStatusCode',
      String(status),
      url,
    ]),
  )
  const number = (...path: readonly string[]) =>
    Number(path.reduce<unknown>((at, key) => (at instanceof Object ? Reflect.get(at, key) : undefined), told))
  if (number('errors') + number('mismatches') + number('timeouts') > 0)
    throw new Error(`${url}: not every answer was ${status}`)
  return { rate: number('requests', 'average'), p99: number('latency', 'p99') }
}

async function outputOf(command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  if ((await child.exited) !== 0) throw new Error(`${command[0]} failed: ${errors || output}`)
  return output
}
