/** What all commands have in common, by the command line itself; docs/commands.md is held to it. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import manifest from '../../package.json' with { type: 'json' }
import { FAULTS, InvokerError } from '../errors/errors.ts'
import { EXIT_CODES, runCommand } from './command.ts'

setDefaultTimeout(20_000)

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url))
const PAGE = readFileSync(new URL('../../docs/commands.md', import.meta.url), 'utf8')

async function emulator(...args: string[]) {
  const child = Bun.spawn([process.execPath, MAIN, ...args], {
    env: { PATH: process.env.PATH ?? '' },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { stdout, stderr, exitCode }
}

/** The cells of the table under a head, without their backquotes. */
function table(head: string): readonly (readonly string[])[] {
  const lines = PAGE.split('\n')
  const from = lines.indexOf(head) + 2
  const rows = lines.slice(from, lines.indexOf('', from))
  return rows.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  )
}

const COMMANDS = table('| command | what it does |').map(([name = '']) => name)

describe('help', () => {
  test('the main help lists every command of the page, in its words', async () => {
    const { stdout, exitCode } = await emulator('--help')
    const listed = stdout.slice(stdout.indexOf('Commands, '), stdout.indexOf('\n\nEvery flag'))
    const rows = listed
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/ {2,}/))
    expect(rows).toEqual(table('| command | what it does |').map((row) => [...row]))
    expect(exitCode).toBe(0)
    for (const args of [['-h'], ['help']]) expect((await emulator(...args)).stdout).toBe(stdout)
  })

  test.each(COMMANDS.filter((name) => name !== 'help'))(
    '%s shows its help, however that is asked for, and the version',
    async (name) => {
      const ways = [
        [name, '--help'],
        [name, '-h'],
        [name, 'help'],
        ['help', name],
      ]
      const shown = await Promise.all(ways.map((args) => emulator(...args)))
      for (const { stdout, stderr, exitCode } of shown) {
        expect(exitCode).toBe(0)
        // What env prints on standard output is for a shell to evaluate.
        expect(name === 'env' ? stderr : stdout).toStartWith('Usage: emulator')
      }
      expect(await emulator(name, '--version')).toMatchObject({
        stdout: name === 'env' ? '' : `${manifest.version}\n`,
        exitCode: 0,
      })
    },
  )

  test('the version', async () => {
    expect(await emulator('--version')).toEqual({ stdout: `${manifest.version}\n`, stderr: '', exitCode: 0 })
  })
})

describe('a command that there is not', () => {
  test('is one line that names the nearest, exit 1', async () => {
    expect(await emulator('evn')).toEqual({
      stdout: '',
      stderr: 'emulator evn: there is no such command. Did you mean "env"? See "emulator help".\n',
      exitCode: 1,
    })
    expect((await emulator('help', 'improt')).stderr).toContain('Did you mean "import"?')
    expect((await emulator('constructor')).stderr).not.toContain('Did you mean')
  })
})

describe('exit codes', () => {
  test('follow from whose fault it is, as the page says', async () => {
    const documented = table('| code | fault | what it means |').flatMap(([code, fault]) =>
      fault ? [[fault, Number(code)]] : [],
    )
    expect(Object.fromEntries(documented)).toEqual(EXIT_CODES)
    const codes = table('| code | fault | |').map(([code, fault]) => [code, fault])
    expect(Object.fromEntries(codes)).toEqual(FAULTS)
  })

  test('one line whatever is thrown, and no trace of a library', async () => {
    const said: string[] = []
    const write = process.stderr.write
    process.stderr.write = (text) => said.push(String(text)) > 0
    try {
      const thrown = [
        new InvokerError('ERR_FILE', 'it is\nnot there.'),
        new InvokerError('ERR_GOOGLE', 'no.'),
        new TypeError('x is null'),
      ]
      const codes = []
      for (const error of thrown) codes.push(await runCommand('emulator x', () => Promise.reject(error)))
      expect(codes).toEqual([1, 2, 70])
    } finally {
      process.stderr.write = write
    }
    expect(said).toEqual([
      'emulator x: it is not there.\n',
      'emulator x: no.\n',
      'emulator x: this should not happen: x is null. Please report it, with what NODE_DEBUG=invoker adds.\n',
    ])
  })
})
