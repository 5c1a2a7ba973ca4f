/**
 * What can go wrong, told apart by a code. Google's own errors, as its APIs answer them, are another matter: here is what
 * the emulator, its commands and its testing module say of themselves.
 */

/** Whose it is to mend: whoever gave a setting or a command, whoever was refused, or whoever maintains the emulator. */
export type Fault = 'user' | 'refusal' | 'defect'

/** The closed list of codes. */
export const FAULTS = {
  /** A setting or a document that cannot be used. */
  ERR_CONFIG: 'user',
  /** A command line that cannot be understood. */
  ERR_USAGE: 'user',
  /** A file or folder that cannot be read or written. */
  ERR_FILE: 'user',
  /** A data folder that cannot be used. */
  ERR_DATA_FOLDER: 'user',
  /** A port or an address that cannot be listened on. */
  ERR_LISTEN: 'user',
  /** Nothing answers where an emulator was looked for. */
  ERR_NO_EMULATOR: 'user',
  /** What answers there is something else. */
  ERR_NOT_EMULATOR: 'user',
  /** A service that is not there. */
  ERR_NO_SERVICE: 'user',
  /** A program of this machine that is missing, or that failed. */
  ERR_PROGRAM: 'user',
  /** Sources that cannot be made into an image. */
  ERR_BUILD: 'user',
  /** Something took longer than it may. */
  ERR_TIMEOUT: 'user',
  /** One of Google's APIs refused. */
  ERR_GOOGLE: 'refusal',
  /** The emulator's own API refused. */
  ERR_CONTROL: 'refusal',
  /** What should not be: a mistake in the emulator. */
  ERR_DEFECT: 'defect',
} as const satisfies Readonly<Record<string, Fault>>

export type ErrorCode = keyof typeof FAULTS

export interface ErrorDetails {
  /** What mends it: a sentence, or several. */
  readonly mend?: string
  readonly cause?: unknown
  /** The HTTP status of a refusal. */
  readonly status?: number
}

export class InvokerError extends Error {
  override readonly name = 'InvokerError'
  readonly code: ErrorCode
  readonly fault: Fault
  /** What was wrong and what was expected. `message` is this and the mend. */
  readonly sentence: string
  readonly mend: string | undefined
  readonly status: number | undefined

  constructor(code: ErrorCode, sentence: string, { mend, cause, status }: ErrorDetails = {}) {
    super(mend === undefined ? sentence : `${sentence} ${mend}`, cause === undefined ? {} : { cause })
    this.code = code
    this.fault = FAULTS[code]
    this.sentence = sentence
    this.mend = mend
    this.status = status
  }
}

/** True for an error with this code, or with any where none is named. */
export function isError(error: unknown, ...codes: readonly ErrorCode[]): error is InvokerError {
  return error instanceof InvokerError && (codes.length === 0 || codes.includes(error.code))
}

/** What another's error says of itself, to stand within a sentence. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
