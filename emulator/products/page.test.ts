import { afterAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import { openYard } from './builds.fixture.ts'
import { catalogue } from './catalogue.ts'
import { apisPage } from './page.ts'

const yard = await openYard()
afterAll(() => yard.crash())

test('docs/apis.md says what is served, and nothing else', async () => {
  const file = join(import.meta.dir, '../../docs/apis.md')
  const page = apisPage(catalogue, yard.apis.routes)
  if (process.env.UPDATE_APIS_PAGE) await Bun.write(file, page)
  // Told apart here by lines: UPDATE_APIS_PAGE=1 writes the page anew.
  expect((await Bun.file(file).text()).split('\n')).toEqual(page.split('\n'))
})

test('each product says what it serves and what not, and serves something', () => {
  for (const { name, serves, leavesOut } of catalogue) {
    expect(serves.length).toBeGreaterThan(0)
    expect(leavesOut.length).toBeGreaterThan(0)
    expect(yard.apis.routes.some(({ product }) => product === name)).toBe(true)
  }
})
