/**
 * The types of a condition, worked out before it is ever evaluated, as Google does when a policy is set.
 *
 * The CEL library has the declarations of every function but checks no calls (0.6), so the walk over the expression is here.
 * Where a type cannot be told it is `dyn`, which goes with everything: nothing is refused that might evaluate.
 */

import type { parse } from '@bufbuild/cel'
import {
  type CelEnv,
  type CelFunc,
  CelScalar,
  type CelType,
  listType,
  mapType,
  objectType,
} from '@bufbuild/cel'

export type Expression = NonNullable<ReturnType<typeof parse>['expr']>

/** Why an expression has no type. The message is CEL's own. */
class TypeTrouble extends Error {}

const { BOOL, BYTES, DOUBLE, DYN, INT, NULL, STRING, TYPE, UINT } = CelScalar
const TIMESTAMP = objectType('google.protobuf.Timestamp')

/** IAM's reference of the attributes; those of `resource` are its tags as well. Others are of any type. */
const ATTRIBUTES: Readonly<Record<string, CelType>> = {
  'request.time': TIMESTAMP,
  'request.path': STRING,
  'request.host': STRING,
  'resource.name': STRING,
  'resource.type': STRING,
  'resource.service': STRING,
  'destination.ip': STRING,
  'destination.port': INT,
  'origin.ip': STRING,
}

/** Functions that IAM adds and Cloud Run's conditions do not evaluate, and CEL's global `matches`: known, of any type. */
const OTHER_FUNCTIONS: ReadonlySet<string> = new Set([
  ...['extract', 'getAttribute', 'hasOnly', 'hasTagKeyId', 'inIpRange', 'matches', 'matchTagId'],
])

/** Types of names that the expression makes itself, in comprehensions. */
type Scope = ReadonlyMap<string, CelType>

/** @throws {TypeTrouble} for an expression that cannot be evaluated, or to no truth value */
export function checkCondition(expression: Expression, env: CelEnv): void {
  const type = typeOf(expression, new Map(), env)
  if (!fits(BOOL, type)) throw new TypeTrouble(`expected type 'bool' but found '${spelled(type)}'`)
}

function typeOf(expression: Expression | undefined, scope: Scope, env: CelEnv): CelType {
  const kind = expression?.exprKind
  switch (kind?.case) {
    case 'constExpr':
      return CONSTANTS[kind.value.constantKind.case ?? ''] ?? DYN
    case 'identExpr':
      return scope.get(kind.value.name) ?? (isTypeName(kind.value.name, env) ? TYPE : DYN)
    case 'selectExpr':
      return typeOfField(kind.value, scope, env)
    case 'callExpr':
      return typeOfCall(kind.value, scope, env)
    case 'listExpr':
      return listType(common(kind.value.elements.map((each) => typeOf(each, scope, env))))
    case 'structExpr':
      return typeOfMap(kind.value, scope, env)
    case 'comprehensionExpr':
      return typeOfComprehension(kind.value, scope, env)
    default:
      return DYN
  }
}

type Part<C> =
  Extract<Expression['exprKind'], { readonly case: C }> extends { readonly value: infer V } ? V : never

const CONSTANTS: Readonly<Record<string, CelType>> = {
  boolValue: BOOL,
  bytesValue: BYTES,
  doubleValue: DOUBLE,
  int64Value: INT,
  nullValue: NULL,
  stringValue: STRING,
  uint64Value: UINT,
}

/** A type is named by the function that makes one: `int`, `string`. */
function isTypeName(name: string, env: CelEnv): boolean {
  return name === 'null_type' || name === 'list' || name === 'map' || env.funcs.find(name) !== undefined
}

function typeOfField({ operand, field, testOnly }: Part<'selectExpr'>, scope: Scope, env: CelEnv): CelType {
  const of = operand?.exprKind
  if (of?.case === 'identExpr' && !scope.has(of.value.name))
    return testOnly ? BOOL : (ATTRIBUTES[`${of.value.name}.${field}`] ?? DYN)
  const type = typeOf(operand, scope, env)
  if (type.kind === 'list' || (type.kind === 'scalar' && type !== DYN))
    throw new TypeTrouble(`type '${spelled(type)}' does not support field selection`)
  if (testOnly) return BOOL
  return type.kind === 'map' ? type.value : DYN
}

function typeOfMap({ messageName, entries }: Part<'structExpr'>, scope: Scope, env: CelEnv): CelType {
  const keys = entries.map(({ keyKind }) =>
    keyKind.case === 'mapKey' ? typeOf(keyKind.value, scope, env) : DYN,
  )
  const values = entries.map(({ value }) => typeOf(value, scope, env))
  if (messageName !== '') return DYN
  const key = [INT, UINT, BOOL, STRING].find((each) => each === common(keys)) ?? DYN
  return mapType(key, common(values))
}

function typeOfComprehension(part: Part<'comprehensionExpr'>, scope: Scope, env: CelEnv): CelType {
  const range = typeOf(part.iterRange, scope, env)
  if (range.kind !== 'list' && range.kind !== 'map' && range !== DYN) {
    const found = spelled(range)
    throw new TypeTrouble(
      `expression of type '${found}' cannot be range of a comprehension (must be list, map, or dynamic)`,
    )
  }
  const result = typeOf(part.accuInit, scope, env)
  const element = range.kind === 'list' ? range.element : range.kind === 'map' ? range.key : DYN
  const inner = new Map([...scope, [part.accuVar, result]])
  if (part.iterVar2 === '') inner.set(part.iterVar, element)
  else {
    inner.set(part.iterVar, range.kind === 'list' ? INT : element)
    inner.set(part.iterVar2, range.kind === 'map' ? range.value : element)
  }
  for (const each of [part.loopCondition, part.loopStep]) typeOf(each, inner, env)
  return typeOf(part.result, inner, env)
}

function typeOfCall({ function: name, target, args }: Part<'callExpr'>, scope: Scope, env: CelEnv): CelType {
  const on = target && typeOf(target, scope, env)
  const types = args.map((each) => typeOf(each, scope, env))
  const operator = OPERATORS[name]
  const group = env.funcs.find(name)
  if (!operator && !group) {
    if (OTHER_FUNCTIONS.has(name)) return DYN
    // Google's sentence for a name, as for any that is unknown.
    throw new TypeTrouble(`undeclared reference to '${name}' (in container '')`)
  }
  const result = operator ? operator(types) : overload([...(group ?? [])], on, types)
  if (result) return result
  if (OTHER_FUNCTIONS.has(name) && !on) return DYN
  const given = `${on ? `${spelled(on)}.` : ''}(${types.map(spelled).join(', ')})`
  throw new TypeTrouble(`found no matching overload for '${name}' applied to '${given}'`)
}

/** What the overloads that fit give; undefined where none does. */
function overload(
  declared: readonly CelFunc[],
  on: CelType | undefined,
  types: readonly CelType[],
): CelType | undefined {
  const fitting = declared.filter(
    ({ target, arguments: wanted }) =>
      wanted.length === types.length &&
      (target && on ? fits(target, on) : target === on) &&
      wanted.every((each, index) => fits(each, types[index] ?? DYN)),
  )
  return fitting.length > 0 ? common(fitting.map(({ result }) => result)) : undefined
}

/** Operators whose operands depend on each other: the library declares them for anything, or not at all. */
const OPERATORS: Readonly<Record<string, (types: readonly CelType[]) => CelType | undefined>> = {
  '_&&_': (types) => (types.every((type) => fits(BOOL, type)) ? BOOL : undefined),
  '_||_': (types) => (types.every((type) => fits(BOOL, type)) ? BOOL : undefined),
  '@not_strictly_false': () => BOOL,
  '_==_': ([left = DYN, right = DYN]) => (comparable(left, right) ? BOOL : undefined),
  '_!=_': ([left = DYN, right = DYN]) => (comparable(left, right) ? BOOL : undefined),
  '_?_:_': ([test = DYN, yes = DYN, no = DYN]) =>
    fits(BOOL, test) && comparable(yes, no) ? common([yes, no]) : undefined,
  '@in': ([item = DYN, of = DYN]) => {
    if (of.kind === 'list') return comparable(item, of.element) ? BOOL : undefined
    if (of.kind === 'map') return comparable(item, of.key) ? BOOL : undefined
    return of === DYN ? BOOL : undefined
  },
  '_[_]': ([of = DYN, at = DYN]) => {
    if (of.kind === 'list') return fits(INT, at) ? of.element : undefined
    if (of.kind === 'map') return comparable(at, of.key) ? of.value : undefined
    return of === DYN ? DYN : undefined
  },
}

function comparable(left: CelType, right: CelType): boolean {
  // A timestamp, a duration or a message may be null.
  if (left.kind === 'object' && right === NULL) return true
  if (right.kind === 'object' && left === NULL) return true
  return fits(left, right)
}

function fits(wanted: CelType, given: CelType): boolean {
  if (wanted === DYN || given === DYN) return true
  if (wanted.kind === 'list' && given.kind === 'list') return fits(wanted.element, given.element)
  if (wanted.kind === 'map' && given.kind === 'map')
    return fits(wanted.key, given.key) && fits(wanted.value, given.value)
  return wanted.name === given.name
}

/** The one type that all have, else any. */
function common(types: readonly CelType[]): CelType {
  const [first = DYN, ...others] = types
  return others.every((type) => spelled(type) === spelled(first)) ? first : DYN
}

function spelled(type: CelType): string {
  return String(type)
}
