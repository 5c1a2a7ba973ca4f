/** What is wrong with a service, told as Cloud Run tells it (facts 6.9): each version of the API names fields in its own way. */
import { type ApiError, badRequest } from '../../rest/errors.ts'

/** The version of the API that a request came by. */
export type Spelling =
  | { readonly version: 'v1' }
  | { readonly version: 'v2'; readonly request: 'CreateServiceRequest' | 'UpdateServiceRequest' }

export interface Violation {
  /** Path of the field in a v1 service, and in a v2 one. */
  readonly v1: string
  readonly v2: string
  readonly description: string
  /** Found behind the reading of the request, whose name v2's sentence then leaves out (facts 8.2). */
  readonly behind?: boolean
}

/** Refuses what breaks a rule: the first violation in words, all of them in the details. */
export function refuse(violations: readonly Violation[], spelling: Spelling): ApiError {
  const named = violations.map((violation) => ({
    field: fieldOf(violation, spelling),
    description: violation.description,
  }))
  const [first] = named
  const prefix = spelling.version === 'v1' || violations[0]?.behind ? '' : 'Violation in '
  return badRequest(`${prefix}${first?.field}: ${first?.description}`, named)
}

function fieldOf({ v1, v2, behind }: Violation, spelling: Spelling): string {
  if (spelling.version === 'v1') return v1
  return behind ? v2 : `${spelling.request}.${v2}`
}
