/** Texts of callers, as they are kept and logged: a caller says how long they are, and may be anybody. */

/** A text of at most so many characters, and where it was longer a mark that says how long. */
export function cut(text: string, most: number): string {
  if (text.length <= most) return text
  return `${copyOf(text.slice(0, most))}… (${text.length} characters)`
}

/** The same text by itself: a part of a string keeps the whole of it in memory. */
export function copyOf(text: string): string {
  return Buffer.from(text).toString()
}
