/**
 * The requests of Google's products that call services: Pub/Sub push, Cloud Scheduler, Cloud Tasks and Eventarc, with the headers and
 * bodies of their documentation and of requests that public projects recorded (facts 6.5).
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Place } from '../state/names.ts'

const text = z.string().min(1)
const token = z.string().regex(/^[!#$%&'*+.^_`|~\w-]+$/, 'a header name')
const headers = z.record(token, z.string().regex(/^[^\r\n]*$/, 'one line'))
const method = z.enum(['POST', 'GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])
/** A string as it is, anything else as JSON. */
const body = z.unknown().optional()

/** To whom, and as whom. Without `serviceAccount` no token is sent. */
const common = {
  /** The URL of a service, with path and query. */
  url: z.url({ protocol: /^https?$/, error: 'the URL of a service' }).optional(),
  /** The name of a service, in place of its URL; `path` is then what follows it. */
  service: text.optional(),
  region: text.optional(),
  path: z.string().startsWith('/').optional(),
  serviceAccount: z.email().optional(),
  /** Default: what the product itself would say. */
  audience: text.optional(),
}

export const pushSchema = z.discriminatedUnion('product', [
  z.strictObject({
    product: z.literal('pubsub'),
    ...common,
    body,
    attributes: z.record(text, z.string()).optional(),
    orderingKey: text.optional(),
    /** `projects/P/subscriptions/S`, or S alone. */
    subscription: text.default('push'),
  }),
  z.strictObject({
    product: z.literal('scheduler'),
    ...common,
    body,
    method: method.default('POST'),
    headers: headers.default({}),
    job: text.default('job'),
  }),
  z.strictObject({
    product: z.literal('tasks'),
    ...common,
    body,
    method: method.default('POST'),
    headers: headers.default({}),
    queue: text.default('queue'),
    task: text.optional(),
    retryCount: z.int().min(0).default(0),
    executionCount: z.int().min(0).default(0),
  }),
  z.strictObject({
    product: z.literal('eventarc'),
    ...common,
    body,
    /** CloudEvents: `google.cloud.storage.object.v1.finalized`, `//storage.googleapis.com/projects/_/buckets/b`, … */
    type: text,
    source: text,
    subject: text.optional(),
    id: text.optional(),
    time: text.optional(),
    /** Further attributes, such as `bucket`. */
    attributes: z.record(z.string().regex(/^[a-z0-9]+$/), z.string()).default({}),
  }),
])

export type Push = z.infer<typeof pushSchema>

export interface PushRequest {
  readonly method: string
  readonly url: URL
  readonly audience: string
  /** Names and values in turn. */
  readonly headers: readonly string[]
  readonly body: string
}

/** What a product sends to a URL. `now`: milliseconds since the epoch. */
export function pushRequest(push: Push, target: URL, place: Place, now: number): PushRequest {
  switch (push.product) {
    case 'pubsub':
      return pubsub(push, target, place, now)
    case 'scheduler':
      return scheduler(push, target, now)
    case 'tasks':
      return tasks(push, target, now)
    case 'eventarc':
      return eventarc(push, target, now)
  }
}

type Of<P extends Push['product']> = Extract<Push, { readonly product: P }>

/** facts 6.5. Authenticated pushes carry the user agent of Google's APIs, not `CloudPubSub-Google` (seen in Cloud Run's logs). */
const APIS = [
  'Content-Type',
  'application/json',
  'Accept',
  'application/json',
  'From',
  'noreply@google.com',
  'User-Agent',
  'APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)',
]
/** What the products' documentation does not name (inferred). */
const ACCEPT = ['Accept', '*/*']
const ENCODINGS = ['Accept-Encoding', 'gzip, deflate, br']

function pubsub(push: Of<'pubsub'>, url: URL, { projectId }: Place, now: number): PushRequest {
  const messageId = digits(16)
  const publishTime = new Date(now).toISOString()
  const data = payload(push.body)
  const message = {
    ...(push.attributes ? { attributes: push.attributes } : {}),
    ...(data === '' ? {} : { data: Buffer.from(data).toString('base64') }),
    // Both spellings, as recorded.
    messageId,
    message_id: messageId,
    ...(push.orderingKey === undefined ? {} : { orderingKey: push.orderingKey }),
    publishTime,
    publish_time: publishTime,
  }
  const { subscription } = push
  const full = subscription.includes('/')
    ? subscription
    : `projects/${projectId}/subscriptions/${subscription}`
  return {
    method: 'POST',
    url,
    // The API's reference: "if not specified, the Push endpoint URL will be used".
    audience: push.audience ?? url.href,
    headers: [...APIS, ...ENCODINGS],
    body: JSON.stringify({ message, subscription: full }),
  }
}

function scheduler(push: Of<'scheduler'>, url: URL, now: number): PushRequest {
  const body = payload(push.body)
  const own = [
    'X-CloudScheduler',
    'true',
    'X-CloudScheduler-JobName',
    push.job,
    'X-CloudScheduler-ScheduleTime',
    new Date(now).toISOString().replace(/\.\d+/, ''),
  ]
  const given = withoutReserved(
    push.headers,
    /^(?:x-google-|x-appengine-|x-cloudscheduler|host$|content-length$|user-agent$)/i,
  )
  const typed =
    hasHeader(given, 'content-type') || body === '' ? [] : ['Content-Type', 'application/octet-stream']
  return {
    method: push.method,
    url,
    audience: push.audience ?? url.href,
    // The API's reference: what is set comes before `Google-Cloud-Scheduler`.
    headers: [
      ...given,
      ...typed,
      ...own,
      ...userAgent(push.headers, 'Google-Cloud-Scheduler'),
      ...ACCEPT,
      ...ENCODINGS,
    ],
    body,
  }
}

function tasks(push: Of<'tasks'>, url: URL, now: number): PushRequest {
  const body = payload(push.body)
  const own = [
    'X-CloudTasks-QueueName',
    push.queue,
    'X-CloudTasks-TaskName',
    push.task ?? digits(20),
    'X-CloudTasks-TaskRetryCount',
    String(push.retryCount),
    'X-CloudTasks-TaskExecutionCount',
    String(push.executionCount),
    'X-CloudTasks-TaskETA',
    (now / 1000).toFixed(6),
  ]
  // The API's reference: these are replaced; a content type is set by whoever makes the task, or not at all.
  const given = withoutReserved(
    push.headers,
    /^(?:x-google-|x-appengine-|x-cloudtasks-|host$|content-length$|user-agent$)/i,
  )
  return {
    method: push.method,
    url,
    audience: push.audience ?? url.href,
    headers: [...given, ...own, 'User-Agent', 'Google-Cloud-Tasks', ...ACCEPT, ...ENCODINGS],
    body,
  }
}

function eventarc(push: Of<'eventarc'>, target: URL, now: number): PushRequest {
  const attributes: Readonly<Record<string, string | undefined>> = {
    id: push.id ?? randomUUID(),
    source: push.source,
    specversion: '1.0',
    type: push.type,
    subject: push.subject,
    time: push.time ?? new Date(now).toISOString(),
    ...push.attributes,
  }
  const ce = Object.entries(attributes).flatMap(([name, value]) =>
    value === undefined ? [] : [`ce-${name}`, value],
  )
  const url = new URL(target)
  url.searchParams.set('__GCP_CloudEventsMode', eventMode(push))
  return {
    method: 'POST',
    url,
    // facts 6.4: Eventarc makes its subscriptions with the origin alone.
    audience: push.audience ?? target.origin,
    headers: [...APIS, ...ENCODINGS, ...ce],
    body: payload(push.body ?? {}),
  }
}

/** What Eventarc's push subscriptions were seen to add to the URL, by where the events come from. */
function eventMode({ type, source }: Of<'eventarc'>): string {
  if (type.startsWith('google.cloud.pubsub.topic.'))
    return `CUSTOM_PUBSUB_${source.replace(/^\/\/pubsub\.googleapis\.com\//, '')}`
  return type.startsWith('google.cloud.storage.object.') ? 'GCS_NOTIFICATION' : 'CE_PUBSUB_BINDING'
}

function payload(value: unknown): string {
  if (value === undefined) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function withoutReserved(given: Readonly<Record<string, string>>, reserved: RegExp): readonly string[] {
  return Object.entries(given).flatMap(([name, value]) => (reserved.test(name) ? [] : [name, value]))
}

function hasHeader(list: readonly string[], name: string): boolean {
  return list.some((item, index) => index % 2 === 0 && item.toLowerCase() === name)
}

function userAgent(given: Readonly<Record<string, string>>, product: string): readonly string[] {
  const own = Object.entries(given).find(([name]) => name.toLowerCase() === 'user-agent')?.[1]
  return ['User-Agent', own === undefined ? product : `${own} ${product}`]
}

function digits(count: number): string {
  const number = BigInt(`0x${randomBytes(16).toString('hex')}`)
  return `1${(number % 10n ** BigInt(count - 1)).toString().padStart(count - 1, '0')}`
}
