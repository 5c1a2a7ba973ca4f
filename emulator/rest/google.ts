/** What every product here works on. */
import type { Operations } from '../state/parts.ts'
import type { CallerState } from './caller.ts'
import type { Log, RandomBytes } from './route.ts'

/** What any product asks of the state: who calls, what they may do, and the operations that it answers with. */
export type RestState = CallerState & Operations

/** `S` is what a product asks of the state beside that. */
export interface Google<S = unknown> {
  readonly state: RestState & S
  readonly random: RandomBytes
  readonly log: Log
}
