/** What was decided: filtered, one by its id, and followed as it comes. */
import type { Context, Hono } from 'hono'
import { type SSEStreamingApi, streamSSE } from 'hono/streaming'
import { z } from 'zod'
import { type Decision, type ExplainedDecision, why } from '../decision/decision.ts'
import type { RoomEnv } from '../front/request.ts'
import type { Decisions } from '../state/parts.ts'
import { systemTimer, type Timer } from '../wire/timer.ts'

export interface DecisionRoutesOptions {
  /** What lets a follower know now and then that nothing has come. Default `setTimeout`. */
  readonly timer?: Timer
}

/** How many are told where nobody says. */
const USUAL = 100
/** Between two signs of life. Milliseconds. */
const SIGN_OF_LIFE = 15_000

/** What may be asked for: names are the query's. Each text says what is expected. */
const filters = z.strictObject({
  service: z.string().min(1, 'the name of a service').optional(),
  region: z.string().min(1, 'a region').optional(),
  door: z.enum(['service', 'metadata'], 'service or metadata').optional(),
  caller: z.string().min(1, 'the email or the member of a caller').optional(),
  status: z
    .string()
    .regex(/^[1-5](?:\d\d|xx)$/, 'a status such as 403, or 4xx')
    .optional(),
  allowed: z.enum(['true', 'false'], 'true or false').optional(),
  since: z.string().optional(),
  limit: z
    .string()
    .regex(/^[1-9]\d{0,8}$/, 'a whole number of 1 or more')
    .optional(),
  follow: z.enum(['', 'true'], 'nothing, or true').optional(),
})
type Filters = z.output<typeof filters>

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/

export function decisionRoutes(
  app: Hono<RoomEnv>,
  { decisions }: Decisions,
  { timer = systemTimer }: DecisionRoutesOptions = {},
): void {
  /**
   * The last decisions, newest last, and the id to go on from; a filter that is not known is refused. `since` is an RFC 3339 time or the id of a
   * decision. With `follow` they come as server-sent events, and go on after the `Last-Event-ID` of a reader that comes back.
   */
  app.get('/_emulator/decisions', (c) => {
    const asked = readFilters(c)
    if ('error' in asked) return c.json(asked, 400)
    const { follow, limit, since } = asked.filters
    const from = c.req.header('last-event-id') || since
    const begin = beginning(from, decisions)
    if ('error' in begin) return c.json(begin, 400)
    const wanted = matcher(asked.filters)
    const most = limit === undefined ? USUAL : Number(limit)
    const first = begin.decisions.filter(wanted).slice(-most)
    const { last } = decisions
    if (follow === undefined) return c.json({ decisions: first.map(explained), last })

    return streamSSE(c, async (stream) => {
      if (begin.missed !== 0) await tellGap(stream, begin.missed)
      for (const decision of first) await tell(stream, decision)
      await followOn(stream, decisions, { from: last, wanted, timer })
    })
  })

  app.get('/_emulator/decisions/:id', (c) => {
    const id = c.req.param('id')
    const decision = decisions.find(id)
    if (decision) return c.json(explained(decision))
    const error = `There is no decision ${JSON.stringify(id)}: only the last ones are kept, and they end with the emulator.`
    return c.json({ error }, 404)
  })
}

function explained(decision: Decision): ExplainedDecision {
  return { ...decision, why: why(decision) }
}

function readFilters(c: Context<RoomEnv>): { readonly filters: Filters } | { readonly error: string } {
  const queries = Object.entries(c.req.queries())
  const [twice] = queries.find(([, values]) => values.length > 1) ?? []
  if (twice !== undefined) return { error: `${twice}: expected one value, got several.` }
  const given = Object.fromEntries(queries.map(([name, [value = '']]) => [name, value]))
  const result = filters.safeParse(given)
  if (result.success) return { filters: result.data }
  const [issue] = result.error.issues
  if (issue?.code === 'unrecognized_keys') {
    const known = Object.keys(filters.shape).join(', ')
    return { error: `${issue.keys[0]}: there is no such filter. There are ${known}.` }
  }
  const name = String(issue?.path[0])
  return { error: `${name}: expected ${issue?.message}, got ${JSON.stringify(given[name])}.` }
}

function matcher({
  service,
  region,
  door,
  caller,
  status,
  allowed,
}: Filters): (decision: Decision) => boolean {
  return (decision) =>
    (service === undefined || decision.service === service) &&
    (region === undefined || decision.region === region) &&
    (door === undefined || decision.door === door) &&
    (caller === undefined || decision.caller?.email === caller || decision.caller?.member === caller) &&
    (status === undefined || hasStatus(decision, status)) &&
    (allowed === undefined || String(decision.allowed) === allowed)
}

function hasStatus({ status }: Decision, asked: string): boolean {
  return asked.endsWith('xx') ? String(Math.floor(status / 100)) === asked[0] : String(status) === asked
}

interface Beginning {
  readonly decisions: readonly Decision[]
  /** How many that were asked for are not kept any more; undefined where nobody knows. */
  readonly missed: number | undefined
}

function beginning(
  from: string | undefined,
  log: Decisions['decisions'],
): Beginning | { readonly error: string } {
  if (from === undefined) return { decisions: log.list(), missed: 0 }
  if (TIME.test(from) && !Number.isNaN(Date.parse(from))) {
    const time = Date.parse(from)
    return { decisions: log.list().filter((decision) => Date.parse(decision.time) >= time), missed: 0 }
  }
  return (
    log.after(from) ?? {
      error: `since: expected an RFC 3339 time or the id of a decision, got ${JSON.stringify(from)}.`,
    }
  )
}

interface FollowOptions {
  /** Id of the last decision that was told, or passed over. */
  readonly from: string
  readonly wanted: (decision: Decision) => boolean
  readonly timer: Timer
}

/** By looking for what came after the last one told, a reader that is slow misses what is dropped meanwhile, and is told so. */
async function followOn(
  stream: SSEStreamingApi,
  log: Decisions['decisions'],
  { from, wanted, timer }: FollowOptions,
): Promise<void> {
  let wake = () => {}
  const stop = log.onAdd(() => wake())
  stream.onAbort(() => wake())
  let place = from
  try {
    while (!stream.aborted) {
      const following = log.after(place)
      place = log.last
      if (following && following.missed !== 0) await tellGap(stream, following.missed)
      for (const decision of following?.decisions ?? []) if (wanted(decision)) await tell(stream, decision)
      if (log.last !== place || stream.aborted) continue
      const silent = await new Promise<boolean>((resolve) => {
        const cancel = timer(() => resolve(true), SIGN_OF_LIFE)
        wake = () => {
          cancel()
          resolve(false)
        }
      })
      // No event, but the place to go on from.
      if (silent) await stream.write(`id: ${place}\n\n`)
    }
  } finally {
    stop()
  }
}

async function tell(stream: SSEStreamingApi, decision: Decision): Promise<void> {
  await stream.writeSSE({
    event: 'decision',
    id: decision.id,
    data: JSON.stringify(explained(decision)),
  })
}

/** `missed` is null where nobody can say how many. */
async function tellGap(stream: SSEStreamingApi, missed: number | undefined): Promise<void> {
  await stream.writeSSE({ event: 'gap', data: JSON.stringify({ missed: missed ?? null }) })
}
