/** Lists in pages: `pageSize` and `pageToken`, or `limit` and `continue` as Knative calls them. */
import { invalid } from './errors.ts'
import type { Call } from './route.ts'

export interface Page<T> {
  readonly items: readonly T[]
  readonly nextPageToken?: string
}

/** The page that the query asks for. `limit` is the longest page, and the length of one that does not say. */
export function page<T>(items: readonly T[], call: Call, limit: number): Page<T> {
  const size = call.query('pageSize') ?? call.query('limit') ?? call.query('maxResults')
  return pageOf(items, Number(size ?? 0), call.query('pageToken') ?? call.query('continue'), limit)
}

/** The token says where the next page begins, so that pages are stable while items are added behind them. */
export function pageOf<T>(
  items: readonly T[],
  size: number,
  token: string | undefined,
  limit: number,
): Page<T> {
  const start = token === undefined ? 0 : Number(Buffer.from(token, 'base64url').toString())
  if (!isCount(size) || !isCount(start)) throw invalid('Request contains an invalid argument.')
  const end = start + Math.min(size || limit, limit)
  return {
    items: items.slice(start, end),
    ...(end < items.length ? { nextPageToken: Buffer.from(String(end)).toString('base64url') } : {}),
  }
}

/** What a list method answers: the page under its name, which is left out where it is empty, as proto3 leaves it out. */
export function listed<T, D>(
  name: string,
  call: Call,
  all: readonly T[],
  { limit, show }: { readonly limit: number; readonly show: (item: T) => D },
): Readonly<Record<string, readonly D[] | string>> {
  const { items, nextPageToken } = page(all, call, limit)
  return {
    ...(items.length ? { [name]: items.map(show) } : {}),
    ...(nextPageToken ? { nextPageToken } : {}),
  }
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 0
}
