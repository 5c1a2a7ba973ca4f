/**
 * How fast, beside what: every row is run in rounds that alternate with what it stands beside, in one process, so that a slow
 * moment of the machine falls on both. What is kept of a row is the ratio of the two medians, which other machines share.
 */

/** One thing whose speed is kept. */
export interface Row {
  /** What is done, such as `a deployment at 10,000 services`; its name in docs/performance.md. */
  readonly name: string
  /** Of the times shown. */
  readonly unit: Unit
  /** What the same is done beside, such as `at 10 services`. None: the time itself is held to the aim. */
  readonly beside?: string
  readonly aim: Aim
  /** Rounds before those that count. Default 3. */
  readonly warmUp?: number
  /** The most rounds that count; a row that takes long says so. */
  readonly most?: number
  /** Why it cannot be measured on this machine, if so. */
  readonly missing?: () => string | undefined
  /** Makes ready what is run. */
  readonly prepare: () => Prepared | Promise<Prepared>
}

/** A time; or what the work itself counts and returns. */
export type Unit = 's' | 'ms' | 'µs' | 'requests/s' | 'MB'

/** Of the ratio of the row's median to the other's; of the median itself, in the row's unit, where it stands alone. */
export type Aim = { readonly atMost: number } | { readonly atLeast: number }

export interface Prepared {
  readonly run: Work
  /** There if, and only if, the row says what it stands beside. */
  readonly beside?: Work
  /** How often the work is done in a round; what is too short to be timed once is done often. Default 1. */
  readonly times?: number
  readonly close?: () => void | Promise<void>
}

/** In a row whose unit is no time it returns how many there were. */
export type Work = () => unknown

export interface Result {
  readonly name: string
  readonly unit: Unit
  /** Median time of one run, in `unit`. */
  readonly median: number
  readonly beside?: { readonly name: string; readonly median: number }
  /** What is held to the aim: the ratio of the medians, or the median. */
  readonly measured: number
  readonly aim: Aim
  readonly reached: boolean
}

/** Milliseconds, from any moment on. */
export type Now = () => number

const WARM_UP = 3
const PER_MILLISECOND: Readonly<Partial<Record<Unit, number>>> = { s: 0.001, ms: 1, µs: 1000 }

/** Runs a row. `now` is the clock that times it. */
export async function measure(row: Row, rounds: number, now: Now = () => performance.now()): Promise<Result> {
  const prepared = await row.prepare()
  try {
    const { run, beside, times = 1 } = prepared
    if ((beside === undefined) !== (row.beside === undefined))
      throw new Error(`${row.name}: what it stands beside is either named and run, or neither`)
    const own: number[] = []
    const others: number[] = []
    const { warmUp = WARM_UP } = row
    const counting = Math.min(rounds, row.most ?? rounds)
    for (let round = -warmUp; round < counting; round += 1) {
      const both = [{ work: run, into: own }, ...(beside ? [{ work: beside, into: others }] : [])]
      // Whoever comes second finds the caches of the first.
      for (const { work, into } of round % 2 === 0 ? both : both.reverse()) {
        const value = await valueFrom(row, work, times, now)
        if (round >= 0) into.push(value)
      }
    }
    return resultOf(row, median(own), beside && median(others))
  } finally {
    await prepared.close?.()
  }
}

async function valueFrom({ name, unit }: Row, work: Work, times: number, now: Now): Promise<number> {
  const per = PER_MILLISECOND[unit]
  if (per !== undefined) return (await timed(work, times, now)) * per
  const counted = await work()
  if (typeof counted === 'number') return counted
  throw new Error(`${name}: its work counts ${unit} and returned none`)
}

async function timed(work: Work, times: number, now: Now): Promise<number> {
  const start = now()
  for (let time = 0; time < times; time += 1) {
    const done = work()
    // A turn of the event loop for what does not wait would be most of what is timed.
    if (done instanceof Promise) await done
  }
  return (now() - start) / times
}

function resultOf({ name, unit, beside, aim }: Row, own: number, other: number | undefined): Result {
  const measured = other === undefined ? own : own / other
  return {
    name,
    unit,
    median: own,
    ...(beside !== undefined && other !== undefined && { beside: { name: beside, median: other } }),
    measured,
    aim,
    reached: 'atMost' in aim ? measured <= aim.atMost : measured >= aim.atLeast,
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const [low = Number.NaN, high = low] = sorted.slice(Math.ceil(middle) - 1, Math.floor(middle) + 1)
  return (low + high) / 2
}

/** A machine is never twice the same: less than a third is not told from chance. */
const LOSS = 2 / 3

/** Is a ratio worse than the one that is kept by more than a third? Times alone are of one machine, and are not compared. */
export function hasFallen({ beside, measured, aim }: Result, kept: number | undefined): boolean {
  if (beside === undefined || kept === undefined) return false
  return 'atMost' in aim ? kept / measured < LOSS : measured / kept < LOSS
}
