/** For tests: the README and the pages of docs/ as they stand, by section, block and table. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface Block {
  /** What stands after the three backticks: the language, such as `console`, and words about what runs it. */
  readonly kind: string
  /** Without the newline before the closing backticks. */
  readonly text: string
}

export interface Command {
  /** Whole, with its continued lines. */
  readonly line: string
  /** What the page shows beneath it; undefined where that is nothing. */
  readonly prints: string | undefined
}

/** The checkout's folder. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** A page by its path in the checkout, such as `docs/compose.md`. */
export function page(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
}

/** What stands under a heading of a page, up to the next one. @throws when there is no such heading */
export function section(page: string, heading: string): string {
  const found = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`))
  if (found === undefined) throw new Error(`there is no section ${JSON.stringify(heading)}`)
  return found
}

/** The fenced blocks of a text, in its order. */
export function blocks(text: string): readonly Block[] {
  return [...text.matchAll(/^```(.+)\n([\s\S]*?)\n```$/gm)].map(([, kind = '', text = '']) => ({
    kind,
    text,
  }))
}

/** The only block with these words in it. @throws when there is none, or another */
export function block(text: string, words: string): Block {
  const [found, another] = blocks(text).filter((each) => each.text.includes(words))
  if (!found || another) throw new Error(`there are ${found ? 'two blocks' : 'no blocks'} with ${words}`)
  return found
}

/** The commands of an `sh` block, and the inputs of a `console` block with their outputs. */
export function commands({ kind, text }: Block): readonly Command[] {
  if (!kind.startsWith('console')) return continued(text).map((line) => ({ line, prints: undefined }))
  return continued(text)
    .join('\n')
    .split(/^\$ /m)
    .slice(1)
    .map((step) => {
      const [line = '', output] = step.trimEnd().split(/(?<!\\)\n([\s\S]*)/)
      return { line, prints: output }
    })
}

/** The cells of a table's rows, but for its head: of the first table of a text that has this head. */
export function rows(text: string, head: string): readonly (readonly string[])[] {
  const lines = text.split('\n')
  const start = lines.indexOf(head)
  if (start === -1) throw new Error(`there is no table with the head ${head}`)
  const end = lines.findIndex((line, at) => at > start && !line.startsWith('|'))
  return lines.slice(start + 2, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

/** What stands in backticks in a text outside its blocks. */
export function codes(text: string): readonly string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, '')
  return [...prose.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
}

/** Lines, with those that a backslash continues in one. */
function continued(text: string): readonly string[] {
  return text.split(/(?<!\\)\n/)
}
