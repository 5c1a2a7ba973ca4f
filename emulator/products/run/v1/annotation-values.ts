/** How the values of annotations are spelled: an annotation is a text, what it means is not. */
import type { z } from 'zod'

export interface Codec<V> {
  /** What a person should have written. */
  readonly expected: string
  /** Undefined: the text is no such value. */
  read(text: string): V | undefined
  write(value: V): string | undefined
}

export const text: Codec<string> = { expected: 'a text', read: (value) => value, write: (value) => value }

/** gcloud writes Python's `True`. */
export const flag: Codec<boolean> = {
  expected: 'true or false',
  read: (value) => ({ true: true, false: false })[value.toLowerCase()],
  write: String,
}

export const count: Codec<number> = {
  expected: 'a whole number, 0 or greater',
  read: (value) => (/^\d{1,10}$/.test(value) && Number(value) < 2 ** 31 ? Number(value) : undefined),
  write: String,
}

export const commaList: Codec<readonly string[]> = {
  expected: 'texts with commas between them',
  read: (value) => value.split(',').filter(Boolean),
  write: (values) => values.join(','),
}

export function oneOf<const V extends string>(values: readonly V[]): Codec<V> {
  return {
    expected: `one of ${values.join(', ')}`,
    read: (value) => values.find((known) => known === value),
    write: (value) => value,
  }
}

export function json<V>(schema: z.ZodType<V>, expected: string): Codec<V> {
  return {
    expected,
    read: (value) => {
      try {
        return schema.safeParse(JSON.parse(value)).data
      } catch {
        return undefined
      }
    },
    write: (value) => JSON.stringify(value),
  }
}
