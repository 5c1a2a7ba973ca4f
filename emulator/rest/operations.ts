/** Long-running operations: resources that are kept, so that whoever asks later finds out how it ended. */
import type { run_v2 } from '@googleapis/run'
import type { Operations, Timed } from '../state/parts.ts'
import type { Operation } from '../state/resources.ts'
import { type ApiError, notFound } from './errors.ts'

export type Outcome =
  | { readonly response: Readonly<Record<string, unknown>> }
  | { readonly error: Pick<ApiError, 'grpcCode' | 'message' | 'status'> }

/** Keeps an operation that has ended. `response` and `metadata` carry their `@type`. */
export function keepOperation(
  state: Operations & Timed,
  name: string,
  outcome: Outcome,
  metadata?: Readonly<Record<string, unknown>>,
): Operation {
  const operation: Operation = {
    name,
    done: true,
    createTime: state.timestamp(),
    ...(metadata ? { metadata } : {}),
    ...('response' in outcome
      ? { response: outcome.response }
      : {
          error: {
            code: outcome.error.grpcCode,
            message: outcome.error.message,
            status: outcome.error.status,
          },
        }),
  }
  state.operations.put(name, operation)
  return operation
}

export function operationAt(state: Operations & Timed, name: string): Operation {
  const operation = state.operations.get(name)
  // Inferred wording.
  if (!operation) throw notFound(`Operation '${name}' does not exist.`)
  return operation
}

export function showOperation({ name, done, metadata, response, error }: Operation) {
  return {
    name,
    ...(metadata ? { metadata } : {}),
    ...(done ? { done } : {}),
    ...(response ? { response } : {}),
    ...(error ? { error: { code: error.code, message: error.message } } : {}),
  } satisfies run_v2.Schema$GoogleLongrunningOperation
}
