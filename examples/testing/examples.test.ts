/** The README's examples are the files of this folder, and run as they stand. The one with containers runs in emulator/testing. */
import { expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const README = join(import.meta.dir, '../../README.md')

test.each(['in-process.ts', 'container.ts'])('the README shows %s as it is, or not at all', (name) => {
  const blocks = existsSync(README)
    ? [...readFileSync(README, 'utf8').matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, block]) => block)
    : []
  const source = readFileSync(join(import.meta.dir, name), 'utf8')
  const [imported] = /(?:startEmulator|CloudRunEmulatorContainer)/.exec(source) ?? []
  const shown = blocks.filter(
    (block) => block?.includes(imported ?? '') && block.includes("from 'invoker/testing'"),
  )
  for (const block of shown) expect(block).toBe(source)
})

test('the example in this process passes under bun test', async () => {
  const child = Bun.spawn([process.execPath, 'test', './examples/testing/in-process.ts'], {
    cwd: join(import.meta.dir, '../..'),
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const output = await new Response(child.stderr).text()
  expect(output).toContain(' 2 pass\n 0 fail')
  expect(await child.exited).toBe(0)
}, 30_000)
