/** For tests: a service as a process of its own, with the log lines that it wrote. */

type LogLine = Readonly<Record<string, unknown>>

export interface Spawned {
  readonly process: Bun.Subprocess<'ignore', 'pipe', 'pipe'>
  /** The first log line, now or later, that `matches`. Rejects when the output ends without one. */
  line(matches: (line: LogLine) => boolean): Promise<LogLine>
  /** Where it listens, once it does. */
  url(): Promise<string>
}

const running = new Set<Bun.Subprocess>()

/** Ends every service that was spawned. For each test file to call: hooks of this one would hold in the first that imports it. */
export async function endServices(): Promise<void> {
  for (const child of running) child.kill('SIGKILL')
  await Promise.all([...running].map((child) => child.exited))
}

/** Starts `main` with these variables and no others but the path. */
export function spawnService(main: string, env: Record<string, string>): Spawned {
  const child = Bun.spawn([process.execPath, main], {
    env: { PATH: process.env.PATH ?? '', PORT: '0', ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  running.add(child)
  void child.exited.then(() => running.delete(child))
  const seen: LogLine[] = []
  let told = Promise.withResolvers<boolean>()
  void (async () => {
    let rest = ''
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      seen.push(...lines.map((line): LogLine => JSON.parse(line)))
      told.resolve(true)
      told = Promise.withResolvers()
    }
    told.resolve(false)
  })()

  async function line(matches: (line: LogLine) => boolean): Promise<LogLine> {
    for (;;) {
      const found = seen.find(matches)
      if (found) return found
      if (!(await told.promise))
        throw new Error(`the process ended without that line; it wrote ${JSON.stringify(seen)}`)
    }
  }

  return {
    process: child,
    line,
    url: async () => `http://127.0.0.1:${(await line((one) => typeof one.port === 'number')).port}`,
  }
}
