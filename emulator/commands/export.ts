/** `emulator export`: prints the services and policies of a running emulator as gcloud prints them; `import` takes them back. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { stringify } from 'yaml'
import { z } from 'zod'
import { CommandFailure, runCommand, urlOption, usualUrl } from './emulator-at.ts'
import { type Owner, ownerAt } from './owner.ts'

/** One document, under the name that `import` knows it by. */
interface Exported {
  readonly name: string
  readonly text: string
}

const REGION_LABEL = 'cloud.googleapis.com/location'
const PAGE = 100

const metadata = z.looseObject({
  name: z.string(),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
})
const listed = z.object({
  items: z.array(z.looseObject({ metadata })).default([]),
  metadata: z.object({ continue: z.string().optional() }).optional(),
})
type Listed = z.infer<typeof listed>

/** Runs the command. Returns the exit code. */
export function exportDocuments(args: readonly string[]): Promise<number> {
  return runCommand('export', async () => {
    const { url, dir } = parse(args)
    const documents = await documentsOf(await ownerAt(url))
    if (dir === undefined) {
      process.stdout.write(documents.map(({ name, text }) => `---\n# ${name}\n${text}`).join(''))
      return 0
    }
    try {
      await mkdir(dir, { recursive: true })
      for (const { name, text } of documents) await writeFile(join(dir, name), text)
    } catch (error) {
      throw new CommandFailure(
        `--dir: expected a folder that can be written, got ${JSON.stringify(dir)} (${error instanceof Error ? error.message : String(error)}).`,
      )
    }
    process.stderr.write(`${documents.length} documents are in ${dir}\n`)
    return 0
  })
}

function parse(args: readonly string[]): { readonly url: URL; readonly dir?: string } {
  const command = new Command('emulator export')
    .description(
      "Prints a running emulator's services, their policies and the project's, as gcloud prints them.",
    )
    .addOption(urlOption())
    .option('--dir <folder>', 'writes them there instead, a file each')
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
  const { url, ...rest } = command.parse([...args], { from: 'user' }).opts<{ url?: URL; dir?: string }>()
  return { ...rest, url: url ?? usualUrl(process.env) }
}

async function documentsOf(owner: Owner): Promise<readonly Exported[]> {
  const documents: Exported[] = []
  for (const service of await servicesOf(owner)) {
    const { name, labels } = service.metadata
    const region = labels[REGION_LABEL] ?? owner.region
    const base = region === owner.region ? name : `${name}.${region}`
    const resource = `/v1/projects/${owner.project}/locations/${region}/services/${name}`
    const policy = await owner.read(
      'run.googleapis.com',
      `${resource}:getIamPolicy?options.requestedPolicyVersion=3`,
    )
    documents.push(
      { name: `${base}.yaml`, text: yamlOf(forExport(service)) },
      { name: `${base}.policy.yaml`, text: yamlOf(asPrinted(policy)) },
    )
  }
  const projectPolicy = await owner.read(
    'cloudresourcemanager.googleapis.com',
    `/v1/projects/${owner.project}:getIamPolicy`,
    { options: { requestedPolicyVersion: 3 } },
  )
  documents.sort((a, b) => (a.name < b.name ? -1 : 1))
  return [...documents, { name: 'policy.yaml', text: yamlOf(asPrinted(projectPolicy)) }]
}

/** All of them, in every region: as `gcloud run services list` asks for them. */
async function servicesOf(owner: Owner): Promise<Listed['items']> {
  const all: Listed['items'] = []
  let next: string | undefined
  do {
    const query = new URLSearchParams({ limit: String(PAGE), ...(next ? { continue: next } : {}) })
    const path = `/v1/projects/${owner.project}/locations/-/services?${query}`
    const page = listed.parse(await owner.read('run.googleapis.com', path))
    all.push(...page.items)
    next = page.metadata?.continue
  } while (next)
  return all
}

/** What gcloud's own `--format=export` leaves out of a service (its export_printer.py). */
const OMITTED_METADATA = ['creationTimestamp', 'generation', 'resourceVersion', 'selfLink', 'uid']
const OMITTED_ANNOTATIONS = [
  'serving.knative.dev/creator',
  'serving.knative.dev/lastModifier',
  'run.googleapis.com/client-name',
  'run.googleapis.com/client-version',
  'run.googleapis.com/creatorEmail',
  'run.googleapis.com/lastModifierEmail',
  'run.googleapis.com/operation-id',
]

function forExport({ status: _, metadata, ...service }: Listed['items'][number]) {
  const annotations = without(metadata.annotations, OMITTED_ANNOTATIONS)
  return { ...service, metadata: { ...without(metadata, OMITTED_METADATA), annotations } }
}

/** facts gcloud 4.1: gcloud spells an etag in the URL-safe alphabet. */
function asPrinted(policy: unknown): unknown {
  const { etag, ...rest } = z.looseObject({ etag: z.string() }).parse(policy)
  return { ...rest, etag: etag.replaceAll('+', '-').replaceAll('/', '_') }
}

function without<T extends object>(value: T, names: readonly string[]): Partial<T> {
  const kept = Object.entries(value).filter(([name]) => !names.includes(name))
  return Object.fromEntries(kept) as Partial<T>
}

/** As gcloud's printer writes YAML. */
function yamlOf(document: unknown): string {
  return stringify(document, {
    sortMapEntries: true,
    indentSeq: false,
    singleQuote: true,
    blockQuote: 'literal',
    lineWidth: 80,
  })
}
