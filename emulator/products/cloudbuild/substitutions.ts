/** `$NAME` and `${NAME}` in a build: Cloud Build's own variables and the submitter's. Pure. */
import { invalid } from '../../rest/errors.ts'

export type Substitutions = Readonly<Record<string, string>>

/** The submitter's variables begin with an underscore. */
export function requireNames(given: Substitutions): void {
  const wrong = Object.keys(given).find((name) => !/^_[A-Z0-9_]+$/.test(name))
  if (wrong === undefined) return
  throw invalid(
    `generic::invalid_argument: invalid value for 'build.substitutions': key in the template "${wrong}" is not a valid built-in substitution`,
  )
}

/** `$$` is a dollar sign. */
export function expand(template: string, values: Substitutions): string {
  return template.replace(
    /\$(?:\$|\{([A-Z_][A-Z0-9_]*)\}|([A-Z_][A-Z0-9_]*))/g,
    (whole, braced: string | undefined, bare: string | undefined) => {
      const name = braced ?? bare
      if (name === undefined) return whole.slice(1)
      const value = values[name]
      if (value !== undefined) return value
      const kind = name.startsWith('_')
        ? 'is not matched in the substitution data'
        : 'is not a valid built-in substitution'
      throw invalid(
        `generic::invalid_argument: invalid value for 'build.substitutions': key in the template "${name}" ${kind}`,
      )
    },
  )
}
