import { afterEach, beforeEach, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLedger } from './process-ledger.ts'

let parent: string
let child: Bun.Subprocess

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'ledger-test-'))
  child = Bun.spawn(['sleep', '60'])
})
afterEach(async () => {
  child.kill()
  await child.exited
  rmSync(parent, { recursive: true, force: true })
})

async function open(ended: number[] = []) {
  const end = (pid: number) => Promise.resolve(void ended.push(pid))
  const ledger = openLedger({ parent, end })
  await ledger.cleared
  return ledger
}

/** Makes a ledger look like that of an emulator that has been killed: its process number is a living one's by now. */
function orphan(folder: string) {
  writeFileSync(join(parent, folder, 'emulator'), `${process.pid} long ago`)
}

test('what an emulator that was killed has started is ended, and its folder goes', async () => {
  const first = await open()
  first.add(child.pid)
  const [folder = ''] = readdirSync(parent)
  orphan(folder)
  const ended: number[] = []
  await open(ended)
  expect(ended).toEqual([child.pid])
  expect(existsSync(join(parent, folder))).toBe(false)
})

test('what an emulator that runs has started is left alone', async () => {
  const first = await open()
  first.add(child.pid)
  const ended: number[] = []
  await open(ended)
  expect(ended).toEqual([])
  expect(readdirSync(parent)).toHaveLength(2)
})

test('another process that has come to the number of one that is gone is left alone', async () => {
  const first = await open()
  first.add(child.pid)
  const [folder = ''] = readdirSync(parent)
  orphan(folder)
  const entry = join(parent, folder, String(child.pid))
  writeFileSync(entry, `${readFileSync(entry, 'utf8')}1`)
  const ended: number[] = []
  await open(ended)
  expect(ended).toEqual([])
})

test('what has ended by itself is struck out, and nothing is left of an emulator that closes', async () => {
  const ledger = await open()
  ledger.add(child.pid)
  const [folder = ''] = readdirSync(parent)
  ledger.remove(child.pid)
  expect(readdirSync(join(parent, folder)).sort()).toEqual(['emulator', 'home'])
  ledger.close()
  expect(readdirSync(parent)).toEqual([])
})
