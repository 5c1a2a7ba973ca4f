/** The tutorial's own command lines, typed as they stand there: both ways to reach the emulator. */
import { afterAll, expect } from 'bun:test'
import { cleanUp, emulator, gcloudTest, MODES, PATIENCE, Shell } from './gcloud.fixture.ts'
import { Images, tutorial, writeSources } from './transcript.fixture.ts'

afterAll(cleanUp, PATIENCE)

for (const mode of MODES) {
  gcloudTest(`the tutorial's command lines print what the tutorial prints (${mode})`, async () => {
    const images = new Images()
    const google = await emulator({ image: images.commands })
    const shell = await Shell.open(google.url, mode)
    writeSources(shell.folder)
    for (const step of tutorial()) {
      if (step.kind === 'change') images.changeSender()
      else {
        const printed = await shell.ok(step.line)
        if (step.prints !== undefined) expect(printed).toBe(step.prints)
      }
    }
  })
}
