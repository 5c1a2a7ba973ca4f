/** `gcloud builds submit`: sources of any size arrive whole, and the build's log is on the screen as it comes. */
import { afterAll, expect } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { callApi, signIn } from '../../emulator/emulator.fixture.ts'
import { cleanUp, emulator, gcloudTest, PATIENCE, REVISION, Shell } from './gcloud.fixture.ts'

afterAll(cleanUp, PATIENCE)

const MIB = 2 ** 20

gcloudTest(
  'facts gcloud 4.5, 4.6: a source of 9 MiB is uploaded in one session; the log is streamed',
  async () => {
    const google = await emulator({ image: { revision: REVISION } })
    const shell = await (await Shell.open(google.url, 'intercept')).begin()
    // Random, or the archive that gcloud makes would be a small one.
    writeFileSync(join(shell.folder, 'large'), randomBytes(9 * MIB))
    writeFileSync(join(shell.folder, 'Dockerfile'), 'FROM scratch\nCOPY large /\n')
    const { exitCode, stdout, stderr } = await shell.run(
      'gcloud builds submit --tag gcr.io/demo-project/revision',
    )
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('Uploading tarball')])
    expect(stdout).toContain(
      'gcr.io/demo-project/revision is run as a local process here: nothing was built.',
    )
    expect(stdout).toMatch(/SUCCESS\s*$/)

    const { accessToken } = await signIn(google.url)
    const { body } = await callApi(
      google.url,
      accessToken,
      'GET',
      '/storage/v1/b/demo-project_cloudbuild/o?prefix=source/',
    )
    expect(body.items).toHaveLength(1)
    expect(Number(body.items[0].size)).toBeGreaterThan(9 * MIB)
    expect(body.items[0].name).toEndWith('.tgz')
  },
)

gcloudTest('where nothing can be built, it fails and says what to do', async () => {
  const google = await emulator()
  const shell = await (await Shell.open(google.url, 'intercept')).begin()
  writeFileSync(join(shell.folder, 'Dockerfile'), 'FROM gcr.io/demo-project/nothing-of-this-name:none\n')
  const { exitCode, stdout, stderr } = await shell.run('gcloud builds submit --tag gcr.io/demo-project/other')
  expect(exitCode).toBe(1)
  expect(stdout + stderr).toMatch(/no Docker engine answers|nothing-of-this-name/)
  expect(stderr).toContain('build')
})
