/** What of a project's documents cannot be here is left out, and said: revisions of before, accounts and roles of others. */
import { z } from 'zod'
import { ConfigError } from '../config.ts'
import type { ApplyOptions, PolicyManifest, ServiceManifest } from '../manifests.ts'

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
  { call, project, region, log }: ApplyOptions,
): Promise<ServiceManifest> {
  const read = traffic.safeParse(service.document)
  if (!read.success) return service
  const host = `${service.region ?? region}-run.googleapis.com`
  const missing = new Set<string>()
  for (const { revisionName } of read.data.spec.traffic) {
    if (revisionName === undefined) continue
    const path = `/apis/serving.knative.dev/v1/namespaces/${project}/revisions/${revisionName}`
    if ((await call('GET', host, path)).status === 404) missing.add(revisionName)
  }
  if (missing.size === 0) return service
  log(
    `${service.file}: ${service.name} sends its traffic to the latest revision: ${[...missing].join(', ')} is not here`,
  )
  const spec = { ...read.data.spec, traffic: [{ latestRevision: true, percent: 100 }] }
  return { ...service, document: { ...service.document, spec } }
}

// facts 6.9: the sentences by which a policy is refused for what does not exist.
const ABSENT =
  /Service account (?<member>\S+) does not exist\.|Role \(?(?<role>[^\s)]+)\)? (?:does not exist|is not supported)/

/** Applies a policy without the members and roles that do not exist here. Its project's policy keeps whoever owns the emulator. */
export async function fitPolicy(
  manifest: PolicyManifest,
  owner: string,
  applyOne: (fitted: PolicyManifest) => Promise<void>,
  log: (line: string) => void,
): Promise<void> {
  const { file, service } = manifest
  let policy = bindings.parse(manifest.policy)
  if (service === undefined && !owns(policy, owner)) {
    const kept = { role: 'roles/owner', members: [`user:${owner}`] }
    policy = { ...policy, bindings: [...policy.bindings, kept] }
    log(`${file}: user:${owner}, who owns the emulator (--account), stays an owner`)
  }
  for (;;) {
    const members = policy.bindings.flatMap((binding) => binding.members)
    try {
      return await applyOne({ ...manifest, members, policy })
    } catch (error) {
      const absent = error instanceof ConfigError ? ABSENT.exec(error.message)?.groups : undefined
      const fewer = absent && without(policy, absent)
      if (!fewer) throw error
      log(`${file}: left out ${absent.role ?? `serviceAccount:${absent.member}`}, which does not exist here`)
      policy = fewer
    }
  }
}

const etagAlone = z.strictObject({
  etag: z.string().optional(),
  bindings: z.array(z.unknown()).max(0).optional(),
})

/** facts 6.9: a policy that nobody has set is its etag alone. True where the document says so, and nobody has set it here either. */
export async function isUnset(
  { service, region: named, policy }: PolicyManifest,
  { call, project, region }: ApplyOptions,
): Promise<boolean> {
  if (service === undefined || !etagAlone.safeParse(policy).success) return false
  const resource = `/v1/projects/${project}/locations/${named ?? region}/services/${service}`
  const { body } = await call('GET', 'run.googleapis.com', `${resource}:getIamPolicy`)
  return etagAlone.safeParse(body).success
}

type PolicyDocument = z.infer<typeof bindings>

/** Undefined where that would change nothing. */
function without(
  policy: PolicyDocument,
  { member, role }: { readonly member?: string; readonly role?: string },
): PolicyDocument | undefined {
  const changed = policy.bindings
    .filter((binding) => binding.role !== role)
    .map((binding) => ({
      ...binding,
      members: binding.members.filter(
        (other) => other.toLowerCase() !== `serviceaccount:${member}`.toLowerCase(),
      ),
    }))
  const same = JSON.stringify(changed) === JSON.stringify(policy.bindings)
  return same ? undefined : { ...policy, bindings: changed }
}

function owns({ bindings: all }: PolicyDocument, owner: string): boolean {
  return all.some(
    ({ role, members, condition }) =>
      role === 'roles/owner' && condition === undefined && members.includes(`user:${owner}`),
  )
}
