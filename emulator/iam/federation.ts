/**
 * Workload identity federation: an outside identity's claims become Google's attributes, by CEL, and a condition says whether
 * the identity is taken at all.
 */
import {
  type CelFunc,
  CelScalar,
  type CelValue,
  celEnv,
  celMethod,
  isCelError,
  isCelList,
  parse,
  plan,
} from '@bufbuild/cel'
import { strings } from '@bufbuild/cel/ext'

/** CEL by attribute. */
export type AttributeMapping = Readonly<Record<string, string>>

/** An identity as the pool knows it. A claim that is missing leaves its attribute out. */
export interface FederatedIdentity {
  readonly subject?: string
  readonly groups: readonly string[]
  readonly attributes: Readonly<Record<string, string>>
}

export interface FederationRules {
  readonly attributeMapping: AttributeMapping
  /** Empty: every identity of the issuer is taken. */
  readonly attributeCondition: string
}

/** The JSON of a verified credential. */
export type Assertion = Readonly<Record<string, unknown>>

const { STRING } = CelScalar
const ATTRIBUTE = /^attribute\.([a-z0-9_]{1,100})$/
const MOST_ATTRIBUTES = 50

/** IAM's page on attribute mapping: `'acme/users/bob'.extract('users/{name}')` is `bob`; without a match, nothing. */
const EXTRACT: CelFunc = celMethod('extract', STRING, [STRING], STRING, function (template) {
  const [, before = '', after = ''] = /^([^{]*)\{[^}]*\}(.*)$/s.exec(template) ?? []
  const start = this.indexOf(before)
  if (start < 0) return ''
  const rest = this.slice(start + before.length)
  const end = after === '' ? rest.length : rest.indexOf(after)
  return end < 0 ? '' : rest.slice(0, end)
})

const ENVIRONMENT = celEnv({ funcs: [...strings, EXTRACT] })

/** What is wrong with rules that somebody wants to set, as one sentence; undefined when they can be set. */
export function federationTrouble({
  attributeMapping,
  attributeCondition,
}: FederationRules): string | undefined {
  const names = Object.keys(attributeMapping)
  // Inferred wordings; the rules are those of IAM's reference.
  if (!names.includes('google.subject')) return 'The attribute mapping must include google.subject.'
  const unknown = names.find(
    (name) => name !== 'google.subject' && name !== 'google.groups' && !ATTRIBUTE.test(name),
  )
  if (unknown !== undefined) return `Invalid mapped attribute key: ${unknown}.`
  if (names.filter((name) => ATTRIBUTE.test(name)).length > MOST_ATTRIBUTES)
    return `At most ${MOST_ATTRIBUTES} custom attributes can be mapped.`
  for (const [name, expression] of Object.entries(attributeMapping)) {
    const trouble = syntaxTrouble(expression)
    if (trouble !== undefined) return `Invalid attribute mapping for ${name}: ${trouble}`
  }
  const trouble = attributeCondition === '' ? undefined : syntaxTrouble(attributeCondition)
  return trouble === undefined ? undefined : `Invalid attribute condition: ${trouble}`
}

/** Who an assertion is in the pool, and whether the condition takes them. An expression that fails takes nobody. */
export function federate(
  { attributeMapping, attributeCondition }: FederationRules,
  assertion: Assertion,
): { readonly taken: boolean; readonly identity: FederatedIdentity } {
  const claims = { assertion: toCel(assertion) }
  const mapped = Object.entries(attributeMapping).map(
    ([name, expression]) => [name, evaluate(expression, claims)] as const,
  )
  const value = (name: string) => mapped.find(([mappedName]) => mappedName === name)?.[1]
  const subject = text(value('google.subject'))
  const groups = list(value('google.groups'))
  const attributes = Object.fromEntries(
    mapped.flatMap(([name, result]) => {
      const [, key] = ATTRIBUTE.exec(name) ?? []
      const found = text(result)
      return key === undefined || found === undefined ? [] : [[key, found]]
    }),
  )
  const identity = { ...(subject === undefined ? {} : { subject }), groups, attributes }
  if (attributeCondition === '') return { taken: true, identity }
  const google = new Map<string, string | readonly string[]>([
    ...(subject === undefined ? [] : [['subject', subject] as const]),
    ...('google.groups' in attributeMapping ? [['groups', groups] as const] : []),
  ])
  const attribute = new Map(Object.entries(attributes))
  return { taken: evaluate(attributeCondition, { ...claims, google, attribute }) === true, identity }
}

function syntaxTrouble(expression: string): string | undefined {
  try {
    parse(expression)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Undefined where the expression fails, as it does on a claim that is not there. */
function evaluate(expression: string, variables: Readonly<Record<string, CelInput>>): CelValue | undefined {
  const result = plan(ENVIRONMENT, parse(expression))({ ...variables })
  return isCelError(result) ? undefined : result
}

type CelInput = string | number | boolean | null | readonly CelInput[] | ReadonlyMap<string, CelInput>

function toCel(value: unknown): CelInput {
  if (Array.isArray(value)) return value.map(toCel)
  if (typeof value === 'object' && value !== null)
    return new Map(Object.entries(value).map(([name, member]) => [name, toCel(member)]))
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null
}

/** Attributes are strings; numbers and booleans are written out (inferred). */
function text(value: CelValue | undefined): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
    ? String(value)
    : undefined
}

function list(value: CelValue | undefined): readonly string[] {
  const items: readonly (CelValue | undefined)[] = isCelList(value) ? [...value] : [value]
  return items.flatMap((item) => text(item) ?? [])
}
