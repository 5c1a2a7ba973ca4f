/**
 * Cloud Logging's filters, as far as reading the logs of a service needs: comparisons joined by AND, with parentheses around
 * one field's alternatives left out. What is not understood is refused, never ignored.
 */
import { invalid } from '../../rest/errors.ts'

const SEVERITIES: readonly string[] = [
  'DEFAULT',
  'DEBUG',
  'INFO',
  'NOTICE',
  'WARNING',
  'ERROR',
  'CRITICAL',
  'ALERT',
  'EMERGENCY',
]

const COMPARISON = /^\s*(?:AND\s+)?([\w./-]+)\s*(!=|>=|<=|=~|!~|=|>|<|:)\s*("(?:[^"\\]|\\.)*"|[^\s()"]+)/

interface Comparison {
  readonly field: string
  readonly operator: string
  readonly value: string
}

/** Compiles a filter; throws Google's INVALID_ARGUMENT for one that cannot be read. */
export function logFilter(filter: string): (entry: object) => boolean {
  const comparisons: Comparison[] = []
  let rest = filter
  while (rest.trim() !== '') {
    const match = COMPARISON.exec(rest)
    const [all, field, operator, raw] = match ?? []
    if (all === undefined || field === undefined || operator === undefined || raw === undefined) {
      // Inferred wording.
      throw invalid(
        `Unparseable filter: the emulator reads comparisons joined by AND, and stopped at: ${rest.trim()}`,
      )
    }
    const value = raw.startsWith('"') ? raw.slice(1, -1).replace(/\\(.)/g, '$1') : raw
    comparisons.push({ field, operator, value })
    rest = rest.slice(all.length)
  }
  return (entry) => comparisons.every((comparison) => holds(comparison, valueAt(entry, comparison.field)))
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
  return SEVERITIES.indexOf(severity.toUpperCase())
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
