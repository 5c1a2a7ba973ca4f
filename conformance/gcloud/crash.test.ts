/** The tutorial goes on over an emulator that is killed and started again: nothing that was acknowledged is lost. */
import { afterAll, expect } from 'bun:test'
import { once } from 'node:events'
import { watch } from 'node:fs'
import { cleanUp, gcloudTest, Killable, PATIENCE, Shell } from './gcloud.fixture.ts'
import { Images, tutorial, writeSources } from './transcript.fixture.ts'

afterAll(cleanUp, PATIENCE)

gcloudTest(
  'killed before every line of the tutorial and in the middle of a deployment, the tutorial goes on',
  async () => {
    const images = new Images()
    const google = new Killable(
      Object.entries(images.commands).flatMap(([name, command]) => ['--image', `${name}=${command}`]),
    )
    await google.start()
    const shell = await Shell.open(google.url, 'intercept')
    writeSources(shell.folder)

    let interrupted = false
    for (const step of tutorial()) {
      if (step.kind === 'change') {
        images.changeSender()
        continue
      }
      if (step.line.includes('run deploy sending-service') && !interrupted) {
        interrupted = true
        await killDuring(google, images.folder, shell.run(step.line))
      } else await google.kill()
      await google.start()
      const printed = await shell.ok(step.line)
      if (step.prints !== undefined) expect(printed).toBe(step.prints)
    }
    expect(interrupted).toBe(true)
  },
)

/** Kills the emulator when the command has made it start a revision. What becomes of the command does not matter. */
async function killDuring(google: Killable, folder: string, command: Promise<unknown>): Promise<void> {
  const watcher = watch(folder)
  await once(watcher, 'change')
  watcher.close()
  await google.kill()
  // gcloud may try again, and is answered.
  await google.start()
  await command
  await google.kill()
}
