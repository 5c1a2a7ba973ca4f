/** What a person may have meant by a name that is not there. */
import { distance } from 'fastest-levenshtein'

/** More letters than these, and it is another word. */
const MOST = 2

/** The name that is most like it; undefined where none is like it enough. */
export function nearest(name: string, names: Iterable<string>): string | undefined {
  const [first] = [...names]
    .map((other) => ({ other, letters: distance(name.toLowerCase(), other.toLowerCase()) }))
    .filter(({ other, letters }) => letters <= MOST && letters < other.length)
    .sort((a, b) => a.letters - b.letters)
  return first?.other
}

/** `Did you mean "billing"?`, or nothing. */
export function suggestion(name: string, names: Iterable<string>): string | undefined {
  const meant = nearest(name, names)
  return meant === undefined ? undefined : `Did you mean ${JSON.stringify(meant)}?`
}
