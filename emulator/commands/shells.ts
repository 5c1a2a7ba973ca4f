/** How a shell is told to set a variable and to forget one. Pure. */
import { basename } from 'node:path'

export const SHELLS = ['bash', 'zsh', 'fish', 'powershell'] as const
export type Shell = (typeof SHELLS)[number]

/** What a shell is to do; undefined takes the variable away. */
export type Assignments = ReadonlyMap<string, string | undefined>

/** The shell of a person, by `$SHELL`; what else it may be reads bash's lines. */
export function shellOf(variable: string | undefined, platform: NodeJS.Platform): Shell {
  const name = basename(variable ?? '').replace(/\.exe$/i, '')
  if (name === 'pwsh' || name === 'powershell') return 'powershell'
  if (name === 'zsh' || name === 'fish') return name
  return name === '' && platform === 'win32' ? 'powershell' : 'bash'
}

/** Lines for the shell to evaluate. */
export function script(shell: Shell, assignments: Assignments): string {
  const write = WRITERS[shell]
  return [...assignments].map(([name, value]) => `${write(name, value)}\n`).join('')
}

/** A line that makes whatever evaluates it fail. */
export function failure(shell: Shell): string {
  return shell === 'powershell' ? "throw 'This shell reaches no emulator.'\n" : 'false\n'
}

/** What a person types to have the lines evaluated. */
export function evaluation(shell: Shell, command: string): string {
  if (shell === 'fish') return `${command} | source`
  if (shell === 'powershell') return `${command} | Out-String | Invoke-Expression`
  return `eval "$(${command})"`
}

const posix = (name: string, value: string | undefined) =>
  value === undefined ? `unset ${name}` : `export ${name}='${value.replaceAll("'", `'\\''`)}'`

const WRITERS: Readonly<Record<Shell, (name: string, value: string | undefined) => string>> = {
  bash: posix,
  zsh: posix,
  fish: (name, value) =>
    value === undefined ? `set -e ${name}` : `set -gx ${name} '${value.replace(/['\\]/g, '\\$&')}'`,
  powershell: (name, value) =>
    value === undefined
      ? `Remove-Item Env:${name} -ErrorAction SilentlyContinue`
      : `$env:${name} = '${value.replaceAll("'", "''")}'`,
}
