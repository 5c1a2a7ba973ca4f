/** bootstrap.mjs and scripts/packages.ts in a small checkout of their own, whose one package is a folder: no network. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const bun = process.execPath
const home = join(import.meta.dir, '..')
const root = mkdtempSync(join(tmpdir(), 'checkout-'))
const manifest = {
  name: 'checkout',
  type: 'module',
  packageManager: `bun@${Bun.version}`,
  dependencies: { greeting: 'file:./greeting' },
}
const files: Record<string, string> = {
  'package.json': JSON.stringify(manifest),
  'greeting/package.json': '{"name":"greeting","version":"1.0.0","main":"index.js"}',
  'greeting/index.js': 'export const greeting = "hello"',
  'rooms/deep/name.ts': "import { greeting } from 'greeting'\nexport const name = greeting",
  'rooms/main.ts': "import { name } from './deep/name.ts'\nconsole.log(name, ...process.argv.slice(2))",
  'rooms/name.test.ts':
    "import { expect, test } from 'bun:test'\nimport { name } from './deep/name.ts'\ntest('name', () => expect(name).toBe('hello'))",
  'rooms/wait.ts':
    "process.on('SIGTERM', () => process.exit(3))\nprocess.on('SIGINT', () => process.exit(4))\nconsole.log('ready')\nsetInterval(() => {}, 60_000)",
}

beforeAll(() => {
  for (const name of ['bootstrap.mjs', 'bunfig.toml', 'scripts/packages.ts'])
    cpSync(join(home, name), join(root, name))
  for (const [name, text] of Object.entries(files)) write(name, text)
  expect(Bun.spawnSync([bun, 'install', '--lockfile-only'], { cwd: root }).success).toBe(true)
})
afterAll(() => rmSync(root, { recursive: true }))

function write(name: string, text: string): void {
  mkdirSync(join(root, dirname(name)), { recursive: true })
  writeFileSync(join(root, name), text)
}

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn([bun, ...args], { cwd: root, stdout: 'pipe', stderr: 'pipe' })
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { code, out, err }
}

const installing = 'Installing packages from bun.lock\n'
const freshClone = () => rmSync(join(root, 'node_modules'), { recursive: true, force: true })

describe('packages', () => {
  test('a fresh clone installs them before a program, which finds them; the next run says nothing', async () => {
    freshClone()
    expect(await run('rooms/main.ts')).toEqual({ code: 0, out: 'hello\n', err: installing })
    expect(await run('rooms/main.ts')).toEqual({ code: 0, out: 'hello\n', err: '' })
  })

  test('a fresh clone installs them before a test', async () => {
    freshClone()
    const { code, err } = await run('test')
    expect(err).toContain(installing)
    expect(err).toContain(' 1 pass\n 0 fail\n')
    expect(code).toBe(0)
  })

  test('of two programs started at once one installs and both run', async () => {
    freshClone()
    const both = await Promise.all([run('rooms/main.ts'), run('rooms/main.ts')])
    expect(both.map((one) => one.out)).toEqual(['hello\n', 'hello\n'])
    expect(both.map((one) => one.err).sort()).toEqual(['', installing])
  })

  test('an install that was cut off is done anew', async () => {
    await run('rooms/main.ts')
    write('node_modules/.installed', 'unfinished')
    write('node_modules/half/package.json', '{}')
    expect(await run('rooms/main.ts')).toEqual({ code: 0, out: 'hello\n', err: installing })
    expect(existsSync(join(root, 'node_modules/half'))).toBe(false)
  })

  test('a package.json that bun.lock does not fit stops the program and says what to do', async () => {
    write('package.json', JSON.stringify({ ...manifest, dependencies: { greeting: 'file:./other' } }))
    const { code, out, err } = await run('rooms/main.ts')
    write('package.json', JSON.stringify(manifest))
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err.trimEnd().split('\n').at(-1)).toMatch(
      /^error: packages are not installed: .* Mend: .*run "bun install"/,
    )
  })
})

describe('bootstrap.mjs', () => {
  test('passes on arguments and the exit code', async () => {
    expect(await run('bootstrap.mjs', 'run', 'rooms/main.ts', '--to', 'all')).toMatchObject({
      out: 'hello --to all\n',
    })
    expect(await run('bootstrap.mjs', '-e', 'process.exit(7)')).toMatchObject({ code: 7 })
  })

  test.each([
    ['SIGTERM', 3],
    ['SIGINT', 4],
  ] as const)('passes on %s', async (signal, code) => {
    const child = Bun.spawn([bun, 'bootstrap.mjs', 'run', 'rooms/wait.ts'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    await child.stdout.getReader().read()
    child.kill(signal)
    expect(await child.exited).toBe(code)
  })

  test.each(['SIGKILL', 'SIGTERM'] as const)('npm that is ended by %s ends the program', async (signal) => {
    // What npm does: a script by a shell that stays above it.
    const script = `'${bun}' bootstrap.mjs run rooms/wait.ts; echo ended with $?`
    const npm = Bun.spawn(['sh', '-c', `sh -c "$1"; true`, 'npm', script], {
      cwd: root,
      env: { ...process.env, npm_lifecycle_event: 'wait' },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const out = npm.stdout.getReader()
    const text = async () => new TextDecoder().decode((await out.read()).value)
    expect(await text()).toBe('ready\n')
    npm.kill(signal)
    expect(await text()).toBe('ended with 3\n')
  })

  test('ends by the signal that ended the program', async () => {
    const child = Bun.spawn([bun, 'bootstrap.mjs', '-e', 'process.kill(process.pid, "SIGKILL")'], {
      cwd: root,
    })
    await child.exited
    expect(child.signalCode).toBe('SIGKILL')
  })

  test('a Bun that cannot be installed is one clear line and leaves nothing behind', async () => {
    write('package.json', JSON.stringify({ ...manifest, packageManager: 'bun@0.0.0' }))
    // Port 9 is the discard port: nothing answers there.
    const child = Bun.spawn([bun, 'bootstrap.mjs', 'run', 'rooms/main.ts'], {
      cwd: root,
      env: { ...process.env, BUN_CONFIG_REGISTRY: 'http://127.0.0.1:9/' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const [err, code] = await Promise.all([child.stderr.text(), child.exited])
    write('package.json', JSON.stringify(manifest))
    expect(code).toBe(1)
    expect(err.split('\n')[0]).toBe(
      `Installing Bun 0.0.0 into .tools/ (the Bun ${Bun.version} that is here is not used)`,
    )
    expect(err.trimEnd().split('\n').at(-1)).toMatch(
      /^error: Bun 0\.0\.0 is not installed: Bun ended with 1\. Expected .* Mend: /,
    )
    expect(readdirSync(join(root, '.tools')).filter((name) => name !== 'packages.lock')).toEqual([])
  })

  test('an unpinned Bun is refused', async () => {
    write('package.json', JSON.stringify({ ...manifest, packageManager: 'bun@latest' }))
    const { code, err } = await run('bootstrap.mjs', 'run', 'rooms/main.ts')
    write('package.json', JSON.stringify(manifest))
    expect({ code, err }).toEqual({
      code: 1,
      err: 'error: "packageManager" in package.json is "bun@latest". Expected an exact version like "bun@1.2.3".\n',
    })
    expect(existsSync(join(root, '.tools/bun-latest'))).toBe(false)
  })
})
