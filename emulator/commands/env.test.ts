import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { X509Certificate } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { type Emulator, startEmulator } from '../emulator.ts'

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url))

let emulator: Emulator
let home: string
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'invoker-env-'))
  emulator = await startEmulator({ port: 0 })
})
afterAll(async () => {
  await emulator?.close()
  rmSync(home, { recursive: true, force: true })
})

const BASE = { PATH: process.env.PATH ?? '', SHELL: '/bin/bash' }

async function spawn(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = Bun.spawn([...argv], {
    env: { ...BASE, HOME: home, ...env },
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

function env(...flags: string[]) {
  return spawn([process.execPath, MAIN, 'env', '--url', emulator.url, ...flags])
}

/** The command line as a shell would be given it. */
function line(...flags: string[]): string {
  return [process.execPath, MAIN, 'env', '--url', emulator.url, ...flags].map((word) => `'${word}'`).join(' ')
}

/** All variables of bash after a script, but for those that bash itself makes. */
async function variablesAfter(script: string, variables: Readonly<Record<string, string>> = {}) {
  const { stdout, stderr, exitCode } = await spawn(['bash', '-c', `${script}\nenv -0`], variables)
  if (exitCode !== 0) throw new Error(stderr)
  const entries = stdout
    .split('\0')
    .filter(Boolean)
    .map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)])
  const { _: _last, SHLVL: _level, PWD: _folder, ...rest } = Object.fromEntries(entries)
  return rest as Record<string, string>
}

describe('in a shell', () => {
  test('standard output is for the shell alone, and what a person reads goes beside it', async () => {
    const { stdout, stderr, exitCode } = await env()
    expect(exitCode).toBe(0)
    for (const each of stdout.trimEnd().split('\n')) expect(each).toMatch(/^(export \w+='.*'|unset \w+)$/)
    expect(stderr).toContain(emulator.url)
    expect(stderr).toContain('--unset')
  })

  test('--unset takes everything back, restoring what was set before', async () => {
    const before = {
      SSL_CERT_FILE: '/etc/some/roots.pem',
      http_proxy: "http://it's:3128",
      GOOGLE_APPLICATION_CREDENTIALS: '/home/me/key.json',
      CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN: 'http://elsewhere/',
    }
    const untouched = await variablesAfter('', before)
    const pointed = await variablesAfter(`eval "$(${line()})"`, before)
    expect(pointed.http_proxy).toBe(emulator.url)
    expect(pointed.GOOGLE_APPLICATION_CREDENTIALS).toBe(
      join(pointed.CLOUDSDK_CONFIG ?? '', 'application_default_credentials.json'),
    )
    expect(pointed.CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN).toBeUndefined()
    expect(await variablesAfter(`eval "$(${line()})"; eval "$(${line('--unset')})"`, before)).toEqual(
      untouched,
    )
  })

  test('one way after the other leaves nothing of the first, and --unset goes back to the very beginning', async () => {
    const override = await variablesAfter(`eval "$(${line('--mode', 'override')})"`)
    const both = `eval "$(${line()})"; eval "$(${line('--mode', 'override')})"`
    const again = await variablesAfter(both)
    const { _INVOKER_ENV_BEFORE: _one, ...expected } = override
    const { _INVOKER_ENV_BEFORE: _other, ...seen } = again
    expect(seen).toEqual(expected)
    expect(await variablesAfter(`${both}; eval "$(${line('--unset')})"`)).toEqual(await variablesAfter(''))
  })

  test('--unset where nothing was set does nothing, and needs no emulator', async () => {
    const { stdout, exitCode } = await spawn([
      process.execPath,
      MAIN,
      'env',
      '--unset',
      '--url',
      'http://127.0.0.1:1',
    ])
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 0 })
  })

  test('the emulator itself may be started in such a shell', async () => {
    const { stderr } = await spawn([
      'bash',
      '-c',
      `eval "$(${line()})"; '${process.execPath}' '${MAIN}' --project x`,
    ])
    expect(stderr).toContain('--project')
    expect(stderr).not.toContain('is not a setting')
  })
})

describe('where the emulator is', () => {
  const argv = [process.execPath, MAIN, 'env']

  test("without --url it is at the port that the emulator's own variable names", async () => {
    const { stdout } = await spawn(argv, { INVOKER_PORT: new URL(emulator.url).port })
    expect(stdout).toContain(`export http_proxy='${emulator.url}'\n`)
  })

  test('--url wins over it', async () => {
    const { stdout } = await spawn([...argv, '--url', emulator.url], { INVOKER_PORT: '1' })
    expect(stdout).toContain(`export http_proxy='${emulator.url}'\n`)
  })

  test('a port that cannot be is named by its variable', async () => {
    const { stderr, exitCode } = await spawn(argv, { INVOKER_PORT: '65536' })
    expect(exitCode).toBe(1)
    expect(stderr).toContain('INVOKER_PORT')
  })
})

describe('each shell in its own language', () => {
  test('fish and PowerShell', async () => {
    expect((await env('--shell', 'fish')).stdout).toContain(`set -gx http_proxy '${emulator.url}'\n`)
    expect((await env('--shell', 'powershell')).stdout).toContain(`$env:http_proxy = '${emulator.url}'\n`)
    expect((await env('--shell', 'zsh')).stdout).toContain(`export http_proxy='${emulator.url}'\n`)
  })

  test('$SHELL says which', async () => {
    const argv = [process.execPath, MAIN, 'env', '--url', emulator.url]
    expect((await spawn(argv, { SHELL: '/usr/bin/fish' })).stdout).toStartWith('set -gx ')
    expect((await spawn(argv, { SHELL: '/bin/dash' })).stdout).toStartWith('export ')
  })
})

describe('the files that it names', () => {
  test('the certificate is that of the emulator, and the bundle trusts everything that was trusted before too', async () => {
    const own = join(home, 'corporate.pem')
    const [corporate = ''] = rootCertificates
    await Bun.write(own, corporate)
    const set = await variablesAfter(`eval "$(${line('--dir', join(home, 'dir'))})"`, { SSL_CERT_FILE: own })
    const certificate = readFileSync(set.NODE_EXTRA_CA_CERTS ?? '', 'utf8')
    expect(certificate).toBe(await (await fetch(`${emulator.url}/_emulator/ca.pem`)).text())
    expect(new X509Certificate(certificate).ca).toBe(true)
    const bundle = readFileSync(set.SSL_CERT_FILE ?? '', 'utf8')
    for (const each of [certificate, corporate, ...rootCertificates]) expect(bundle).toContain(each.trim())
    expect(bundle).not.toContain('PRIVATE')
  })

  test('nobody else can read the folder, and another run finds the same one', async () => {
    const first = await variablesAfter(`eval "$(${line()})"`)
    const second = await variablesAfter(`eval "$(${line()})"`)
    expect(first.CLOUDSDK_CONFIG).toBe(second.CLOUDSDK_CONFIG ?? '')
    expect(first.CLOUDSDK_CONFIG).toStartWith(home)
    expect(statSync(first.CLOUDSDK_CONFIG ?? '').mode & 0o077).toBe(0)
  })

  test('another emulator has another configuration folder, and those of emulators long gone are removed', async () => {
    const other = await startEmulator({ port: 0 })
    try {
      const first = await variablesAfter(`eval "$(${line()})"`)
      const old = join(first.CLOUDSDK_CONFIG ?? '', '..')
      utimesSync(old, 1, 1)
      const second = await variablesAfter(`eval "$(${line('--url', other.url)})"`)
      expect(second.CLOUDSDK_CONFIG).not.toBe(first.CLOUDSDK_CONFIG)
      expect(existsSync(old)).toBe(false)
    } finally {
      await other.close()
    }
  })
})

describe('a mistake is one line, on standard error', () => {
  const mistake = async (...flags: string[]) => {
    const { stdout, stderr, exitCode } = await env(...flags)
    expect({ exitCode, lines: stderr.trimEnd().split('\n').length }).toEqual({ exitCode: 1, lines: 1 })
    // What a shell evaluates fails.
    expect(stdout).toEndWith('\nfalse\n')
    return stderr
  }

  test('no emulator answers', async () => {
    expect(await mistake('--url', 'http://127.0.0.1:1')).toContain(
      'no emulator answers at http://127.0.0.1:1',
    )
  })

  test('something else answers', async () => {
    const server = createServer((_request, response) => response.end('{}'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : undefined
    try {
      expect(await mistake('--url', `http://127.0.0.1:${port}`)).toContain('is not the emulator')
    } finally {
      server.close()
    }
  })

  describe('and the shell that evaluates it reaches nothing', () => {
    const failing = `'${process.execPath}' '${MAIN}' env --url http://127.0.0.1:1`

    test('eval fails, and says why', async () => {
      const { stdout, stderr } = await spawn(['bash', '-c', `eval "$(${failing})"; echo "$?"`])
      expect(stdout).toBe('1\n')
      expect(stderr).toContain('no emulator answers')
      const broken = await spawn(['bash', '-ec', `eval "$(${failing})"; echo 'it went on'`])
      expect([broken.stdout, broken.exitCode]).toEqual(['', 1])
    })

    test("gcloud has a folder with nobody in it and no way out, and other programs no credentials of this machine's user", async () => {
      const before = { CLOUDSDK_AUTH_ACCESS_TOKEN: 'ya29.real', CLOUDSDK_CONFIG: '/home/me/real' }
      const set = await variablesAfter(`eval "$(${failing})" || true`, before)
      expect(existsSync(set.CLOUDSDK_CONFIG ?? '')).toBe(false)
      expect(set.CLOUDSDK_CONFIG).toStartWith(home)
      expect(set.CLOUDSDK_PROXY_PORT).toBe('9')
      expect(set.CLOUDSDK_AUTH_ACCESS_TOKEN).toBeUndefined()
      expect(existsSync(set.GOOGLE_APPLICATION_CREDENTIALS ?? '')).toBe(false)
    })

    test('a shell that did reach one reaches nothing, and --unset goes back to the very beginning', async () => {
      const pointed = `eval "$(${line()})"; eval "$(${failing})" || true`
      expect((await variablesAfter(pointed)).http_proxy).toBeUndefined()
      expect(await variablesAfter(`${pointed}; eval "$(${line('--unset')})"`)).toEqual(
        await variablesAfter(''),
      )
    })

    test('in fish and PowerShell', async () => {
      const argv = [process.execPath, MAIN, 'env', '--url', 'http://127.0.0.1:1']
      expect((await spawn(argv, { SHELL: '/usr/bin/fish' })).stdout).toEndWith('\nfalse\n')
      expect((await spawn(argv, { SHELL: 'pwsh' })).stdout).toMatch(/\nthrow '[^']+'\n$/)
    })
  })

  test('a flag that is not known, or a value that cannot be', async () => {
    expect(await mistake('--intercept')).toContain('--intercept')
    expect(await mistake('--mode', 'both')).toContain('intercept, override')
    expect(await mistake('--shell', 'csh')).toContain('powershell')
    expect(await mistake('--url', 'localhost')).toContain('--url')
  })
})
