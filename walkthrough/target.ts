/** What the acts run against. */
import type { Change, ServiceRole } from './acts.ts'

export interface Answer {
  readonly status: number
  readonly body: string
}

export interface Target {
  /** How the target is named on the screen. */
  readonly name: string
  /** Takes back what an earlier run left, so that the story starts at its beginning. */
  prepare(): Promise<void>
  /** Makes one change, and says in one line what was done. */
  apply(change: Change): Promise<string>
  /** `GET /` on a service. Where a change takes time to be felt, it is asked again until the answer is as expected, for a while. */
  call(service: ServiceRole, expected?: Answer): Promise<Answer>
  /** Why the last call to the receiver ended as it did, where the target can tell. */
  why(): Promise<string>
  close(): Promise<void>
}
