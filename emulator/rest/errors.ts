/** Google's one error shape: `{"error":{"code","message","status","details"}}`, and the statuses there are. */

/** gRPC's codes by name, each with its number and the HTTP status it becomes (google.rpc.Code). */
const STATUSES = {
  INVALID_ARGUMENT: { grpc: 3, http: 400 },
  FAILED_PRECONDITION: { grpc: 9, http: 400 },
  UNAUTHENTICATED: { grpc: 16, http: 401 },
  PERMISSION_DENIED: { grpc: 7, http: 403 },
  NOT_FOUND: { grpc: 5, http: 404 },
  ABORTED: { grpc: 10, http: 409 },
  ALREADY_EXISTS: { grpc: 6, http: 409 },
  INTERNAL: { grpc: 13, http: 500 },
  // Google's 501. Here it is said of what the emulator leaves out, and gcloud retries a 5xx for half a minute (facts gcloud 4.2).
  UNIMPLEMENTED: { grpc: 12, http: 400 },
} as const

export type Status = keyof typeof STATUSES

/** A `google.rpc` detail: `@type` and its members. */
export interface Detail {
  readonly '@type': string
  readonly [member: string]: unknown
}

export interface FieldViolation {
  readonly field: string
  readonly description: string
}

interface ErrorExtras {
  readonly details?: readonly Detail[]
  /** The older APIs' `errors[].reason`, such as `notFound`. */
  readonly reason?: string
  /** Value of the `WWW-Authenticate` response header. */
  readonly challenge?: string
  readonly cause?: unknown
}

/** What an API answers instead of a resource. Thrown anywhere below a route, rendered in one place. */
export class ApiError extends Error {
  readonly status: Status
  readonly details: readonly Detail[]
  readonly reason: string | undefined
  readonly challenge: string | undefined

  constructor(status: Status, message: string, { details = [], reason, challenge, cause }: ErrorExtras = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.status = status
    this.details = details
    this.reason = reason
    this.challenge = challenge
  }

  get code(): 400 | 401 | 403 | 404 | 409 | 500 {
    return STATUSES[this.status].http
  }

  /** The number that a long-running operation carries. */
  get grpcCode(): number {
    return STATUSES[this.status].grpc
  }

  /** The response body, members in Google's order. */
  body(): { readonly error: Readonly<Record<string, unknown>> } {
    return {
      error: {
        code: this.code,
        message: this.message,
        ...(this.reason
          ? { errors: [{ message: this.message, domain: 'global', reason: this.reason }] }
          : {}),
        status: this.status,
        ...(this.details.length ? { details: this.details } : {}),
      },
    }
  }
}

/** A request that breaks the rules of its message: one line a violation. */
export function badRequest(message: string, violations: readonly FieldViolation[]): ApiError {
  const details = [{ '@type': 'type.googleapis.com/google.rpc.BadRequest', fieldViolations: violations }]
  return new ApiError('INVALID_ARGUMENT', message, { details })
}

export function invalid(message: string): ApiError {
  return new ApiError('INVALID_ARGUMENT', message)
}

export function notFound(message: string): ApiError {
  return new ApiError('NOT_FOUND', message)
}

export function denied(message: string, details: readonly Detail[] = []): ApiError {
  return new ApiError('PERMISSION_DENIED', message, { details })
}

export function errorInfo(
  reason: string,
  domain: string,
  metadata: Readonly<Record<string, string>>,
): Detail {
  return { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason, domain, metadata }
}
