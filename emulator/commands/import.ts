/**
 * `emulator import`: gives a running emulator the services and policies of a project, as `gcloud run services list` or
 * `describe`, `get-iam-policy` and `gcloud projects get-iam-policy` print them, from files or from a live gcloud.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { ConfigError } from '../config.ts'
import { applyManifests, type Manifests, readManifests, type ServiceManifest } from '../manifests.ts'
import { CommandFailure, runCommand, urlOption, usualUrl } from './emulator-at.ts'
import { fitPolicy, fitService, isUnset } from './fit.ts'
import { fetchDocuments } from './live.ts'
import { type Owner, ownerAt } from './owner.ts'

interface Options {
  readonly url: URL
  readonly project: string
  readonly region?: string
  readonly live?: true
  readonly files: readonly string[]
}

/** Runs the command. Returns the exit code: 1 where a document was refused. */
export function importDocuments(args: readonly string[]): Promise<number> {
  return runCommand('import', async () => {
    const options = parse(args)
    const owner = await ownerAt(options.url)
    if (options.project !== owner.project)
      throw new CommandFailure(
        `the emulator at ${options.url.origin} is project ${owner.project}. Start it with --project ${options.project} and that project's --project-number.`,
      )
    const manifests = await (options.live ? fromLive(options) : fromFiles(options.files))
    return (await apply(manifests, owner, options.region ?? owner.region)) ? 0 : 1
  })
}

function parse(args: readonly string[]): Options {
  const command = new Command('emulator import')
    .description("Gives a running emulator a project's services and policies, as gcloud prints them.")
    .argument(
      '[files...]',
      'files or folders: services, SERVICE.policy.yaml, SERVICE.REGION.policy.yaml, policy.yaml (or .json)',
    )
    .addOption(urlOption())
    .requiredOption('--project <id>', 'the project that they are of')
    .option('--region <region>', "region of services that name none (the emulator's)")
    .option('--live', "asks gcloud for them, by this shell's own configuration")
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
  command.parse([...args], { from: 'user' })
  const { url, ...rest } = command.opts<Omit<Options, 'url' | 'files'> & { url?: URL }>()
  if ((rest.live === true) === command.args.length > 0)
    throw new CommandFailure('expected files or folders, or --live.')
  return { ...rest, url: url ?? usualUrl(process.env), files: command.args }
}

function fromFiles(files: readonly string[]): Manifests {
  try {
    const read = files.map(readManifests)
    return {
      services: read.flatMap(({ services }) => services),
      policies: read.flatMap(({ policies }) => policies),
    }
  } catch (error) {
    throw error instanceof ConfigError ? new CommandFailure(error.message) : error
  }
}

/** What gcloud prints goes by the same road as files of it. */
async function fromLive({ project, region }: Options): Promise<Manifests> {
  const folder = await mkdtemp(join(tmpdir(), 'invoker-import-'))
  try {
    const documents = await fetchDocuments({ project, region, variables: process.env })
    for (const { name, text } of documents) await writeFile(join(folder, name), text)
    return fromFiles([folder])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** False where a document was refused; the others are applied all the same. */
async function apply({ services, policies }: Manifests, owner: Owner, region: string): Promise<boolean> {
  const { call, project } = owner
  const log = (line: string) => void process.stderr.write(`${line}\n`)
  const options = { call, project, region, log }
  let taken = 0
  let whole = true
  const attempt = async (work: () => Promise<void>) => {
    try {
      await work()
      taken += 1
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      log(error.message)
      whole = false
    }
  }
  for (const service of services)
    await attempt(async () =>
      applyManifests({ services: [await fitService(service, options)], policies: [] }, options),
    )
  // A policy's service has its region from its manifest.
  const regions = new Map(services.map((service: ServiceManifest) => [service.name, service.region]))
  for (const named of policies) {
    const policy = { ...named, region: named.region ?? regions.get(named.service ?? '') }
    await attempt(async () => {
      if (await isUnset(policy, options)) return
      await fitPolicy(
        policy,
        owner.account,
        (fitted) => applyManifests({ services: [], policies: [fitted] }, options),
        log,
      )
    })
  }
  process.stderr.write(`${taken} of ${services.length + policies.length} documents applied\n`)
  return whole
}
