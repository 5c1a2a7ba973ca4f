/** Emulator, receiver and sender as local processes of this machine: nothing but Bun is needed. */
import { throughEmulator } from '../../emulator/client/http.ts'
import { localImages, startEmulator } from '../../emulator/emulator.ts'
import { createEmulatedTarget } from '../emulated.ts'
import type { Target } from '../target.ts'

export async function embeddedTarget(): Promise<Target> {
  const emulator = await startEmulator(
    { port: 0 },
    // Given by us, so that they come before images that an engine may have under these names.
    { images: localImages(), log: (line) => console.error(line) },
  )
  const { project, region } = emulator.config
  return createEmulatedTarget({
    name: 'embedded: local processes',
    project,
    region,
    fetch: throughEmulator(emulator.url),
    control: emulator.url,
    close: () => emulator.close(),
  })
}
