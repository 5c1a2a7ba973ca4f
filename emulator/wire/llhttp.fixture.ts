/** llhttp, the parser of Node.js, as a second opinion: what it makes of the bytes of one message. */
import { createRequire } from 'node:module'

export interface Opinion {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
  /** The message is whole, and nothing after it was looked at. */
  readonly complete: boolean
  /** Its name for what is wrong, such as `HPE_INVALID_CONSTANT`. */
  readonly error: string | undefined
}

interface Llhttp {
  readonly memory: WebAssembly.Memory
  _initialize(): void
  malloc(size: number): number
  free(at: number): void
  llhttp_alloc(type: number): number
  llhttp_free(parser: number): void
  llhttp_execute(parser: number, at: number, length: number): number
  llhttp_finish(parser: number): number
  llhttp_errno_name(code: number): number
}

const TYPES = { request: 1, response: 2 } as const
const PAUSED = 21
const GO_ON = 0
const SKIP_BODY = 1

const wasm: ArrayBuffer = createRequire(import.meta.url)('undici/lib/llhttp/llhttp-wasm.js')
let reading: Reading | undefined
const library = load()

/** `head`: the answer is one to a HEAD request. */
export function llhttpReads(
  type: keyof typeof TYPES,
  bytes: Buffer,
  { head = false, ended = true }: { readonly head?: boolean; readonly ended?: boolean } = {},
): Opinion {
  const parser = library.llhttp_alloc(TYPES[type])
  const at = library.malloc(bytes.length || 1)
  const now: Reading = { head, status: 0, headers: [], field: '', value: '', body: '', complete: false }
  reading = now
  try {
    new Uint8Array(library.memory.buffer, at, bytes.length).set(bytes)
    let code = library.llhttp_execute(parser, at, bytes.length)
    if (code === 0 && ended && !now.complete) code = library.llhttp_finish(parser)
    const { status, headers, body, complete } = now
    return {
      status,
      headers,
      body,
      complete,
      error: code === 0 || code === PAUSED ? undefined : nameOf(code),
    }
  } finally {
    reading = undefined
    library.free(at)
    library.llhttp_free(parser)
  }
}

interface Reading {
  readonly head: boolean
  status: number
  headers: [string, string][]
  field: string
  value: string
  body: string
  complete: boolean
}

function load(): Llhttp {
  const told = (take: (now: Reading, text: string) => void) => (_: number, at: number, length: number) => {
    if (reading) take(reading, Buffer.from(library.memory.buffer, at, length).toString('latin1'))
    return GO_ON
  }
  const env = {
    wasm_on_message_begin: () => GO_ON,
    wasm_on_url: told(() => {}),
    wasm_on_status: told(() => {}),
    wasm_on_header_field: told((now, text) => {
      flush(now)
      now.field += text
    }),
    wasm_on_header_value: told((now, text) => {
      now.value += text
      now.headers[now.headers.length] = [now.field, now.value]
      now.field = ''
      now.value = ''
    }),
    wasm_on_headers_complete: (_: number, status: number) => {
      if (reading) {
        reading.status = status
        // What comes before the answer is not the answer.
        if (status >= 100 && status < 200 && status !== 101) reading.headers = []
      }
      return reading?.head ? SKIP_BODY : GO_ON
    },
    wasm_on_body: told((now, text) => {
      now.body += text
    }),
    wasm_on_message_complete: () => {
      if (!reading || (reading.status >= 100 && reading.status < 200 && reading.status !== 101)) return GO_ON
      reading.complete = true
      return PAUSED
    },
  }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), { env })
  const made = exports as unknown as Llhttp
  made._initialize()
  return made
}

/** An empty value is told by no call of its own. */
function flush(now: Reading): void {
  if (now.field !== '') now.headers.push([now.field, now.value])
  now.field = ''
  now.value = ''
}

function nameOf(code: number): string {
  const at = library.llhttp_errno_name(code)
  const memory = new Uint8Array(library.memory.buffer)
  return Buffer.from(memory.subarray(at, memory.indexOf(0, at))).toString('latin1')
}
