/**
 * CEL's calendar methods on timestamps (`getHours`, `getDayOfWeek`, …), in UTC or in a time zone.
 *
 * The CEL library's own ones go through the machine's local time, so that in a zone with summer time `getDayOfYear` and the
 * hour skipped in spring come out wrong. These replace them; they never look at the machine's zone.
 */
import { type CelFunc, CelScalar, celMethod, objectType } from '@bufbuild/cel'

const { INT, STRING } = CelScalar
const TIMESTAMP = objectType('google.protobuf.Timestamp')
const OFFSET = /^([+-]?)(\d\d):(\d\d)$/
const MINUTE = 60_000
const DAY = 86_400_000

/** Each takes a date whose UTC fields are the local ones. Months, days of the month, week and year count from 0; `getDate` from 1. */
const METHODS: Readonly<Record<string, (local: Date) => number>> = {
  getFullYear: (local) => local.getUTCFullYear(),
  getMonth: (local) => local.getUTCMonth(),
  getDate: (local) => local.getUTCDate(),
  getDayOfMonth: (local) => local.getUTCDate() - 1,
  getDayOfWeek: (local) => local.getUTCDay(),
  getDayOfYear: (local) => Math.floor((local.getTime() - new Date(local).setUTCMonth(0, 1)) / DAY),
  getHours: (local) => local.getUTCHours(),
  getMinutes: (local) => local.getUTCMinutes(),
  getSeconds: (local) => local.getUTCSeconds(),
  getMilliseconds: (local) => local.getUTCMilliseconds(),
}

export const CALENDAR: readonly CelFunc[] = Object.entries(METHODS).flatMap(([name, field]) => [
  celMethod(name, TIMESTAMP, [], INT, function () {
    return BigInt(field(instant(this.message)))
  }),
  celMethod(name, TIMESTAMP, [STRING], INT, function (zone) {
    return BigInt(field(local(instant(this.message), zone)))
  }),
])

function instant(message: object): Date {
  if (!('seconds' in message && 'nanos' in message)) throw new TypeError('not a timestamp')
  return new Date(Number(message.seconds) * 1000 + Math.floor(Number(message.nanos) / 1_000_000))
}

/** `zone` is a fixed offset such as `-08:00`, or a name such as `Europe/Zurich`; a RangeError when it is neither. */
function local(date: Date, zone: string): Date {
  const [, sign, hours, minutes] = OFFSET.exec(zone) ?? []
  if (hours !== undefined && minutes !== undefined) {
    const offset = (Number(hours) * 60 + Number(minutes)) * MINUTE
    return new Date(date.getTime() + (sign === '-' ? -offset : offset))
  }
  const parts = new Map(
    formatter(zone)
      .formatToParts(date)
      .map(({ type, value }) => [type, Number(value)]),
  )
  const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? 0
  return new Date(
    Date.UTC(
      part('year'),
      part('month') - 1,
      part('day'),
      part('hour'),
      part('minute'),
      part('second'),
      date.getUTCMilliseconds(),
    ),
  )
}

const formatters = new Map<string, Intl.DateTimeFormat>()

/** Making one is slow, and there are few zones. */
function formatter(zone: string): Intl.DateTimeFormat {
  const known = formatters.get(zone)
  if (known) return known
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  formatters.set(zone, made)
  return made
}
