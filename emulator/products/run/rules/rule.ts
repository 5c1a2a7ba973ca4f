/** What a rule is: one thing that Cloud Run refuses in a service, whichever version of the API it came by. */
import type { Revision } from '../../../state/resources.ts'
import type { DesiredService } from '../desired.ts'
import type { Spelling, Violation } from '../violations.ts'

export interface Request {
  readonly desired: DesiredService
  /** Those of the service so far. */
  readonly revisions: readonly Pick<Revision, 'name'>[]
  readonly spelling: Spelling
}

export interface Rule {
  /** What is to hold, as docs/fidelity.md says it. */
  readonly name: string
  /** How well it is known: `D` documented, `W` seen in the wild, `I` inferred. */
  readonly source: string
  broken(request: Request): Iterable<Violation>
}

/** A violation in the template: v1 and v2 call the field by names of their own. */
export function inTemplate(v1: string, v2: string, description: string): Violation {
  return { v1: `spec.template.spec.${v1}`, v2: `service.template.${v2}`, description }
}

/** One that is found after the request was read: neither version names the request, and v2 leaves `service.` out. */
export function behind(field: string, description: string): Violation {
  return { v1: `spec.template.spec.${field}`, v2: `template.${field}`, description, behind: true }
}

/** One in the settings of the template, which v1 says in annotations. */
export function inTemplateSettings(v2: string, description: string): Violation {
  return { v1: 'spec.template.metadata.annotations', v2: `service.template.${v2}`, description }
}

export function inServiceSettings(v2: string, description: string): Violation {
  return { v1: 'metadata.annotations', v2: `service.${v2}`, description }
}
