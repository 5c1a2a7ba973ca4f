/** The fields that have a value: what is undefined is a field left out. */
export function defined<T extends object>(fields: T): Defined<T> {
  // `Object.entries` forgets which field has which type.
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>
}

export type Defined<T> = {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K]
} & { [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined> }

/** What holds something: a list, a map or a text that is empty is one left out. */
export function filled<T extends string | readonly unknown[] | object>(value: T | undefined): T | undefined {
  return value === undefined || Object.keys(Object(value)).length === 0 ? undefined : value
}

type Mutable<T> = { -readonly [K in keyof T]: Mutable<T[K]> }

/** Google's types of documents know no `readonly`. What is shown is printed and never changed. */
export function shown<T>(value: T): Mutable<T> {
  return value as Mutable<T>
}
