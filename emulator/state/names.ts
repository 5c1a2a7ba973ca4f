/** The names and URLs that Cloud Run gives to services, revisions and tags (facts 1.6, 1.8, 6.4). */
import { createHash } from 'node:crypto'
import type { ServiceName } from './resources.ts'

/** What all names of one project hang on. */
export interface Place {
  readonly projectId: string
  readonly projectNumber: string
  /** Scheme of a service's URL. */
  readonly scheme: 'http' | 'https'
}

/** The two letters that stand for a region in the hash form of a URL, `SERVICE-HASH-RC.a.run.app`. */
const REGION_CODES: Readonly<Record<string, string>> = {
  'africa-south1': 'bq',
  'asia-east1': 'de',
  'asia-east2': 'df',
  'asia-northeast1': 'an',
  'asia-northeast2': 'dt',
  'asia-northeast3': 'du',
  'asia-south1': 'el',
  'asia-south2': 'em',
  'asia-southeast1': 'as',
  'asia-southeast2': 'et',
  'australia-southeast1': 'ts',
  'australia-southeast2': 'km',
  'europe-central2': 'lm',
  'europe-north1': 'lz',
  'europe-southwest1': 'no',
  'europe-west1': 'ew',
  'europe-west2': 'nw',
  'europe-west3': 'ey',
  'europe-west4': 'ez',
  'europe-west6': 'oa',
  'europe-west8': 'oc',
  'europe-west9': 'od',
  'me-central1': 'ww',
  'me-west1': 'zf',
  'northamerica-northeast1': 'nn',
  'northamerica-northeast2': 'pd',
  'southamerica-east1': 'rj',
  'southamerica-west1': 'tl',
  'us-central1': 'uc',
  'us-east1': 'ue',
  'us-east4': 'uk',
  'us-east5': 'ul',
  'us-south1': 'vp',
  'us-west1': 'uw',
  'us-west2': 'wl',
  'us-west3': 'wm',
  'us-west4': 'wn',
}

/** The regions that Cloud Run serves. */
export const REGIONS: readonly string[] = Object.keys(REGION_CODES)

/** The longest label that DNS allows: the deterministic host exists only for shorter ones (facts 1.6). */
const LABEL = 63

/**
 * The hosts of a service, the displayed one first: `SERVICE-PROJECTNUMBER.REGION.run.app`, `SERVICE-HASH-RC.a.run.app`.
 * The hash is a project's own and opaque; Google's way of making it is not public.
 */
export function serviceHosts(service: ServiceName, place: Place, tag?: string): readonly string[] {
  const prefix = tag ? `${tag}---` : ''
  const deterministic = `${prefix}${service.name}-${place.projectNumber}`
  const hash = BigInt(`0x${createHash('sha256').update(place.projectNumber).digest('hex').slice(0, 14)}`)
    .toString(36)
    .slice(0, 10)
  const hashed = `${prefix}${service.name}-${hash}-${REGION_CODES[service.region] ?? 'xx'}.a.run.app`
  return deterministic.length <= LABEL ? [`${deterministic}.${service.region}.run.app`, hashed] : [hashed]
}

/** The URLs of a service, without a trailing slash, the displayed one first. */
export function serviceUrls(service: ServiceName, place: Place, tag?: string): readonly string[] {
  return serviceHosts(service, place, tag).map((host) => `${place.scheme}://${host}`)
}

/** The one URL that `status.url` shows: the deterministic one where there is one (facts 6.4). */
export function serviceUrl(service: ServiceName, place: Place, tag?: string): string {
  return serviceUrls(service, place, tag)[0] ?? ''
}

/** `NAME-00001-abc` (facts 1.8). The suffix is three letters or digits, drawn by the caller. */
export function revisionName(service: string, ordinal: number, suffix: string): string {
  return `${service}-${String(ordinal).padStart(5, '0')}-${suffix}`
}

export function defaultComputeServiceAccount(place: Place): string {
  return `${place.projectNumber}-compute@developer.gserviceaccount.com`
}

export function serviceAccountEmail(accountId: string, projectId: string): string {
  return `${accountId}@${projectId}.iam.gserviceaccount.com`
}

/** Key of a service or a revision in its collection. */
export function serviceKey({ project, region, name }: ServiceName): string {
  return `${project}/${region}/${name}`
}

/** Full resource names, as IAM spells them. */
export function serviceResource({ project, region, name }: ServiceName): string {
  return `//run.googleapis.com/projects/${project}/locations/${region}/services/${name}`
}
export function projectResource(projectId: string): string {
  return `//cloudresourcemanager.googleapis.com/projects/${projectId}`
}
