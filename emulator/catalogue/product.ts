/**
 * What a Google product says of itself: one declaration a product, from which every list of products is derived. Data only,
 * so that whoever needs a list (the front, a command, a container's aliases) loads no product for it.
 */

export interface Declaration {
  /** Its folder under products/: `run`. */
  readonly name: string
  /** What projects enable and access tokens are for. Without one it is neither asked for leave nor listed: the metadata server. */
  readonly api?: Api
  /**
   * Names that it answers for, in lower case: `iam.googleapis.com`; `REGION-run.googleapis.com`, one a region;
   * `*.metadata.google.internal`, any name below.
   */
  readonly hosts: readonly string[]
  /** Google's names of what is left out of it, in the same spelling: refused, because a client would send them a token of ours. */
  readonly refused?: readonly string[]
  /**
   * Its paths under a name that is not its own alone: `www.googleapis.com`, the emulator's address. A product that has
   * them speaks in its own way; those that have none share Google's REST front, which has every other path.
   */
  readonly paths?: RegExp
  /** What it serves, each a few words that stand in a list: `services and their revisions`. */
  readonly serves: readonly string[]
  /** What people may look for and do not find, likewise. */
  readonly leavesOut: readonly string[]
  /** gcloud's settings for other endpoints: `RUN` is `CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN`. */
  readonly endpointOverrides?: readonly string[]
  /** Permissions that its routes ask for, beside those of Google's role table. */
  readonly permissions?: readonly string[]
  /** Roles that hold them. One of Google's role table holds what it holds there, and these too. */
  readonly roles?: Readonly<Record<`roles/${string}`, RoleDeclaration>>
  /** What it keeps. */
  readonly collections?: readonly CollectionDeclaration[]
}

export interface Api {
  /** The service name: `run.googleapis.com`. */
  readonly name: string
  /** What Google's sentences call it: `Cloud Run Admin API`. */
  readonly title: string
  /** `always` cannot be turned off; `initially` is on in a new project; `on request` waits to be enabled. */
  readonly enabled: 'always' | 'initially' | 'on request'
  /** Scopes that it takes beside cloud-platform. */
  readonly scopes?: readonly string[]
}

export interface RoleDeclaration {
  readonly title: string
  readonly permissions: readonly string[]
  /** Kinds of resources whose policies may grant it, beside a project's. */
  readonly grantableOn?: readonly string[]
}

export interface CollectionDeclaration {
  readonly name: string
  /** Is it there after `reset`, which leaves what a new emulator has? */
  readonly survivesReset: boolean
  /** Is it there after the emulator was started again with the same data folder? */
  readonly survivesRestart: boolean
}

/** Every product, in the order of their listing. */
export type Catalogue = readonly Declaration[]
