/** The URLs that a service shows: none where its default URL is disabled (facts 8.1). */
import { type Place, serviceUrls } from '../../state/names.ts'
import type { Service } from '../../state/resources.ts'

export function shownUrls(service: Service, place: Place, tag?: string): readonly string[] {
  return service.settings.defaultUrlDisabled ? [] : serviceUrls(service, place, tag)
}

/** The displayed one. */
export function shownUrl(service: Service, place: Place, tag?: string): string | undefined {
  return shownUrls(service, place, tag)[0]
}
