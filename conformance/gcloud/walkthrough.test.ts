/** The walkthrough's five acts, driven by the real gcloud. */
import { afterAll, expect } from 'bun:test'
import { fileURLToPath } from 'node:url'
import { cleanUp, emulator, gcloudTest, PATIENCE, type Ran, Shell } from './gcloud.fixture.ts'

afterAll(cleanUp, PATIENCE)

const MAIN = fileURLToPath(new URL('../../walkthrough/main.ts', import.meta.url))
const WALKTHROUGH = `'${process.execPath}' '${MAIN}' --target gcloud --json`

function expectFiveActs({ exitCode, stdout, stderr }: Ran): void {
  const acts = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
  expect({ outcomes: acts.map(({ status, ok }) => [status, ok]), stderr }).toMatchObject({
    outcomes: [
      [200, true],
      [403, true],
      [200, true],
      [403, true],
      [200, true],
    ],
  })
  expect(acts[3].why).toContain('run.routes.invoke')
  expect(exitCode).toBe(0)
}

gcloudTest('the five acts come out as the tutorial says (override)', async () => {
  const google = await emulator()
  const shell = await Shell.open(google.url, 'override')
  expect(await shell.fails(WALKTHROUGH)).toContain('gcloud auth login')
  await shell.begin()
  expectFiveActs(await shell.run(WALKTHROUGH))
})

gcloudTest(
  "somebody else's service is left alone, its own of an earlier run is removed (intercept)",
  async () => {
    const google = await emulator()
    const shell = await (await Shell.open(google.url, 'intercept')).begin()
    const services = () => shell.ok("gcloud run services list --format='value(metadata.name)'")
    await shell.ok(
      'gcloud run deploy receiving-service --image gcr.io/demo-project/receiving-service --no-allow-unauthenticated',
    )
    expect(await shell.fails(WALKTHROUGH)).toContain(
      'service receiving-service that the walkthrough did not make',
    )
    expect(await services()).toBe('receiving-service')

    await shell.ok('gcloud run services update receiving-service --update-labels=made-by=invoker-walkthrough')
    const ran = await shell.run(WALKTHROUGH)
    expect(ran.stderr).toContain('Removing service receiving-service of an earlier run')
    expectFiveActs(ran)
  },
)
