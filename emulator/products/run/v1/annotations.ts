/**
 * The annotations of v1: the one place that knows their names. Of `run.googleapis.com/` and `autoscaling.knative.dev/` only these are
 * taken, each on its kinds of resources (facts 8.1); in other namespaces annotations are the user's own.
 */
import type { ServiceSettings } from '../../../state/settings.ts'
import {
  type Annotation,
  NOT_EMULATED,
  REVISION_ANNOTATIONS,
  type RevisionNotes,
  RUN,
  SERVICE_ANNOTATIONS,
} from './annotation-table.ts'
import { text } from './annotation-values.ts'

export type Annotations = Readonly<Record<string, string>>
/** The resources of this API that have annotations. */
export type Kind = 'Service' | 'Revision'

/** Annotations that could not be read, and why. */
export interface Fault {
  readonly name: string
  readonly description: string
  /** It is known, if at all, on other kinds of resources. */
  readonly misplaced: boolean
}

export interface Read<S> {
  readonly settings: Partial<S>
  /** The user's own. */
  readonly annotations: Annotations
  readonly faults: readonly Fault[]
}

/** What the server writes into metadata and clients send back with the rest. */
const SERVER_ANNOTATIONS: ReadonlySet<string> = new Set([
  'serving.knative.dev/creator',
  'serving.knative.dev/lastModifier',
  `${RUN}ingress-status`,
  `${RUN}operation-id`,
  `${RUN}urls`,
  `${RUN}creatorEmail`,
  `${RUN}lastModifierEmail`,
])
/** Namespaces of which nothing unknown is taken. */
const RESTRICTED = /^(?:run\.googleapis\.com|autoscaling\.knative\.dev)\//

export function readServiceAnnotations(annotations: Annotations = {}): Read<ServiceSettings> {
  return read(annotations, 'Service', SERVICE_ANNOTATIONS)
}

export function readRevisionAnnotations(annotations: Annotations = {}): Read<RevisionNotes> {
  return read(annotations, 'Revision', REVISION_ANNOTATIONS)
}

export function writeServiceAnnotations(settings: ServiceSettings): Annotations {
  return write(settings, SERVICE_ANNOTATIONS)
}

export function writeRevisionAnnotations(settings: RevisionNotes): Annotations {
  return write(settings, REVISION_ANNOTATIONS)
}

/** The annotations that only the server writes: who made a resource, and where it is reached. */
export function serverAnnotations({
  creator,
  lastModifier,
}: {
  creator: string
  lastModifier?: string
}): Annotations {
  return {
    'serving.knative.dev/creator': creator,
    ...(lastModifier === undefined ? {} : { 'serving.knative.dev/lastModifier': lastModifier }),
  }
}

export function statusAnnotations({ ingress }: ServiceSettings, urls: readonly string[]): Annotations {
  return { [`${RUN}ingress-status`]: ingress, [`${RUN}urls`]: JSON.stringify(urls) }
}

function read<S>(annotations: Annotations, kind: Kind, known: readonly Annotation<S>[]): Read<S> {
  const byName = new Map(known.map((annotation) => [annotation.name, annotation]))
  const own: Record<string, string> = {}
  const faults: Fault[] = []
  let settings: Partial<S> = {}
  for (const [name, value] of Object.entries(annotations)) {
    if (SERVER_ANNOTATIONS.has(name)) continue
    const annotation = byName.get(name)
    if (annotation === undefined) {
      if (NOT_EMULATED.has(name))
        faults.push({ name, description: `Annotation '${name}' is not emulated.`, misplaced: true })
      else if (RESTRICTED.test(name))
        faults.push({ name, description: misplaced(name, kind), misplaced: true })
      else own[name] = value
      continue
    }
    // Inferred: a setting whose annotation is empty is one that was not given.
    if (value === '' && annotation.expected !== text.expected) continue
    const field = annotation.read(value)
    if (field === undefined) {
      // Inferred wording.
      const description = `Invalid value '${value}': expected ${annotation.expected}.`
      faults.push({ name, description, misplaced: false })
    } else settings = { ...settings, ...field }
  }
  return { settings, annotations: own, faults }
}

/** facts 8.1; that an unknown one has no second sentence is inferred. */
function misplaced(name: string, kind: Kind): string {
  const kinds = [...SERVICE_ANNOTATIONS, ...REVISION_ANNOTATIONS].find((known) => known.name === name)?.kinds
  const supported = kinds ? ` Supported kinds are: ${kinds.join(', ')}` : ''
  return `Annotation '${name}' is not supported on resources of kind '${kind}'.${supported}`
}

function write<S>(settings: S, known: readonly Annotation<S>[]): Annotations {
  return Object.fromEntries(
    known.flatMap((annotation) => {
      const value = annotation.write(settings)
      return value === undefined ? [] : [[annotation.name, value]]
    }),
  )
}
