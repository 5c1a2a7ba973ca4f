/** An emulator and services in containers: on their network Google's names lead to the emulator. */
import { byName } from '../../emulator/client/http.ts'
import { createEmulatedTarget } from '../emulated.ts'
import type { Target } from '../target.ts'

export async function composeTarget(): Promise<Target> {
  const control = process.env.EMULATOR_URL ?? 'http://emulator'
  return createEmulatedTarget({
    name: 'compose: containers',
    project: 'demo-project',
    region: 'us-central1',
    fetch: byName,
    control,
  })
}
