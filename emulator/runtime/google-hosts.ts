/** Google's host names that a program in a container may ask for. A hosts file knows no wildcards, so each is named. Pure. */

const NAMES = [
  'metadata.google.internal',
  'metadata',
  'accounts.google.com',
  'www.googleapis.com',
  'oauth2.googleapis.com',
  'openidconnect.googleapis.com',
  'sts.googleapis.com',
  'cloudbuild.googleapis.com',
  'cloudresourcemanager.googleapis.com',
  'compute.googleapis.com',
  'iam.googleapis.com',
  'iamcredentials.googleapis.com',
  'logging.googleapis.com',
  'run.googleapis.com',
  'serviceusage.googleapis.com',
  'storage.googleapis.com',
]

/** The names that the emulator answers for, the regional ones of Cloud Run's API included. */
export function googleHosts(regions: readonly string[]): readonly string[] {
  return [...NAMES, ...regions.map((region) => `${region}-run.googleapis.com`)]
}
