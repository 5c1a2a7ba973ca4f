import { afterAll, afterEach, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  callApi,
  computeToken,
  endEmulators,
  manifest,
  SERVICES,
  type Spawned,
  signIn,
  spawnEmulator,
  visit,
} from '../emulator.fixture.ts'

setDefaultTimeout(20_000)

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url))
/** A container that answers with its process id. */
const WHO = `pid=exec '${process.execPath}' -e 'Bun.serve({ port: process.env.PORT, fetch: () => new Response(String(process.pid)) })'`

// What an emulator writes down of its processes lies there: nothing of another one's is touched.
const folder = mkdtempSync(join(tmpdir(), 'invoker-down-'))
const pids: number[] = []
afterEach(endEmulators)
afterAll(() => {
  for (const pid of pids.filter(isAlive)) process.kill(pid, 'SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function down(url: string) {
  const child = Bun.spawn([process.execPath, MAIN, 'down', '--url', url], {
    env: { PATH: process.env.PATH ?? '', TMPDIR: folder },
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

/** An emulator that runs one service, and the process of that. */
async function withService(): Promise<{ emulator: Spawned; url: string; pid: number }> {
  const emulator = spawnEmulator(['--image', WHO], { TMPDIR: folder })
  const url = await emulator.url()
  await emulator.match(/state .*\n/)
  const { accessToken } = await signIn(url)
  await callApi(url, accessToken, 'POST', SERVICES, manifest('who', { image: 'pid' }))
  const pid = Number((await visit(url, 'who', await computeToken(url, 'who'))).body)
  pids.push(pid)
  return { emulator, url, pid }
}

test('ends the emulator, with exit code 0, and what it has started', async () => {
  const { emulator, url, pid } = await withService()
  expect(await down(url)).toEqual({
    stdout: `The emulator at ${url} has ended.\n`,
    stderr: '',
    exitCode: 0,
  })
  expect(await emulator.process.exited).toBe(0)
  expect(isAlive(pid)).toBe(false)
})

test('where none answers, ends what one that was killed has left', async () => {
  const { emulator, url, pid } = await withService()
  await emulator.crash()
  expect(isAlive(pid)).toBe(true)
  const { stdout, exitCode } = await down(url)
  expect(stdout).toMatch(/^No emulator answers at .* and ended: 1 process and \d+ containers?\.\n$/)
  expect(exitCode).toBe(0)
  expect(isAlive(pid)).toBe(false)
  expect(readdirSync(folder).filter((name) => name.startsWith('invoker-processes-'))).toEqual([])
})

test('another server is not ended: one line, exit 1', async () => {
  const other = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('hello') })
  const { stderr, exitCode } = await down(other.url.origin)
  expect([stderr, exitCode]).toEqual([
    `emulator down: what answers at ${other.url.origin} is not the emulator. Say where it is with --url.\n`,
    1,
  ])
  await other.stop(true)
})
