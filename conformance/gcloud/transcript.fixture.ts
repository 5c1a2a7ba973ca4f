/** For tests: the tutorial as a person types it, and the images that its `docker build` would make. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterwards, temporaryFolder } from './gcloud.fixture.ts'

/** A line that is typed, and what it prints where the tutorial shows that; or a change of the sender's source. */
export type Step =
  | { readonly kind: 'line'; readonly line: string; readonly prints: string | undefined }
  | { readonly kind: 'change' }

/** tutorial.transcript: the tutorial's command lines, word for word, each with the output that it shows. */
export function tutorial(): readonly Step[] {
  const text = readFileSync(new URL('./tutorial.transcript', import.meta.url), 'utf8')
  return text
    .trimEnd()
    .split(/\n(?=\$ |## )/)
    .map((step): Step => {
      if (step.startsWith('## ')) return { kind: 'change' }
      const [line = '', ...output] = step.slice(2).split('\n')
      return { kind: 'line', line, prints: output.length > 0 ? output.join('\n') : undefined }
    })
}

/** What `builds submit` uploads: the tutorial's folder with its Dockerfile. */
export function writeSources(folder: string): void {
  writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY main.go .\n')
  writeFileSync(join(folder, 'main.go'), 'package main\n')
}

/**
 * The tutorial's two images on the process runtime. Nothing is built there, so the tutorial's change of source is one of the
 * command that stands for the sender's image: first it sends no token, then an ID token.
 */
export class Images {
  readonly folder = temporaryFolder()

  constructor() {
    // A killed emulator cannot end what it has started.
    afterwards(() => {
      for (const name of readdirSync(this.folder)) if (/^\d+$/.test(name)) end(Number(name))
    })
    this.#write('receiving-service', 'receiver', '')
    this.#write('sending-service', 'sender', 'SENDER_AUTH=none')
  }

  /** The setting that maps each name to its command. */
  get commands(): Readonly<Record<string, string>> {
    const command = (name: string) => [name, `. '${join(this.folder, name)}'`]
    return Object.fromEntries(['receiving-service', 'sending-service'].map(command))
  }

  /** The tutorial's "Update the sending service". */
  changeSender(): void {
    this.#write('sending-service', 'sender', 'SENDER_AUTH=id-token')
  }

  #write(name: string, folder: string, variables: string): void {
    const main = fileURLToPath(new URL(`../../${folder}/main.ts`, import.meta.url))
    // A file named after the process: what was started can be seen, and ended.
    const started = `touch '${this.folder}'/$$`
    writeFileSync(join(this.folder, name), `${started}; ${variables} exec '${process.execPath}' '${main}'\n`)
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}
