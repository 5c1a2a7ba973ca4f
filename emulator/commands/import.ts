/**
 * `emulator import`: gives a running emulator the services and policies of a project, as `gcloud run services list` or
 * `describe`, `get-iam-policy` and `gcloud projects get-iam-policy` print them, from files or from a live gcloud.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InvokerError, isError } from '../errors/errors.ts'
import { applyManifests, type Manifests, readManifests } from '../manifests.ts'
import { DONE, EXIT_CODES, newCommand, parse } from './command.ts'
import { type FitOptions, fitPolicy, fitService, isUnset } from './fit.ts'
import { fetchDocuments } from './live.ts'
import { controlAt, googleAt, urlOption, usualUrl } from './running.ts'

interface Options {
  readonly url?: URL
  readonly project: string
  readonly region?: string
  readonly live?: true
}

/** The exit code says where a document was refused. */
export async function importDocuments(args: readonly string[]): Promise<number> {
  const command = newCommand(
    'emulator import',
    "Gives a running emulator a project's services and policies, as gcloud prints them.",
  )
    .allowExcessArguments()
    .argument(
      '[files...]',
      'files or folders: services, SERVICE.policy.yaml, SERVICE.REGION.policy.yaml, policy.yaml (or .json)',
    )
    .addOption(urlOption())
    .requiredOption('--project <id>', 'the project that they are of')
    .option('--region <region>', "region of services that name none (the emulator's)")
    .option('--live', "asks gcloud for them, by this shell's own configuration")
  const { options, operands } = parse<Options>(command, args)
  const { url = usualUrl(process.env), project, region, live } = options
  if ((live === true) === operands.length > 0)
    throw new InvokerError('ERR_USAGE', 'expected files or folders, or --live.')
  const control = controlAt(url)
  const facts = await control.environment()
  if (project !== facts.project)
    throw new InvokerError('ERR_USAGE', `the emulator at ${url.origin} is project ${facts.project}.`, {
      mend: `Start it with --project ${project} and that project's --project-number.`,
    })
  const manifests = await (live ? fromLive(options) : fromFiles(operands))
  const log = (line: string) => void process.stderr.write(`${line}\n`)
  const google = googleAt(url, facts, region)
  return apply(manifests, { google, control, owner: facts.account, log })
}

function fromFiles(files: readonly string[]): Manifests {
  const read = files.map(readManifests)
  return {
    services: read.flatMap(({ services }) => services),
    policies: read.flatMap(({ policies }) => policies),
  }
}

/** What gcloud prints goes by the same road as files of it. */
async function fromLive({ project, region }: Pick<Options, 'project' | 'region'>): Promise<Manifests> {
  const folder = await mkdtemp(join(tmpdir(), 'invoker-import-'))
  try {
    const documents = await fetchDocuments({ project, region, variables: process.env })
    for (const { name, text } of documents) await writeFile(join(folder, name), text)
    return fromFiles([folder])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Where a document is refused the others are applied all the same. */
async function apply({ services, policies }: Manifests, options: FitOptions): Promise<number> {
  const { log } = options
  let taken = 0
  let code = DONE
  const attempt = async (work: () => Promise<void>) => {
    try {
      await work()
      taken += 1
    } catch (error) {
      if (!isError(error, 'ERR_GOOGLE')) throw error
      log(error.message)
      code = EXIT_CODES[error.fault]
    }
  }
  for (const service of services)
    await attempt(async () =>
      applyManifests({ services: [await fitService(service, options)], policies: [] }, options),
    )
  // A policy's service has its region from its manifest.
  const regions = new Map(services.map((service) => [service.name, service.region]))
  for (const named of policies) {
    const policy = { ...named, region: named.region ?? regions.get(named.service ?? '') }
    await attempt(async () => {
      if (await isUnset(policy, options)) return
      await applyManifests({ services: [], policies: [await fitPolicy(policy, options)] }, options)
    })
  }
  log(`${taken} of ${services.length + policies.length} documents applied`)
  return code
}
