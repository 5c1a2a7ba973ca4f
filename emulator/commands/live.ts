/** A project's documents, as the gcloud of this machine prints them. */
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { InvokerError, reasonOf } from '../errors/errors.ts'
import { withoutEmulator } from './env.ts'

export interface LiveOptions {
  readonly project: string
  readonly region: string | undefined
  /** The shell's variables: what `emulator env` has set of them is taken back. */
  readonly variables: Readonly<Record<string, string | undefined>>
}

const services = z.array(
  z.looseObject({
    metadata: z.looseObject({
      name: z.string(),
      labels: z.looseObject({ 'cloud.googleapis.com/location': z.string() }),
    }),
  }),
)

/** Named as `emulator import` knows them. */
export async function fetchDocuments(
  options: LiveOptions,
): Promise<readonly { readonly name: string; readonly text: string }[]> {
  const { project, region } = options
  const gcloud = (...args: readonly string[]) => run([...args, '--project', project], options)
  const list = await gcloud('run', 'services', 'list', ...(region ? ['--region', region] : []))
  const documents = [{ name: 'services.json', text: list }]
  for (const { metadata } of services.parse(JSON.parse(list))) {
    const { name, labels } = metadata
    const place = labels['cloud.googleapis.com/location']
    const policy = await gcloud('run', 'services', 'get-iam-policy', name, '--region', place)
    documents.push({ name: `${name}.${place}.policy.json`, text: policy })
  }
  const projectPolicy = await run(['projects', 'get-iam-policy', project], options)
  return [...documents, { name: 'policy.json', text: projectPolicy }]
}

async function run(args: readonly string[], { variables }: LiveOptions): Promise<string> {
  const line = ['gcloud', ...args].join(' ')
  const child = spawn('gcloud', [...args, '--format=json', '--quiet'], {
    env: withoutEmulator(variables),
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32', // gcloud is a .cmd file there
  })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]).catch(
    (cause: unknown) => {
      throw new InvokerError('ERR_PROGRAM', `gcloud does not start: ${reasonOf(cause)}.`, { cause })
    },
  )
  if (code === 0) return stdout
  throw new InvokerError('ERR_PROGRAM', `${line} ended with ${code}: ${stderr.trim()}`)
}
