/** What every product here works on. */
import type { State } from '../state/state.ts'
import type { Log, RandomBytes } from './route.ts'

export interface Google {
  readonly state: State
  readonly random: RandomBytes
  readonly log: Log
}
