/** What the metadata server serves, as the tree that it shows: listings, values, and the same as JSON (facts 2.1). */
import type { Workload } from './caller.ts'

/** Made anew for every request, or out of the server's cache: never part of a listing's values. */
export type TokenKind = 'identity' | 'token'

export interface Value {
  readonly kind: 'value'
  readonly text: string
  readonly json: unknown
}

export interface Directory {
  readonly kind: 'directory'
  readonly entries: readonly Entry[]
}

export type Node = Value | Directory | { readonly kind: TokenKind }

interface Entry {
  readonly name: string
  readonly node: Node
  /** Its name in JSON. */
  readonly member: string
}

/** Scopes of a Cloud Run workload (seen there in 2019: gh:googleapis/gax-dotnet#314). */
export const DEFAULT_SCOPES: readonly string[] = [
  'https://mail.google.com/',
  'https://www.googleapis.com/auth/analytics',
  'https://www.googleapis.com/auth/calendar',
  'https://www.googleapis.com/auth/cloud-platform',
  'https://www.googleapis.com/auth/contacts',
  'https://www.googleapis.com/auth/drive',
  'https://www.googleapis.com/auth/presentations',
  'https://www.googleapis.com/auth/spreadsheets',
  'https://www.googleapis.com/auth/streetviewpublish',
  'https://www.googleapis.com/auth/urlshortener',
  'https://www.googleapis.com/auth/userinfo.email',
  'https://www.googleapis.com/auth/youtube',
]

/** The whole tree, from `/`. */
export function metadataTree(workload: Workload): Directory {
  const { instanceId, projectId, projectNumber, region, serviceAccount } = workload
  const account = directory([
    entry('aliases', { kind: 'value', text: 'default', json: ['default'] }),
    entry('email', text(serviceAccount)),
    entry('identity', { kind: 'identity' }),
    entry('scopes', {
      kind: 'value',
      text: DEFAULT_SCOPES.map((scope) => `${scope}\n`).join(''),
      json: DEFAULT_SCOPES,
    }),
    entry('token', { kind: 'token' }),
  ])
  const instance = directory([
    entry('id', text(instanceId)),
    entry('region', text(`projects/${projectNumber}/regions/${region}`)),
    // facts 2.1: the email first.
    entry(
      'service-accounts',
      directory([entry(serviceAccount, account, serviceAccount), entry('default', account)]),
    ),
    // facts 2.1: a zone that does not exist, REGION-1.
    entry('zone', text(`projects/${projectNumber}/zones/${region}-1`)),
  ])
  const project = directory([
    entry('numeric-project-id', { kind: 'value', text: projectNumber, json: Number(projectNumber) }),
    entry('project-id', text(projectId)),
  ])
  const v1 = directory([entry('instance', instance), entry('project', project)])
  return directory([entry('computeMetadata', directory([entry('v1', v1)]))])
}

/** The node at a path without its slashes at either end. */
export function find(tree: Directory, path: readonly string[]): Node | undefined {
  let node: Node | undefined = tree
  for (const name of path) {
    if (node?.kind !== 'directory') return undefined
    node = node.entries.find((candidate) => candidate.name === name)?.node
  }
  return node
}

/** facts 2.1: a line an entry, each ended; what can be gone into has a slash. */
export function listing({ entries }: Directory): string {
  return listingNames(entries)
    .map((name) => `${name}\n`)
    .join('')
}

/** A listing as JSON; not seen on Cloud Run: inferred from Compute Engine. */
export function listingNames(entries: readonly Entry[]): string[] {
  return entries.map(({ name, node }) => (node.kind === 'directory' ? `${name}/` : name))
}

/** Everything below a node as JSON, tokens left out. */
export function recursiveJson(node: Value | Directory): unknown {
  if (node.kind === 'value') return node.json
  return Object.fromEntries(
    node.entries.flatMap(({ member, node: child }) =>
      child.kind === 'directory' || child.kind === 'value' ? [[member, recursiveJson(child)]] : [],
    ),
  )
}

/** Everything below a directory as `PATH VALUE` lines; not seen on Cloud Run: inferred from Compute Engine. */
export function recursiveText({ entries }: Directory, prefix = ''): string {
  return entries
    .map(({ name, node }) => {
      if (node.kind === 'directory') return recursiveText(node, `${prefix}${name}/`)
      if (node.kind !== 'value') return ''
      const lines = node.text.split('\n').filter((line) => line !== '')
      return lines.map((line) => `${prefix}${name} ${line}\n`).join('')
    })
    .join('')
}

function directory(entries: readonly Entry[]): Directory {
  return { kind: 'directory', entries }
}

function entry(name: string, node: Node, member = camelCase(name)): Entry {
  return { name, node, member }
}

function text(value: string): Value {
  return { kind: 'value', text: value, json: value }
}

/** `service-accounts` is `serviceAccounts` in JSON. */
function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
