/** What emulators that were killed have left on this machine. */
import { STOP_TIME } from './contract.ts'
import { openDocker, removeLeftovers } from './docker-engine.ts'
import { endGroup } from './process.ts'
import { endLeftovers } from './process-ledger.ts'

export interface Leftovers {
  readonly processes: number
  readonly containers: number
}

/** No data folder has this name, so only containers whose emulator's process is gone are taken. */
const NO_OWNER = ''

/** Ends and removes it. What belongs to an emulator that runs is left alone; where no engine answers there are no containers. */
export async function endAllLeftovers(): Promise<Leftovers> {
  const [processes, containers] = await Promise.all([
    endLeftovers({ end: (pid) => endGroup(pid, STOP_TIME) }),
    openDocker().then(
      (docker) => removeLeftovers(docker, NO_OWNER).catch(() => 0),
      () => 0,
    ),
  ])
  return { processes, containers }
}
