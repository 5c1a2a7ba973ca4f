/**
 * Cloud Logging's query language: comparisons, and searches of all fields, joined by AND, OR and NOT with parentheses.
 * Google's page on it: NOT binds closest, then OR, then AND; terms side by side are joined by AND. Functions such as
 * `SEARCH()` are left out: what is not understood is refused, never ignored.
 */
import { invalid } from '../../rest/errors.ts'

export const SEVERITIES = [
  'DEFAULT',
  'DEBUG',
  'INFO',
  'NOTICE',
  'WARNING',
  'ERROR',
  'CRITICAL',
  'ALERT',
  'EMERGENCY',
] as const

export function isSeverity(name: string): name is (typeof SEVERITIES)[number] {
  return SEVERITIES.some((severity) => severity === name)
}

type Test = (entry: object) => boolean

interface Comparison {
  readonly field: string
  readonly operator: string
  readonly value: string
}

/** Compiles a filter; throws Google's INVALID_ARGUMENT for one that cannot be read. */
export function logFilter(filter: string): Test {
  const parser = new Parser(filter)
  return filter.trim() === '' ? () => true : parser.all()
}

const SPACE = /(?:\s|--[^\n]*(?:\n|$))*/y
const WORD = /(?:AND|OR|NOT)(?![\w.])/y
const OPERATOR = /!=|>=|<=|=~|!~|=|>|<|:/y
const VALUE = /"(?:[^"\\]|\\.)*"|[^\s()"!<>=:~]+/y
const FIELD = /-?[\w./-]+(?:\."[^"]*"[\w.]*)*/y

/** By recursive descent: each method reads one rule of the language. */
class Parser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  all(): Test {
    const test = this.#conjunction()
    if (this.#at < this.#text.length) throw this.#unreadable()
    return test
  }

  /** `a AND b c`, up to the end or a closing parenthesis. */
  #conjunction(): Test {
    const terms: Test[] = []
    do terms.push(this.#disjunction())
    while (this.#word('AND') || !this.#ends())
    return (entry) => terms.every((term) => term(entry))
  }

  #disjunction(): Test {
    const terms = [this.#negation()]
    while (this.#word('OR')) terms.push(this.#negation())
    return (entry) => terms.some((term) => term(entry))
  }

  #negation(): Test {
    if (this.#word('NOT') || this.#minus()) {
      const denied = this.#negation()
      return (entry) => !denied(entry)
    }
    return this.#parenthesised(() => this.#conjunction()) ?? this.#comparison()
  }

  #comparison(): Test {
    const start = this.#at
    const field = this.#token(FIELD)
    const operator = field === undefined ? undefined : this.#token(OPERATOR)
    if (field !== undefined && operator !== undefined) return this.#values(field, operator)
    this.#at = start
    const text = this.#value()
    // A function, and nothing like it is read here.
    if (this.#text[this.#at] === '(') throw this.#unreadable()
    return (entry) => anywhere(entry, text)
  }

  /** `field = value`, or `field = (value OR value)` of several. */
  #values(field: string, operator: string): Test {
    const one = (): Test => {
      const comparison = { field, operator, value: this.#value() }
      return (entry) => holds(comparison, valueAt(entry, field))
    }
    const some = (): Test => {
      const negated = this.#word('NOT')
      const terms = [one()]
      while (this.#word('OR')) terms.push(one())
      return (entry) => terms.some((term) => term(entry)) !== negated
    }
    const several = (): Test => {
      const terms = [some()]
      while (this.#word('AND')) terms.push(some())
      return (entry) => terms.every((term) => term(entry))
    }
    return this.#parenthesised(several) ?? one()
  }

  #parenthesised(inner: () => Test): Test | undefined {
    if (this.#token(/\(/y) === undefined) return undefined
    const test = inner()
    if (this.#token(/\)/y) === undefined) throw this.#unreadable()
    return test
  }

  #value(): string {
    if (this.#peeks(WORD)) throw this.#unreadable()
    const raw = this.#token(VALUE)
    if (raw === undefined) throw this.#unreadable()
    return raw.startsWith('"') ? raw.slice(1, -1).replace(/\\(.)/g, '$1') : raw
  }

  #word(word: 'AND' | 'OR' | 'NOT'): boolean {
    const start = this.#at
    if (this.#token(WORD) === word) return true
    this.#at = start
    return false
  }

  /** `-term` is `NOT term`. */
  #minus(): boolean {
    return this.#token(/-(?=[\w("])/y) !== undefined
  }

  #ends(): boolean {
    this.#token(SPACE)
    return this.#at >= this.#text.length || this.#text[this.#at] === ')'
  }

  #peeks(rule: RegExp): boolean {
    const start = this.#at
    const found = this.#token(rule) !== undefined
    this.#at = start
    return found
  }

  #token(rule: RegExp): string | undefined {
    SPACE.lastIndex = this.#at
    this.#at += SPACE.exec(this.#text)?.[0].length ?? 0
    rule.lastIndex = this.#at
    const found = rule.exec(this.#text)?.[0]
    this.#at += found?.length ?? 0
    return found === '' ? undefined : found
  }

  /** Inferred wording. */
  #unreadable(): Error {
    const rest = this.#text.slice(this.#at).trim()
    return invalid(
      `Unparseable filter: the emulator reads comparisons and text joined by AND, OR and NOT, and stopped at: ${rest || 'its end'}`,
    )
  }
}

/** A search without a field: the text is somewhere in the entry. */
function anywhere(value: unknown, text: string): boolean {
  if (typeof value === 'object' && value !== null)
    return Object.values(value).some((member) => anywhere(member, text))
  return value !== undefined && String(value).toLowerCase().includes(text.toLowerCase())
}

function holds({ field, operator, value }: Comparison, actual: unknown): boolean {
  if (actual === undefined) return operator === '!=' || operator === '!~'
  const text = typeof actual === 'object' ? JSON.stringify(actual) : String(actual)
  switch (operator) {
    case '=':
      return text === value
    case '!=':
      return text !== value
    case ':':
      return value === '*' || text.toLowerCase().includes(value.toLowerCase())
    case '=~':
      return pattern(value).test(text)
    case '!~':
      return !pattern(value).test(text)
    default: {
      const order = compare(field, text, value)
      return operator.startsWith('>')
        ? order > 0 || (operator === '>=' && order === 0)
        : order < 0 || (operator === '<=' && order === 0)
    }
  }
}

function compare(field: string, actual: string, expected: string): number {
  if (field === 'severity') return rank(actual) - rank(expected)
  if (field.toLowerCase().endsWith('timestamp')) return Date.parse(actual) - Date.parse(expected)
  const difference = Number(actual) - Number(expected)
  return Number.isNaN(difference) ? actual.localeCompare(expected) : difference
}

function rank(severity: string): number {
  const name = severity.toUpperCase()
  return isSeverity(name) ? SEVERITIES.indexOf(name) : -1
}

function pattern(source: string): RegExp {
  try {
    return new RegExp(source)
  } catch {
    throw invalid(`Unparseable filter: invalid regular expression ${source}`)
  }
}

function valueAt(entry: object, field: string): unknown {
  return field
    .split('.')
    .reduce<unknown>(
      (value, name) =>
        typeof value === 'object' && value !== null
          ? Object.entries(value).find(([key]) => key === name)?.[1]
          : undefined,
      entry,
    )
}
