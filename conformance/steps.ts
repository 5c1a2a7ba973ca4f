/** What every client is put through, in the order that its program does it. */

export interface Step {
  readonly id: string
  /** As docs/clients.md says it. */
  readonly title: string
}

export const STEPS = [
  { id: 'metadata', title: 'finds the metadata server' },
  { id: 'project-id', title: 'project id' },
  { id: 'email', title: "the default account's email" },
  { id: 'access-token', title: 'access token, taken by a Google API' },
  { id: 'id-token', title: "ID token for a service's URL" },
  { id: 'call-refused', title: 'calls a private service without a grant: 403' },
  { id: 'call-granted', title: 'the same after `roles/run.invoker`: 200' },
  {
    id: 'call-serverless',
    title: "with `X-Serverless-Authorization`: 200, and the caller's own `Authorization` arrives",
  },
  { id: 'verify', title: 'its verifier takes our ID token, and none for another audience' },
  { id: 'impersonate-access-token', title: 'impersonation: access token' },
  { id: 'impersonate-id-token', title: 'impersonation: ID token, 200' },
  { id: 'key-access-token', title: 'service account key file: access token' },
  { id: 'key-id-token', title: 'service account key file: ID token, 200' },
  { id: 'federation-access-token', title: 'workload identity federation: access token' },
  { id: 'federation-id-token', title: 'workload identity federation: ID token, 200' },
] as const satisfies readonly Step[]

export type StepId = (typeof STEPS)[number]['id']

export function isStepId(id: string): id is StepId {
  return STEPS.some((step) => step.id === id)
}

/**
 * How a program reaches the emulator: by the variables that `emulator env --mode …` prints.
 *
 * - `override`: `GCE_METADATA_HOST` and its sisters; every other endpoint is an option of the library or stands in the
 *   credential file. Services are called at their http URLs, through `http_proxy`.
 * - `intercept`: `http_proxy`, `https_proxy` and a CA. All of Google is at its own names, services at their https URLs.
 */
export const WAYS = ['override', 'intercept'] as const
export type Way = (typeof WAYS)[number]

/** What a program is told: the JSON file that its one argument names. */
export interface Task {
  readonly way: Way
  readonly projectId: string
  /** Email of the account that the metadata server answers for. */
  readonly email: string
  /** URL of a private service, and so the audience of its tokens. It answers with the request's headers, as JSON. */
  readonly service: string
  /** URL of a Google API that wants an access token. It answers 200. */
  readonly api: string
  /** Email of an account that the default one and the federated identity may impersonate. */
  readonly impersonate: string
  /** Paths of credential files. `federationAsAccountFile` names the account to impersonate, `federationFile` none. */
  readonly keyFile: string
  readonly federationFile: string
  readonly federationAsAccountFile: string
  /** Where the emulator is, for libraries that take an endpoint; null: they are to go to Google's. */
  readonly endpoint: string | null
}

/** A line that a program prints. `detail` says what came of it, or what went wrong; never a token. */
export interface Line {
  readonly step: StepId
  readonly ok: boolean
  readonly detail: string
}
