/** What a client wants a service to be, whichever version of the API it said so by. */
import type { RevisionTemplate, ServiceName, TrafficTarget } from '../../state/resources.ts'
import type { ServiceSettings } from '../../state/settings.ts'

export interface DesiredService extends ServiceName {
  /** The user's own. */
  readonly annotations: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly settings: ServiceSettings
  readonly template: RevisionTemplate
  readonly traffic: readonly TrafficTarget[]
}
