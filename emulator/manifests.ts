/**
 * Google's own documents, applied: services as `gcloud run services replace` takes them (and `describe` and `list` print
 * them), and policies as `get-iam-policy` prints them. A policy does not say whose it is, so its file does:
 * `SERVICE.policy.yaml`, `SERVICE.REGION.policy.yaml` outside the usual region, and `policy.yaml` for the project's.
 *
 * They go through Google's REST calls, as the project's owner would make them.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { type Answer, type Google, sentenceOf } from './client/google.ts'
import { InvokerError, reasonOf } from './errors/errors.ts'

export interface Manifests {
  readonly services: readonly ServiceManifest[]
  readonly policies: readonly PolicyManifest[]
}

export interface ServiceManifest {
  readonly file: string
  readonly name: string
  /** From the label that `describe` prints; undefined is the emulator's own region. */
  readonly region: string | undefined
  readonly serviceAccount: string | undefined
  /** The whole document, as it goes to the API. */
  readonly document: Readonly<Record<string, unknown>>
}

export interface PolicyManifest {
  readonly file: string
  /** Undefined is the project. */
  readonly service: string | undefined
  /** Undefined is that of the service's manifest, or the emulator's own. */
  readonly region: string | undefined
  readonly members: readonly string[]
  readonly policy: Readonly<Record<string, unknown>>
}

export interface ApplyOptions {
  /** Called by the project's owner. Its region is that of documents that name none. */
  readonly google: Google
  /** Lines about what was done beside what the documents say. */
  readonly log: (line: string) => void
}

/** What was applied to the state that is kept, and what not: state/applied.ts. */
export interface AppliedRecord {
  standing(of: string, documents: readonly object[]): 'new' | 'changed' | 'unchanged'
  applied(of: string, documents: readonly object[]): void
  keepOnly(kind: RegExp, described: ReadonlySet<string>): void
}

const DOCUMENT = /\.(?:ya?ml|json)$/i
// A service's name holds no dot.
const POLICY = /^(?:(?<service>[^.]+)\.(?:(?<region>[^.]+)\.)?)?policy\.(?:ya?ml|json)$/i

const serviceDocument = z.looseObject({
  kind: z.literal('Service'),
  metadata: z.looseObject({ name: z.string().min(1), labels: z.record(z.string(), z.string()).optional() }),
  spec: z
    .looseObject({
      template: z
        .looseObject({ spec: z.looseObject({ serviceAccountName: z.string().optional() }).optional() })
        .optional(),
    })
    .optional(),
})
/** A policy that nobody has set is an etag alone. */
const anyPolicy = z.looseObject({ kind: z.undefined().optional(), etag: z.string() })
const policyDocument = z.looseObject({
  bindings: z
    .array(z.looseObject({ role: z.string(), members: z.array(z.string()).default([]) }))
    .default([]),
})

/** Reads a file, or every YAML and JSON file of a folder in the order of their names. */
export function readManifests(path: string): Manifests {
  const services: ServiceManifest[] = []
  const policies: PolicyManifest[] = []
  for (const file of filesAt(path)) {
    const named = POLICY.exec(basename(file))
    for (const document of documentsOf(file)) {
      if (named) policies.push(policyManifest(file, named.groups ?? {}, document))
      else services.push(serviceManifest(file, document))
    }
  }
  return { services, policies }
}

/** @throws {InvokerError} ERR_GOOGLE, in Google's own words, for a document that is refused */
export async function applyManifests(
  { services, policies }: Manifests,
  options: ApplyOptions,
): Promise<void> {
  await createAccounts({ services, policies }, options)
  const regions = regionsOf(services, options)
  for (const service of services) await applyService(service, options)
  for (const policy of policies) await applyPolicy(policy, regions, options)
}

/**
 * Applies what is not kept as it stands: a document counts once, and again when it has changed. In between the state counts, so
 * what was changed by a call survives a restart. One line for each document of which that decides something.
 */
export async function applyOnce(
  { services, policies }: Manifests,
  record: AppliedRecord,
  options: ApplyOptions,
): Promise<void> {
  const regions = regionsOf(services, options)
  const units = new Map<string, Unit>()
  const unit = (of: string) => {
    const known = units.get(of) ?? { of, services: [], policies: [] }
    units.set(of, known)
    return known
  }
  for (const service of services)
    unit(`service ${regions.get(service.name)}/${service.name}`).services.push(service)
  for (const policy of policies)
    unit(`policy of ${policyOwner(policy, regions, options)}`).policies.push(policy)

  record.keepOnly(/^(?:service|policy of) /, new Set(units.keys()))
  for (const each of units.values()) await applyUnit(each, regions, record, options)
}

/** The documents that describe one thing. */
interface Unit {
  readonly of: string
  readonly services: ServiceManifest[]
  readonly policies: PolicyManifest[]
}

async function applyUnit(
  { of, services, policies }: Unit,
  regions: Regions,
  record: AppliedRecord,
  options: ApplyOptions,
): Promise<void> {
  const documents = [...services.map(({ document }) => document), ...policies.map(({ policy }) => policy)]
  const [{ file } = { file: of }] = [...services, ...policies]
  const standing = record.standing(of, documents)
  if (standing === 'unchanged') {
    options.log(`${file}: applied before and not changed since: the ${of} stays as it was left`)
    return
  }
  if (standing === 'changed')
    options.log(`${file}: changed since it was applied: it replaces the ${of} that was kept`)
  await createAccounts({ services, policies }, options)
  for (const service of services) await applyService(service, options)
  for (const policy of policies) await applyPolicy(policy, regions, options)
  record.applied(of, documents)
}

type Regions = ReadonlyMap<string, string>

function regionsOf(services: readonly ServiceManifest[], { google }: ApplyOptions): Regions {
  return new Map(services.map((service) => [service.name, service.region ?? google.region]))
}

async function applyService(
  { file, name, region, document }: ServiceManifest,
  { google, log }: ApplyOptions,
): Promise<void> {
  const collection = `/apis/serving.knative.dev/v1/namespaces/${google.project}/services`
  const host = `${region ?? google.region}-run.googleapis.com`
  const { status } = await google.request('GET', host, `${collection}/${name}`)
  const answer =
    status === 404
      ? await google.request('POST', host, collection, document)
      : await google.request('PUT', host, `${collection}/${name}`, document)
  accepted(file, answer)
  const trouble = notReady.safeParse(answer.body)
  const failed = trouble.data?.status.conditions.find(
    ({ type, status: ok }) => type === 'Ready' && ok === 'False',
  )
  if (failed) log(`${file}: ${name} does not serve: ${failed.message ?? 'no reason given'}`)
}

async function applyPolicy(
  { file, service, policy, region }: PolicyManifest,
  regions: Regions,
  { google }: ApplyOptions,
): Promise<void> {
  const path = `/v1/projects/${google.project}`
  const [host, resource] =
    service === undefined
      ? ['cloudresourcemanager.googleapis.com', path]
      : [
          'run.googleapis.com',
          `${path}/locations/${region ?? regions.get(service) ?? google.region}/services/${service}`,
        ]
  accepted(file, await google.request('POST', host, `${resource}:setIamPolicy`, { policy }))
}

function policyOwner(
  { service, region }: PolicyManifest,
  regions: Regions,
  { google }: ApplyOptions,
): string {
  if (service === undefined) return `project ${google.project}`
  return `service ${region ?? regions.get(service) ?? google.region}/${service}`
}

/** What is named exists: a manifest from another project must not fail for an account that nobody made here. */
export async function createAccounts(
  { services, policies }: Manifests,
  { google, log }: ApplyOptions,
): Promise<void> {
  const { project } = google
  const named = [
    ...services.map(({ file, serviceAccount }) => [serviceAccount, file] as const),
    ...policies.flatMap(({ file, members }) =>
      members.map((member) => [/^serviceAccount:(.+)$/.exec(member)?.[1], file] as const),
    ),
  ]
  const domain = `@${project}.iam.gserviceaccount.com`
  for (const [email, file] of new Map(named)) {
    if (!email?.endsWith(domain)) continue
    const accounts = `/v1/projects/${project}/serviceAccounts`
    const { status } = await google.request('GET', 'iam.googleapis.com', `${accounts}/${email}`)
    if (status !== 404) continue
    const accountId = email.slice(0, -domain.length)
    accepted(
      file,
      await google.request('POST', 'iam.googleapis.com', accounts, { accountId, serviceAccount: {} }),
    )
    log(`${file}: created service account ${email}`)
  }
}

const notReady = z.object({
  status: z.object({
    conditions: z.array(z.object({ type: z.string(), status: z.string(), message: z.string().optional() })),
  }),
})

function accepted(file: string, { status, body }: Answer): void {
  if (status < 300) return
  const said = sentenceOf(body) ?? `answered ${status}`
  throw new InvokerError('ERR_GOOGLE', `${file} cannot be applied: ${said}`, { status })
}

function unusable(sentence: string, cause?: unknown): InvokerError {
  return new InvokerError('ERR_CONFIG', sentence, { cause })
}

function filesAt(path: string): readonly string[] {
  let files: readonly string[]
  try {
    if (!statSync(path).isDirectory()) return [path]
    files = readdirSync(path)
  } catch (error) {
    throw unusable(
      `manifests: expected a file or folder that can be read, got ${JSON.stringify(path)} (${reasonOf(error)}).`,
    )
  }
  const documents = files.filter((name) => DOCUMENT.test(name)).sort()
  if (documents.length > 0) return documents.map((name) => join(path, name))
  throw unusable(
    `manifests: expected a folder with .yaml, .yml or .json files, and ${JSON.stringify(path)} has none.`,
  )
}

/** A file holds documents one after the other, or, as `--format=json` prints them, a list. */
function documentsOf(file: string): readonly unknown[] {
  const documents = parseAllDocuments(readFileSync(file, 'utf8'))
  return [...documents].flatMap((document) => {
    const [problem] = document.errors
    if (problem) throw unusable(`${file} is not YAML: ${problem.message.split('\n')[0]}`)
    const value: unknown = document.toJS()
    return Array.isArray(value) ? value : value === null ? [] : [value]
  })
}

function serviceManifest(file: string, value: unknown): ServiceManifest {
  if (anyPolicy.safeParse(value).success)
    throw unusable(
      `${file}: a policy does not say whose it is. Name its file SERVICE.policy.yaml, or policy.yaml for the project's.`,
    )
  const document = checked(
    file,
    serviceDocument,
    value,
    'a Knative service, as gcloud run services describe prints it',
  )
  const { resourceVersion: _, ...metadata } = document.metadata
  return {
    file,
    name: metadata.name,
    region: metadata.labels?.['cloud.googleapis.com/location'],
    serviceAccount: document.spec?.template?.spec?.serviceAccountName?.toLowerCase(),
    // What was read when the document was printed is no condition now.
    document: { ...document, metadata },
  }
}

function policyManifest(
  file: string,
  { service, region }: { readonly service?: string; readonly region?: string },
  value: unknown,
): PolicyManifest {
  const expected = 'a policy, as gcloud run services get-iam-policy prints it'
  const { etag: _, ...policy } = checked(file, policyDocument, value, expected)
  return { file, service, region, members: policy.bindings.flatMap(({ members }) => members), policy }
}

function checked<S extends z.ZodType>(
  file: string,
  schema: S,
  value: unknown,
  expected: string,
): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw unusable(`${file}: expected ${expected}; ${issue?.path.join('.') || 'document'}: ${issue?.message}.`)
}
