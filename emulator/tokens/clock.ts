/** The time, in milliseconds since the epoch. Everything that asks for the time takes one of these. */
export type Clock = () => number

export const systemClock: Clock = () => Date.now()

/** A clock that a test may put forward. */
export interface AdjustableClock {
  readonly now: Clock
  /** Lets so many milliseconds pass at once. */
  advance(milliseconds: number): void
  /** Takes every advance back. */
  reset(): void
}

export function adjustableClock(base: Clock): AdjustableClock {
  let ahead = 0
  return {
    now: () => base() + ahead,
    advance: (milliseconds) => {
      ahead += milliseconds
    },
    reset: () => {
      ahead = 0
    },
  }
}

/** Whole seconds since the epoch, as JWT claims count. */
export function seconds(now: number): number {
  return Math.floor(now / 1000)
}
