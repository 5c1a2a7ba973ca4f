/** Kubernetes label selectors: `a = b, c != d, e in (f, g), h, !i`. */
import { invalid } from '../../rest/errors.ts'

const REQUIREMENT =
  /^(?:(?<absent>!)?(?<key>[\w./-]+)|(?<name>[\w./-]+)\s*(?<operator>==?|!=)\s*(?<value>[\w.-]*)|(?<member>[\w./-]+)\s+(?<set>in|notin)\s*\((?<values>[^()]*)\))$/

/** Do the labels satisfy every requirement of the selector? */
export function matchesLabels(selector: string, labels: Readonly<Record<string, string>>): boolean {
  // A comma inside parentheses is part of a set.
  const requirements = selector.split(/,(?![^(]*\))/).map((requirement) => requirement.trim())
  return requirements.filter(Boolean).every((requirement) => matches(requirement, labels))
}

function matches(requirement: string, labels: Readonly<Record<string, string>>): boolean {
  const groups = REQUIREMENT.exec(requirement)?.groups
  // Inferred wording.
  if (!groups) throw invalid(`labelSelector: unable to parse requirement '${requirement}'.`)
  const { absent, key, name, operator, value, member, set, values } = groups
  if (key !== undefined) return key in labels === (absent === undefined)
  if (name !== undefined) return (labels[name] === value) === (operator !== '!=')
  const allowed = (values ?? '').split(',').map((item) => item.trim())
  const label = labels[member ?? '']
  return (label !== undefined && allowed.includes(label)) === (set === 'in')
}
