/** The examples of docs/testing.md are the files of this folder, and run as they stand. The one with containers runs in emulator/testing. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const PAGE = join(import.meta.dir, '../../docs/testing.md')

test.each(['in-process.ts', 'container.ts'])('docs/testing.md shows %s as it is', (name) => {
  const blocks = [...readFileSync(PAGE, 'utf8').matchAll(/^```ts .*\n([\s\S]*?)^```/gm)].map(
    ([, block]) => block,
  )
  const source = readFileSync(join(import.meta.dir, name), 'utf8')
  expect(blocks).toContain(source)
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
