/** A program in the place of this one: with its terminal, its signals and its exit code. */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { InvokerError, reasonOf } from '../errors/errors.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Resolves with its exit code; 128 and the number of the signal where one has ended it, as in a shell.
 *
 * @throws {InvokerError} ERR_PROGRAM where it does not start
 */
export async function runProgram(
  [command = '', ...args]: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  // On Windows many programs are scripts (gcloud.cmd), which only a shell starts.
  const shell = process.platform === 'win32'
  const words = shell ? args.map((arg) => `"${arg.replaceAll('"', '""')}"`) : args
  const child = spawn(command, words, { env, stdio: 'inherit', shell })
  // A terminal sends its Ctrl-C to every program in the foreground: the child has it already.
  const pass = (signal: NodeJS.Signals) => {
    if (!(signal === 'SIGINT' && process.stdin.isTTY)) child.kill(signal)
  }
  for (const signal of SIGNALS) process.on(signal, pass)
  try {
    return await new Promise<number>((resolve, reject) => {
      child.on('error', (cause) => {
        const sentence = `${command} does not start: ${reasonOf(cause)}.`
        reject(new InvokerError('ERR_PROGRAM', sentence, { cause }))
      })
      child.on('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGTERM']))
    })
  } finally {
    for (const signal of SIGNALS) process.off(signal, pass)
  }
}
