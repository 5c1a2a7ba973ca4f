/**
 * Conditions on bindings, in CEL. Compiled once and remembered by expression.
 *
 * For Cloud Run `request.time` and resource tags are recognised; `resource.name`, `.type` and `.service` are not
 * (facts 6.7). `request.path` and `request.host` are not established, so not recognised either (inferred).
 */
import { type CelFunc, CelScalar, celEnv, celMethod, isCelError, mapType, parse, plan } from '@bufbuild/cel'
import { CALENDAR } from './calendar.ts'
import { checkCondition } from './condition-types.ts'

/** `now` is in milliseconds since the epoch. `tags` are the resource's, inherited ones too: `123/env` to `prod`. */
export interface ConditionContext {
  readonly now: number
  readonly tags?: ReadonlyMap<string, string>
}

/** An error means that the binding does not grant, as at Google; `reason` is for a person to read. */
export type ConditionOutcome =
  | { readonly outcome: 'holds' }
  | { readonly outcome: 'fails' }
  | { readonly outcome: 'error'; readonly reason: string }

export type CompiledCondition =
  | { readonly ok: true; readonly evaluate: (context: ConditionContext) => ConditionOutcome }
  | { readonly ok: false; readonly message: string }

type Expression = ReturnType<typeof parse>['expr']

const { BOOL, STRING } = CelScalar
const REMEMBERED = 1024
const remembered = new Map<string, CompiledCondition>()

/** What an IAM condition may name. Anything else is a mistake in the expression, and refused when the policy is set. */
const ATTRIBUTES: ReadonlySet<string> = new Set([
  'api',
  'destination',
  'origin',
  'principal',
  'request',
  'resource',
])
const TYPES: ReadonlySet<string> = new Set([
  ...['bool', 'bytes', 'double', 'int', 'list', 'map', 'null_type', 'string', 'type', 'uint', 'google'],
])

const TAGS = mapType(STRING, STRING)
const TAG_METHODS: readonly CelFunc[] = [
  celMethod('matchTag', TAGS, [STRING, STRING], BOOL, function (key, value) {
    return this.get(key) === value
  }),
  celMethod('hasTagKey', TAGS, [STRING], BOOL, function (key) {
    return this.has(key)
  }),
]

const ENVIRONMENT = celEnv({ funcs: [...CALENDAR, ...TAG_METHODS] })
const timestamp = plan(ENVIRONMENT, parse('timestamp(text)'))

/** Compiles an expression; `message` says what is wrong with it, as CEL words it. */
export function compileCondition(expression: string): CompiledCondition {
  const known = remembered.get(expression)
  if (known) return known
  const compiled = compile(expression)
  if (remembered.size >= REMEMBERED) remembered.clear()
  remembered.set(expression, compiled)
  return compiled
}

function compile(expression: string): CompiledCondition {
  try {
    const { expr } = parse(expression)
    const names = namesIn(expr)
    const unknown = names.find((name) => !ATTRIBUTES.has(root(name)) && !TYPES.has(root(name)))
    if (unknown !== undefined) {
      // Seen from Cloud Storage's setIamPolicy, same CEL.
      return { ok: false, message: `undeclared reference to '${root(unknown)}' (in container '')` }
    }
    if (expr) checkCondition(expr, ENVIRONMENT)
    return { ok: true, evaluate: evaluator(expr, names) }
  } catch (error) {
    return { ok: false, message: messageOf(error) }
  }
}

function evaluator(expr: Expression, names: readonly string[]) {
  const run = plan(ENVIRONMENT, expr)
  return ({ now, tags }: ConditionContext): ConditionOutcome => {
    const time = timestamp({ text: new Date(now).toISOString() })
    if (isCelError(time)) return { outcome: 'error', reason: time.message }
    const result = run({ request: new Map([['time', time]]), ...(tags && { resource: tags }) })
    if (result === true) return { outcome: 'holds' }
    if (result === false) return { outcome: 'fails' }
    if (!isCelError(result)) return { outcome: 'error', reason: 'it does not evaluate to true or false' }
    const foreign = names.find((name) => !TYPES.has(root(name)) && !isRecognised(name, tags !== undefined))
    const reason = foreign === undefined ? result.message : `${foreign} is not recognised for Cloud Run`
    return { outcome: 'error', reason }
  }
}

function isRecognised(name: string, tagged: boolean): boolean {
  return name === 'request.time' || (tagged && name === 'resource')
}

function root(name: string): string {
  return name.split('.', 1)[0] ?? name
}

/** The names that an expression takes from outside, with their fields: `request.time`, `resource.name`. */
function namesIn(expr: Expression | undefined, bound: ReadonlySet<string> = new Set()): readonly string[] {
  if (!expr) return []
  const { exprKind } = expr
  switch (exprKind.case) {
    case 'identExpr':
    case 'selectExpr': {
      const path = pathOf(expr)
      if (path === undefined) return namesIn(operandOf(expr), bound)
      return bound.has(root(path)) ? [] : [path]
    }
    case 'callExpr':
      return [exprKind.value.target, ...exprKind.value.args].flatMap((each) => namesIn(each, bound))
    case 'listExpr':
      return exprKind.value.elements.flatMap((each) => namesIn(each, bound))
    case 'structExpr':
      return exprKind.value.entries.flatMap(({ keyKind, value }) => [
        ...(keyKind.case === 'mapKey' ? namesIn(keyKind.value, bound) : []),
        ...namesIn(value, bound),
      ])
    case 'comprehensionExpr': {
      const { iterRange, iterVar, iterVar2, accuVar, accuInit, loopCondition, loopStep, result } =
        exprKind.value
      const inner = new Set([...bound, iterVar, iterVar2, accuVar])
      return [
        ...namesIn(iterRange, bound),
        ...namesIn(accuInit, bound),
        ...[loopCondition, loopStep, result].flatMap((each) => namesIn(each, inner)),
      ]
    }
    default:
      return []
  }
}

/** `a.b.c` for a name and its fields; undefined when the fields are of something computed. */
function pathOf(expr: Expression | undefined): string | undefined {
  if (expr?.exprKind.case === 'identExpr') return expr.exprKind.value.name
  if (expr?.exprKind.case !== 'selectExpr') return undefined
  const path = pathOf(operandOf(expr))
  return path === undefined ? undefined : `${path}.${expr.exprKind.value.field}`
}

function operandOf(expr: Expression): Expression | undefined {
  return expr.exprKind.case === 'selectExpr' ? expr.exprKind.value.operand : undefined
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
