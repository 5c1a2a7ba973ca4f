/** `emulator export`: prints the services and policies of a running emulator as gcloud prints them; `import` takes them back. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { z } from 'zod'
import type { Google } from '../client/google.ts'
import { InvokerError, reasonOf } from '../errors/errors.ts'
import { DONE, newCommand, parse } from './command.ts'
import { controlAt, googleAt, urlOption, usualUrl } from './running.ts'

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

export async function exportDocuments(args: readonly string[]): Promise<number> {
  const command = newCommand(
    'emulator export',
    "Prints a running emulator's services, their policies and the project's, as gcloud prints them.",
  )
    .addOption(urlOption())
    .option('--dir <folder>', 'writes them there instead, a file each')
  const { url = usualUrl(process.env), dir } = parse<{ url?: URL; dir?: string }>(command, args).options
  const documents = await documentsOf(googleAt(url, await controlAt(url).environment()))
  if (dir === undefined) {
    process.stdout.write(documents.map(({ name, text }) => `---\n# ${name}\n${text}`).join(''))
    return DONE
  }
  try {
    await mkdir(dir, { recursive: true })
    for (const { name, text } of documents) await writeFile(join(dir, name), text)
  } catch (error) {
    throw new InvokerError(
      'ERR_FILE',
      `--dir: expected a folder that can be written, got ${JSON.stringify(dir)} (${reasonOf(error)}).`,
      { cause: error },
    )
  }
  process.stderr.write(`${documents.length} documents are in ${dir}\n`)
  return DONE
}

async function documentsOf(google: Google): Promise<readonly Exported[]> {
  const documents: Exported[] = []
  for (const service of await servicesOf(google)) {
    const { name, labels } = service.metadata
    const region = labels[REGION_LABEL] ?? google.region
    const base = region === google.region ? name : `${name}.${region}`
    const resource = `/v1/projects/${google.project}/locations/${region}/services/${name}`
    const policy = await google.call(
      'GET',
      'run.googleapis.com',
      `${resource}:getIamPolicy?options.requestedPolicyVersion=3`,
    )
    documents.push(
      { name: `${base}.yaml`, text: yamlOf(forExport(service)) },
      { name: `${base}.policy.yaml`, text: yamlOf(asPrinted(policy)) },
    )
  }
  const projectPolicy = await google.call(
    'POST',
    'cloudresourcemanager.googleapis.com',
    `/v1/projects/${google.project}:getIamPolicy`,
    { options: { requestedPolicyVersion: 3 } },
  )
  documents.sort((a, b) => (a.name < b.name ? -1 : 1))
  return [...documents, { name: 'policy.yaml', text: yamlOf(asPrinted(projectPolicy)) }]
}

/** All of them, in every region: as `gcloud run services list` asks for them. */
async function servicesOf(google: Google): Promise<Listed['items']> {
  const all: Listed['items'] = []
  let next: string | undefined
  do {
    const query = new URLSearchParams({ limit: String(PAGE), ...(next ? { continue: next } : {}) })
    const path = `/v1/projects/${google.project}/locations/-/services?${query}`
    const page = listed.parse(await google.call('GET', 'run.googleapis.com', path))
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
