/** A list of names and values in turn, as `rawHeaders` has them. */
export type RawHeaders = readonly string[]

export function pairs(raw: RawHeaders): [name: string, value: string][] {
  const found: [string, string][] = []
  for (let index = 0; index + 1 < raw.length; index += 2) found.push([raw[index] ?? '', raw[index + 1] ?? ''])
  return found
}
