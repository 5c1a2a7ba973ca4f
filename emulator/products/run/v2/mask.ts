/** Field masks: which parts of a resource an update replaces. Pure. */
import { z } from 'zod'
import { invalid } from '../../../rest/errors.ts'

type Message = Readonly<Record<string, unknown>>

/**
 * `current` with the fields that `mask` names taken from `update`; one that is not there is cleared. `*` takes all.
 * @throws ApiError of a path that the message `schema` has no field for.
 */
export function mergeMasked(schema: z.ZodType, current: object, update: object, mask: string): object {
  const paths = mask
    .split(',')
    .map((path) => path.trim())
    .filter(Boolean)
  if (paths.includes('*')) return update
  return paths.reduce<Message>(
    (merged, path) => {
      const fields = path.split('.').map(camel)
      // Inferred wording.
      if (!isField(schema, fields))
        throw invalid(`Violation in UpdateServiceRequest.update_mask: invalid path '${path}'.`)
      return replace(merged, { ...update }, fields)
    },
    { ...current },
  )
}

/** A path goes through messages alone: lists and maps are replaced whole. */
function isField(schema: z.ZodType, [name, ...rest]: readonly string[]): boolean {
  const message = schema instanceof z.ZodOptional ? schema.unwrap() : schema
  if (!(message instanceof z.ZodObject) || name === undefined || !Object.hasOwn(message.shape, name))
    return false
  const field: unknown = message.shape[name]
  return rest.length === 0 || (field instanceof z.ZodType && isField(field, rest))
}

function replace(target: Message, source: Message, [name, ...rest]: readonly string[]): Message {
  if (name === undefined) return target
  const { [name]: current, ...others } = target
  const value = source[name]
  if (rest.length === 0) return value === undefined ? others : { ...others, [name]: value }
  return { ...others, [name]: replace(fieldsOf(current), fieldsOf(value), rest) }
}

function fieldsOf(value: unknown): Message {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}

function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
