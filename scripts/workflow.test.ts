/** .github/workflows/ci.yml against .ci/run, which is what has been tried. */
import { expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'

const ROOT = join(import.meta.dir, '..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

const workflow = z.object({
  jobs: z.record(
    z.string(),
    z.object({ steps: z.array(z.object({ run: z.string().optional(), uses: z.string().optional() })) }),
  ),
})
const { jobs } = workflow.parse(parse(read('.github/workflows/ci.yml')))
const runs = (job: string) => jobs[job]?.steps.flatMap(({ run }) => run ?? []) ?? []

/** Its lines `step NAME LIMIT COMMAND…`, without what prepares a bare Debian. */
const own = [...read('.ci/run').matchAll(/\bstep (?:'[^']+'|\w+) \d+m ((?:node|npm|docker) [^\n;]+)/g)].map(
  ([, command = '']) => command,
)

test('on Linux CI runs what .ci/run runs, in its order', () => {
  expect(own).toContain('npm test')
  expect(runs('linux')).toEqual(own)
})

test('elsewhere it runs some of that, and tests of rooms that are there', () => {
  const [tests = '', ...others] = runs('elsewhere').reverse()
  expect(own).toEqual(expect.arrayContaining(others))
  const [, folders = ''] = /^node bootstrap\.mjs test (.+)$/.exec(tests) ?? []
  expect(folders.split(' ').filter((folder) => !existsSync(join(ROOT, folder)))).toEqual([])
})
