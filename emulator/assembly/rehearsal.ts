/** What a test asks of a running emulator: time passing, a fresh start. And time as it passes by itself. */
import type { Rehearsal } from '../control/rehearsal.ts'
import type { Products } from '../products/products.ts'
import type { ObjectStore } from '../state/objects.ts'
import type { Services, SigningKeys, Timed } from '../state/parts.ts'
import type { State } from '../state/state.ts'
import type { AdjustableClock } from '../tokens/clock.ts'
import type { Documents } from './documents.ts'
import type { Part } from './started.ts'

/** How often it is looked whether a signing key has served its time. Milliseconds. */
const ROTATION_CHECK = 60_000

/** Calls back every so many milliseconds, until the returned function is called. */
export type Repeat = (work: () => void, interval: number) => () => void

export interface RehearsalOptions {
  readonly state: State
  readonly time: AdjustableClock
  readonly products: Pick<Products, 'idle'>
  readonly objects: Pick<ObjectStore, 'tidy'>
  readonly documents: Documents
}

export function createRehearsal({ state, time, products, objects, documents }: RehearsalOptions): Rehearsal {
  return {
    async advance(milliseconds) {
      time.advance(milliseconds)
      await state.keys.rotateWhenDue(time.now())
    },
    async reset() {
      await deleteServices(state, documents)
      await products.idle()
      time.reset()
      state.reset()
      await objects.tidy()
      await documents.apply()
    },
  }
}

/** By Google's call, which ends what they run. */
async function deleteServices({ services }: Services, { google }: Documents): Promise<void> {
  for (const { project, name, region } of services.list()) {
    const path = `/apis/serving.knative.dev/v1/namespaces/${project}/services/${name}`
    await google.request('DELETE', `${region}-run.googleapis.com`, path)
  }
}

/** Resolves once there are keys to sign with; from then on they are changed when their time has come. */
export async function startRotation(
  { keys, clock }: SigningKeys & Timed,
  repeat: Repeat = systemRepeat,
  log: (line: string) => void,
): Promise<Part> {
  await keys.rotateWhenDue(clock())
  const stop = repeat(() => {
    keys.rotateWhenDue(clock()).catch((error: unknown) => log(`key rotation failed: ${String(error)}`))
  }, ROTATION_CHECK)
  return { close: stop }
}

function systemRepeat(work: () => void, interval: number): () => void {
  const timer = setInterval(work, interval)
  timer.unref() // it keeps nothing running
  return () => clearInterval(timer)
}
