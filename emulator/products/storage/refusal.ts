/** How Cloud Storage refuses: the JSON API's older error shape, plain text for media, XML for the XML API. */
import { ApiError } from '../../rest/errors.ts'

const REASONS = {
  invalid: 400,
  required: 401,
  authError: 401,
  forbidden: 403,
  notFound: 404,
  conflict: 409,
  conditionNotMet: 412,
  requestedRangeNotSatisfiable: 416,
  clientClosedRequest: 499,
} as const

export type Reason = keyof typeof REASONS

interface Extras {
  /** The header or parameter that is at fault. */
  readonly location?: { readonly type: 'header' | 'parameter'; readonly name: string }
  /** The XML API's code, where it is not that of the reason. */
  readonly xml?: 'NoSuchBucket' | 'NoSuchKey'
}

/** Thrown below a route of Cloud Storage. Unlike newer APIs it has no `status` word. */
export class StorageRefusal extends Error {
  readonly reason: Reason
  readonly extras: Extras

  constructor(reason: Reason, message: string, extras: Extras = {}) {
    super(message)
    this.reason = reason
    this.extras = extras
  }

  get code(): number {
    return REASONS[this.reason]
  }
}

export function noSuchBucket(): StorageRefusal {
  return new StorageRefusal('notFound', 'The specified bucket does not exist.', { xml: 'NoSuchBucket' })
}

export function noSuchObject(bucket: string, name: string): StorageRefusal {
  return new StorageRefusal('notFound', `No such object: ${bucket}/${name}`, { xml: 'NoSuchKey' })
}

export function rangeNotSatisfiable(): StorageRefusal {
  return new StorageRefusal('requestedRangeNotSatisfiable', 'Request range not satisfiable', {
    location: { type: 'header', name: 'Range' },
  })
}

/** Which of its tongues the API was spoken to in. */
export type ErrorFormat = 'json' | 'media' | 'xml'

/** The response to a refusal; undefined where the error is none. */
export function refusalResponse(error: unknown, format: ErrorFormat): Response | undefined {
  if (error instanceof ApiError) return jsonResponse(error.code, error.body(), error.challenge)
  if (!(error instanceof StorageRefusal)) return undefined
  const { code, message, reason, extras } = error
  if (format === 'xml') return xmlResponse(error)
  // Downloads fail in plain words, which Google labels as HTML.
  if (format === 'media' && reason === 'notFound') {
    return new Response(message, { status: code, headers: { 'Content-Type': 'text/html; charset=UTF-8' } })
  }
  const place = extras.location && {
    locationType: extras.location.type,
    location: extras.location.name,
  }
  const body = { error: { code, message, errors: [{ message, domain: 'global', reason, ...place }] } }
  return jsonResponse(code, body, code === 401 ? CHALLENGE : undefined)
}

const CHALLENGE = 'Bearer realm="https://accounts.google.com/"'

function jsonResponse(status: number, body: object, challenge?: string): Response {
  return new Response(`${JSON.stringify(body, null, 2)}\n`, {
    status,
    headers: {
      'Content-Type': 'application/json; charset=UTF-8',
      ...(challenge ? { 'WWW-Authenticate': challenge } : {}),
    },
  })
}

const XML: Partial<Record<Reason, readonly [code: string, message: string]>> = {
  required: ['AuthenticationRequired', 'Authentication required.'],
  authError: ['AuthenticationRequired', 'Authentication required.'],
  forbidden: ['AccessDenied', 'Access denied.'],
  requestedRangeNotSatisfiable: ['InvalidRange', 'The requested range cannot be satisfied.'],
}

const XML_NOT_FOUND = {
  NoSuchBucket: 'The specified bucket does not exist.',
  NoSuchKey: 'The specified key does not exist.',
} as const

function xmlResponse({ reason, code, message, extras }: StorageRefusal): Response {
  const [name, text] = extras.xml
    ? [extras.xml, XML_NOT_FOUND[extras.xml]]
    : (XML[reason] ?? ['InvalidArgument', 'Invalid argument.'])
  const details = message === text ? '' : `<Details>${escaped(message)}</Details>`
  return new Response(
    `<?xml version='1.0' encoding='UTF-8'?><Error><Code>${name}</Code><Message>${text}</Message>${details}</Error>`,
    { status: code, headers: { 'Content-Type': 'application/xml; charset=UTF-8' } },
  )
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
