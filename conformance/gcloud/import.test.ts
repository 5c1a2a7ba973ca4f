/** `emulator export` prints what the real gcloud prints, and `emulator import --live` takes it from the real gcloud. */
import { afterAll, expect } from 'bun:test'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cleanUp, emulator, gcloudTest, PATIENCE, Shell } from './gcloud.fixture.ts'

afterAll(cleanUp, PATIENCE)

const MAIN = fileURLToPath(new URL('../../emulator/main.ts', import.meta.url))
const MEMBER = 'user:somebody@example.com'

gcloudTest(
  'what is exported is what gcloud prints, to the byte; what gcloud prints is imported',
  async () => {
    const [source, target] = [await emulator(), await emulator()]
    const shell = await (await Shell.open(source.url, 'intercept')).begin()
    await shell.ok(
      `gcloud run deploy orders --image gcr.io/demo-project/receiving-service --no-allow-unauthenticated --set-env-vars 'A=1,TEXT=some words' --ingress internal`,
    )
    await shell.ok(
      `gcloud run services add-iam-policy-binding orders --member=${MEMBER} --role=roles/run.invoker`,
    )

    const emulatorCommand = `'${process.execPath}' '${MAIN}'`
    await shell.ok(`${emulatorCommand} export --url ${source.url} --dir documents`)
    const exported = async (name: string) =>
      (await Bun.file(join(shell.folder, 'documents', name)).text()).trimEnd()
    const [service, policy, projectPolicy] = await Promise.all([
      shell.ok('gcloud run services describe orders --format=export'),
      shell.ok('gcloud run services get-iam-policy orders --format=yaml'),
      shell.ok('gcloud projects get-iam-policy demo-project --format=yaml'),
    ])
    expect(await exported('orders.yaml')).toBe(service)
    expect(await exported('orders.policy.yaml')).toBe(policy)
    expect(await exported('policy.yaml')).toBe(projectPolicy)

    // To gcloud the first emulator is the cloud here, so what `emulator env` has set must not be taken back.
    await shell.ok(
      `env -u _INVOKER_ENV_BEFORE ${emulatorCommand} import --live --project demo-project --url ${target.url}`,
    )
    const [made] = target.state.services.list()
    expect(made).toMatchObject({
      name: 'orders',
      policy: { bindings: [{ role: 'roles/run.invoker', members: [MEMBER] }] },
    })
  },
)
