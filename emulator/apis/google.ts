/** What every API here works on. */
import type { State } from '../state/state.ts'
import type { Log, RandomBytes } from './route.ts'
import type { Deployer } from './run/deployer.ts'

export interface Google {
  readonly state: State
  readonly deployer: Deployer
  readonly random: RandomBytes
  readonly log: Log
}
