/** The time, in milliseconds since the epoch. Everything that asks for the time takes one of these. */
export type Clock = () => number

export const systemClock: Clock = () => Date.now()

/** Whole seconds since the epoch, as JWT claims count. */
export function seconds(now: number): number {
  return Math.floor(now / 1000)
}
