/** Which audiences a service accepts (facts 1.6, 7.1). */
import { type Place, serviceHosts } from '../state/names.ts'
import type { Service } from '../state/resources.ts'
import type { AudienceRule } from '../tokens/verify.ts'

/** The OAuth clients of gcloud and of its application default credentials: audiences of a person's token (facts 1.6). */
const GCLOUD_CLIENTS: ReadonlySet<string> = new Set([
  '32555940559.apps.googleusercontent.com',
  '764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com',
])

/** True for an audience that only a person's token may have. */
export function isPersonal(audience: string): boolean {
  return GCLOUD_CLIENTS.has(audience)
}

export interface AudienceOptions {
  /** Whether the service's URL followed by a path is accepted, as Cloud Run does (facts 7.1). Without it, what passes passes there. */
  readonly acceptPath: boolean
}

export function audienceRule(service: Service, place: Place, { acceptPath }: AudienceOptions): AudienceRule {
  const hosts = serviceHosts(service, place)
  // Cloud Run's URLs are https. Where this one is reached without TLS its URL is http, and code that was written for the
  // cloud still asks for https: both are this service (the emulator's own rule).
  const urls = [place.scheme, place.scheme === 'http' ? 'https' : 'http'].flatMap((scheme) =>
    hosts.map((host) => `${scheme}://${host}`),
  )
  // facts 1.6: compared exactly.
  const custom = service.settings.customAudiences ?? []
  const exact = new Set([...urls, ...urls.map((url) => `${url}/`), servicePath(service, place), ...custom])
  const [shown = ''] = urls
  const tagged = new RegExp(`^https?://[a-z0-9-]+---(?:${hosts.map(escapePattern).join('|')})/?$`)

  return {
    accepts: (audience) =>
      exact.has(audience) ||
      GCLOUD_CLIENTS.has(audience) ||
      (acceptPath && urls.some((url) => isUnder(url, audience))),
    expected: custom.length > 0 ? `${shown}, or ${custom.join(', ')}` : shown,
    mend: (audience) => {
      if (tagged.test(audience)) return `The URL of a tag is no audience: ask for a token for ${shown}.`
      if (urls.some((url) => /^[/?#]/.test(audience.replace(url, ''))))
        return `The audience is the service's URL, without ${acceptPath ? '' : 'path, '}query or fragment: ask for a token for ${shown}.`
      if (urls.includes(audience.toLowerCase()))
        return `Audiences are compared letter for letter: ask for a token for ${shown}.`
      return `Ask for a token for ${shown}, or list the audience: gcloud run services update ${service.name} --region=${service.region} --add-custom-audiences=AUDIENCE`
    },
  }
}

/** facts 7.1: whatever path is asked for, and never with a query or a fragment. */
function isUnder(url: string, audience: string): boolean {
  return audience.startsWith(`${url}/`) && /^[^?#\s]*$/.test(audience)
}

/** facts 7.1: what IAP's own token names; only with the project's number. */
function servicePath({ region, name }: Service, { projectNumber }: Place): string {
  return `/projects/${projectNumber}/locations/${region}/services/${name}`
}

function escapePattern(text: string): string {
  return text.replaceAll('.', '\\.')
}
