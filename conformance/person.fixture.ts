/** For tests: a person who reads the pages, at a machine where they have never done anything else. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { ROOT } from '../walkthrough/pages.fixture.ts'

/** What the key sends. */
const CTRL_C = '\x03'
/** How long a program may take to end after it was told to. Milliseconds. */
const ENDING = 20_000
/** What belongs to another emulator, to Google's own tools, or leads elsewhere. */
const FOREIGN =
  /^_?(INVOKER|CLOUDSDK|GCE_METADATA|GOOGLE|GCLOUD)_|_proxy$|^(XDG_|BROWSER$|DISPLAY$|EMULATOR_PORT$|SENDER_|RECEIVER_|RECEIVING_)/i

export type Variables = Readonly<Record<string, string>>

/** A program that the person has left running. */
export interface Started {
  /** Everything that it has written so far. */
  readonly output: () => string
  /** The match of a pattern in that, now or later. Rejects when the program ends without one. */
  match(pattern: RegExp): Promise<RegExpExecArray>
  /** By Ctrl-C, and waits until nothing of it is left. */
  end(): Promise<void>
}

export interface Ran {
  readonly code: number
  /** What each command wrote to standard output, of those that were run. */
  readonly outputs: readonly string[]
  readonly errors: string
}

export class Person {
  /** Their home, where nothing is yet. */
  readonly home = mkdtempSync(join(tmpdir(), 'invoker-pages-'))
  readonly #variables: Readonly<Record<string, string | undefined>>
  readonly #running = new Set<Started>()

  constructor(variables: Variables = {}) {
    const inherited = Object.entries(process.env).filter(([name]) => !FOREIGN.test(name))
    const temporary = join(this.home, 'tmp')
    mkdirSync(temporary)
    this.#variables = {
      ...Object.fromEntries(inherited),
      HOME: this.home,
      TMPDIR: temporary,
      SHELL: Bun.which('bash') ?? '',
      // The pinned Bun is this one; nobody has to download it.
      PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
      NO_UPDATE_NOTIFIER: '1',
      NO_COLOR: '1',
      ...variables,
    }
  }

  /** Runs these one after another in one shell of its own, and stops at the first that fails. */
  async types(lines: readonly string[], variables: Variables = {}, folder: string = ROOT): Promise<Ran> {
    // A zero byte after each: no program here prints one.
    const script = ['set -e', ...lines.flatMap((line) => [line, String.raw`printf '\0'`])].join('\n')
    const shell = Bun.spawn(['bash', '-c', script], {
      cwd: folder,
      env: { ...this.#variables, ...variables },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const [output, errors, code] = await Promise.all([
      new Response(shell.stdout).text(),
      new Response(shell.stderr).text(),
      shell.exited,
    ])
    return { code, outputs: code === 0 ? output.split('\0').slice(0, -1) : output.split('\0'), errors }
  }

  /** The same, for lines that have to succeed. Gives what each wrote to standard output. */
  async succeeds(
    lines: readonly string[],
    variables?: Variables,
    folder?: string,
  ): Promise<readonly string[]> {
    const { code, outputs, errors } = await this.types(lines, variables, folder)
    if (code === 0) return outputs
    throw new Error(
      `${lines[outputs.length - 1]}\nended with ${code}\n${errors.slice(-3000)}${outputs.at(-1)}`,
    )
  }

  /** Starts a line at a terminal of its own, and leaves it running. */
  starts(line: string, variables: Variables = {}): Started {
    let output = ''
    let told = Promise.withResolvers<boolean>()
    const closed = Promise.withResolvers<void>()
    const decoder = new TextDecoder()
    // As at a prompt: Ctrl-C does not close the terminal on those that are still ending.
    const child = Bun.spawn(['bash', '-c', `trap '' HUP\n${line}`], {
      cwd: ROOT,
      env: { ...this.#variables, ...variables },
      terminal: {
        data(_terminal, bytes) {
          output += decoder.decode(bytes, { stream: true }).replaceAll('\r', '')
          told.resolve(true)
          told = Promise.withResolvers()
        },
        // Once the last process that could write to it is gone.
        exit() {
          told.resolve(false)
          closed.resolve()
        },
      },
    })
    const started: Started = {
      output: () => output,
      async match(pattern) {
        for (;;) {
          const found = pattern.exec(output)
          if (found) return found
          if (!(await told.promise)) throw new Error(`${line}\nended with ${output}`)
        }
      },
      end: async () => {
        this.#running.delete(started)
        child.terminal?.write(CTRL_C)
        const timer = setTimeout(() => process.kill(-child.pid, 'SIGKILL'), ENDING)
        await Promise.all([child.exited, closed.promise])
        clearTimeout(timer)
      },
    }
    this.#running.add(started)
    return started
  }

  async leaves(): Promise<void> {
    await Promise.all([...this.#running].map((each) => each.end()))
    rmSync(this.home, { recursive: true, force: true })
  }
}

/** Where an emulator says that it listens. */
export async function addressOf(emulator: Started): Promise<URL> {
  return new URL((await emulator.match(/^ *listening +(http:\/\/\S+)/m))[1] ?? '')
}
