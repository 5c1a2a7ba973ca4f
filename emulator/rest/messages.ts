/**
 * Request messages: proto3 JSON as Google's front end reads it, as zod schemas.
 *
 * Every field may be absent, `null` is absent, numbers and booleans may come as strings (facts 4: Python's clients send them
 * so), and a field that the message does not have is refused in Google's sentence.
 */
import { z } from 'zod'
import { ApiError, badRequest, type FieldViolation } from './errors.ts'

/** A message: every field optional, unknown fields refused. */
export function message<S extends z.ZodRawShape>(shape: S) {
  return z.strictObject(shape).partial()
}

export const text = scalar('TYPE_STRING', (value) => (typeof value === 'string' ? value : undefined))

export const bool = scalar('TYPE_BOOL', (value) => {
  if (typeof value === 'boolean') return value
  return value === 'true' ? true : value === 'false' ? false : undefined
})

export const int = scalar('TYPE_INT32', (value) => {
  const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value
  return typeof number === 'number' && (number | 0) === number ? number : undefined
})

/** base64 or base64url, kept as it came. */
export const bytes = scalar('TYPE_BYTES', (value) =>
  typeof value === 'string' && /^[\w+/-]*={0,2}$/.test(value) ? value : undefined,
)

/** An enum: its values in the order of their numbers, since clients may send either. */
export function enumeration<const V extends string>(type: string, values: readonly V[]) {
  return scalar(
    `type.googleapis.com/${type}`,
    (value) =>
      values.find((name) => name === value) ?? (typeof value === 'number' ? values[value] : undefined),
  )
}

export const strings = z.array(text)
export const labels = z.record(z.string(), text)
/** What the server says of a resource and a client may send back: not looked at. */
export const outputOnly = z.unknown()

/**
 * Reads a request body. `root` is the field of the request that the body stands for, as Google names it in its sentences:
 * `service`, or nothing where the body is the request itself.
 */
export function readMessage<S extends z.ZodType>(schema: S, body: string, root = ''): z.output<S> {
  return checkMessage(schema, withoutNulls(parseObject(body)), root)
}

/** Holds a message that is no body of a request to its schema. */
export function checkMessage<S extends z.ZodType>(schema: S, value: unknown, root = ''): z.output<S> {
  const result = schema.safeParse(value, { reportInput: true })
  if (result.success) return result.data
  const violations = result.error.issues.flatMap((issue) => violationsOf(issue, root))
  throw badRequest(violations.map(({ description }) => description).join('\n'), violations)
}

function scalar<T>(type: string, read: (value: unknown) => T | undefined) {
  return z.unknown().transform((value, context): T => {
    const result = read(value)
    if (result !== undefined) return result
    context.issues.push({ code: 'custom', input: value, params: { type } })
    return z.NEVER
  })
}

function parseObject(body: string): unknown {
  if (body.trim() === '') return {}
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch (cause) {
    throw new ApiError('INVALID_ARGUMENT', 'Invalid JSON payload received. Unexpected token.', { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const description = 'Invalid JSON payload received. Root element must be a message.'
    throw badRequest(description, [{ field: '', description }])
  }
  return value
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => item !== null).map(withoutNulls)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== null)
      .map(([name, member]) => [name, withoutNulls(member)]),
  )
}

function violationsOf(issue: z.core.$ZodIssue, root: string): FieldViolation[] {
  const field = fieldPath(issue.path, root)
  const received = 'Invalid JSON payload received.'
  if (issue.code === 'unrecognized_keys') {
    const at = field ? ` at '${field}'` : ''
    return issue.keys.map((key) => ({
      field,
      description: `${received} Unknown name ${JSON.stringify(key)}${at}: Cannot find field.`,
    }))
  }
  const parent = fieldPath(issue.path.slice(0, -1), root)
  const name = JSON.stringify(String(issue.path.at(-1) ?? ''))
  const at = parent ? ` at '${parent}'` : ''
  if (issue.code === 'invalid_type' && Array.isArray(issue.input)) {
    const description = `${received} Unknown name ${name}${at}: Proto field is not repeating, cannot start list.`
    return [{ field, description }]
  }
  if (issue.code === 'custom' && typeof issue.input === 'object' && issue.input !== null) {
    const what = Array.isArray(issue.input)
      ? 'Proto field is not repeating, cannot start list.'
      : 'Starting an object on a scalar field.'
    return [{ field, description: `${received} Unknown name ${name}${at}: ${what}` }]
  }
  const type = issue.code === 'custom' ? ` (${String(issue.params?.type)})` : ''
  return [{ field, description: `Invalid value at '${field}'${type}, ${JSON.stringify(issue.input)}` }]
}

/** `service.spec.template.spec.containers[0].service_account_name`: Google names fields as the proto does. */
function fieldPath(path: readonly PropertyKey[], root: string): string {
  return path.reduce<string>((field, part) => {
    if (typeof part === 'number') return `${field}[${part}]`
    const name = String(part).replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    return field ? `${field}.${name}` : name
  }, root)
}
