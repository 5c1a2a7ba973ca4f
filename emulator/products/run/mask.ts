/** Field masks: which parts of a resource an update replaces. Pure. */
import { invalid } from '../../rest/errors.ts'

type Message = Readonly<Record<string, unknown>>

/** `current` with the fields that `mask` names taken from `update`; one that is not there is cleared. `*` takes all. */
export function mergeMasked(current: object, update: object, mask: string): object {
  const paths = mask
    .split(',')
    .map((path) => path.trim().replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()))
    .filter(Boolean)
  if (paths.includes('*')) return update
  return paths.reduce<Message>((merged, path) => replace(merged, { ...update }, path.split(/\.|\//)), {
    ...current,
  })
}

function replace(target: Message, source: Message, [name, ...rest]: readonly string[]): Message {
  if (name === undefined || name === '') throw invalid('Request contains an invalid argument.')
  const { [name]: current, ...others } = target
  const value = source[name]
  if (rest.length === 0) return value === undefined ? others : { ...others, [name]: value }
  return { ...others, [name]: replace(fieldsOf(current), fieldsOf(value), rest) }
}

function fieldsOf(value: unknown): Message {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}
