/** What of a project's documents cannot be here is left out, and said: revisions of before, accounts and roles of others. */
import { z } from 'zod'
import type { Control } from '../client/control.ts'
import { type ApplyOptions, createAccounts, type PolicyManifest, type ServiceManifest } from '../manifests.ts'

export interface FitOptions extends ApplyOptions {
  readonly control: Control
  /** The email of whoever owns the emulator. */
  readonly owner: string
}

const traffic = z.looseObject({
  spec: z.looseObject({ traffic: z.array(z.looseObject({ revisionName: z.string().optional() })) }),
})
const bindings = z.looseObject({
  bindings: z
    .array(z.looseObject({ role: z.string(), members: z.array(z.string()).default([]) }))
    .default([]),
})

/** Traffic to revisions that are not here goes to the latest one. */
export async function fitService(
  service: ServiceManifest,
  { google, log }: ApplyOptions,
): Promise<ServiceManifest> {
  const { project, region } = google
  const read = traffic.safeParse(service.document)
  if (!read.success) return service
  const host = `${service.region ?? region}-run.googleapis.com`
  const missing = new Set<string>()
  for (const { revisionName } of read.data.spec.traffic) {
    if (revisionName === undefined) continue
    const path = `/apis/serving.knative.dev/v1/namespaces/${project}/revisions/${revisionName}`
    if ((await google.request('GET', host, path)).status === 404) missing.add(revisionName)
  }
  if (missing.size === 0) return service
  log(
    `${service.file}: ${service.name} sends its traffic to the latest revision: ${[...missing].join(', ')} is not here`,
  )
  const spec = { ...read.data.spec, traffic: [{ latestRevision: true, percent: 100 }] }
  return { ...service, document: { ...service.document, spec } }
}

/** A policy without the members and roles that do not exist here; accounts of its own project are made first. Its project's policy keeps whoever owns the emulator. */
export async function fitPolicy(manifest: PolicyManifest, options: FitOptions): Promise<PolicyManifest> {
  const { control, owner, log } = options
  const { file, service } = manifest
  const policy = bindings.parse(manifest.policy)
  const isProject = service === undefined
  const all = [...policy.bindings]
  if (isProject && !owns(policy, owner)) {
    all.push({ role: 'roles/owner', members: [`user:${owner}`] })
    log(`${file}: user:${owner}, who owns the emulator (--account), stays an owner`)
  }
  await createAccounts({ services: [], policies: [manifest] }, options)
  const absent = await control.absent(
    all.map(({ role, members }) => ({ role, members })),
    !isProject,
  )
  for (const one of [...absent.members, ...absent.roles])
    log(`${file}: left out ${one}, which does not exist here`)
  const kept = all
    .filter(({ role }) => !absent.roles.includes(role))
    .map((binding) => ({
      ...binding,
      members: binding.members.filter((one) => !absent.members.includes(one)),
    }))
  return {
    ...manifest,
    members: kept.flatMap((binding) => binding.members),
    policy: { ...policy, bindings: kept },
  }
}

const etagAlone = z.strictObject({
  etag: z.string().optional(),
  bindings: z.array(z.unknown()).max(0).optional(),
})

/** facts 6.9: a policy that nobody has set is its etag alone. True where the document says so, and nobody has set it here either. */
export async function isUnset(
  { service, region: named, policy }: PolicyManifest,
  { google }: ApplyOptions,
): Promise<boolean> {
  if (service === undefined || !etagAlone.safeParse(policy).success) return false
  const resource = `/v1/projects/${google.project}/locations/${named ?? google.region}/services/${service}`
  const { body } = await google.request('GET', 'run.googleapis.com', `${resource}:getIamPolicy`)
  return etagAlone.safeParse(body).success
}

type PolicyDocument = z.infer<typeof bindings>

function owns({ bindings: all }: PolicyDocument, owner: string): boolean {
  return all.some(
    ({ role, members, condition }) =>
      role === 'roles/owner' && condition === undefined && members.includes(`user:${owner}`),
  )
}
