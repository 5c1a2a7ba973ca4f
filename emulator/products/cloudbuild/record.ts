/** A build as it is kept, and as the API spells it. */
import type { cloudbuild_v1 } from '@googleapis/cloudbuild'
import type { Place } from '../../state/names.ts'
import type { BuildMessage, Plan } from './message.ts'
import type { Substitutions } from './substitutions.ts'

export type BuildStatus =
  | 'QUEUED'
  | 'WORKING'
  | 'SUCCESS'
  | 'FAILURE'
  | 'INTERNAL_ERROR'
  | 'TIMEOUT'
  | 'CANCELLED'

export interface TimeSpan {
  readonly startTime: string
  readonly endTime?: string
}

export interface StepState {
  readonly status: BuildStatus
  readonly timing?: TimeSpan
}

export interface PushedImage {
  readonly name: string
  readonly digest?: string
  readonly pushTiming: TimeSpan
}

export interface Failure {
  readonly type:
    | 'PUSH_IMAGE_NOT_FOUND'
    | 'PUSH_FAILED'
    | 'USER_BUILD_STEP'
    | 'FETCH_SOURCE_FAILED'
    | 'FAILURE_TYPE_UNSPECIFIED'
  readonly detail: string
}

export interface Build {
  readonly project: string
  readonly location: string
  readonly id: string
  readonly plan: Plan
  readonly substitutions: Substitutions
  readonly tags: readonly string[]
  readonly options: NonNullable<BuildMessage['options']>
  /** `projects/P/serviceAccounts/E`, where one was asked for. */
  readonly serviceAccount?: string
  /** Where the log goes: a bucket, and a folder in it that ends with a slash or is empty. */
  readonly log: { readonly bucket: string; readonly folder: string; readonly requested: boolean }
  readonly createTime: string
  readonly startTime?: string
  readonly finishTime?: string
  readonly status: BuildStatus
  readonly statusDetail?: string
  readonly steps: readonly StepState[]
  readonly timing: Readonly<Record<string, TimeSpan>>
  readonly results: readonly PushedImage[]
  readonly failure?: Failure
  /** The last lines of the log, for whoever cannot read all of it. */
  readonly lastLines: readonly string[]
}

export function buildKey({ project, location, id }: Pick<Build, 'project' | 'location' | 'id'>): string {
  return `${project}/${location}/${id}`
}

export function isOngoing({ status }: Build): boolean {
  return status === 'QUEUED' || status === 'WORKING'
}

export function logName({ log, id }: Pick<Build, 'log' | 'id'>): string {
  return `${log.folder}log-${id}.txt`
}

/**
 * `readable`: the client's way leads to the log. It reads `https://storage.googleapis.com` whatever its settings say (facts
 * gcloud 4.5), so that is only where TLS to Google's names ends here; any other must be told that there is none.
 */
export function buildDocument(
  build: Build,
  { projectId, projectNumber }: Place,
  readable: boolean,
): cloudbuild_v1.Schema$Build {
  const { id, location, plan, status, log, startTime, finishTime, serviceAccount, statusDetail, failure } =
    build
  const { source, images } = plan
  const region = location === 'global' ? '' : `;region=${location}`
  const logging = build.options.logging ?? 'LEGACY'
  const told = readable || SILENT.has(logging) ? logging : 'NONE'
  return {
    name: `projects/${projectNumber}/locations/${location}/builds/${id}`,
    id,
    projectId,
    status,
    ...(statusDetail ? { statusDetail } : {}),
    source: { storageSource: source },
    createTime: build.createTime,
    ...(startTime ? { startTime } : {}),
    ...(finishTime ? { finishTime } : {}),
    steps: plan.steps.map(({ name, args, id: stepId }, index) => {
      const state = build.steps[index]
      return {
        name,
        args: [...args],
        ...(stepId ? { id: stepId } : {}),
        ...(state?.timing ? { timing: state.timing } : {}),
        ...(state ? { status: state.status } : {}),
      }
    }),
    timeout: `${plan.timeout / 1000}s`,
    queueTtl: '3600s',
    ...(images.length ? { images: [...images], artifacts: { images: [...images] } } : {}),
    logsBucket: `gs://${log.bucket}${log.folder ? `/${log.folder.slice(0, -1)}` : ''}`,
    sourceProvenance: { resolvedStorageSource: source },
    options: { pool: {}, ...build.options, logging: told },
    logUrl: `https://console.cloud.google.com/cloud-build/builds${region}/${id}?project=${projectNumber}`,
    ...(Object.keys(build.substitutions).length ? { substitutions: { ...build.substitutions } } : {}),
    ...(build.tags.length ? { tags: [...build.tags] } : {}),
    ...(Object.keys(build.timing).length ? { timing: { ...build.timing } } : {}),
    ...(status === 'SUCCESS' ? { results: resultsOf(build) } : {}),
    ...(serviceAccount ? { serviceAccount } : {}),
    ...(failure ? { failureInfo: { type: failure.type, detail: detailOf(build, failure, readable) } } : {}),
  }
}

/** Logging that gcloud does not stream from a bucket. */
const SILENT: ReadonlySet<string> = new Set(['NONE', 'CLOUD_LOGGING_ONLY', 'STACKDRIVER_ONLY'])

function resultsOf({ results, plan }: Build): cloudbuild_v1.Schema$Results {
  return {
    images: results.map(({ name, digest, pushTiming }) => ({
      name,
      ...(digest ? { digest } : {}),
      pushTiming,
    })),
    buildStepImages: plan.steps.map(() => ''),
    buildStepOutputs: plan.steps.map(() => ''),
  }
}

/** gcloud prints the detail: to whoever has not seen the log it says how the log ends. */
function detailOf({ lastLines }: Build, { detail }: Failure, readable: boolean): string {
  return readable || lastLines.length === 0 ? detail : `${detail}\n\n${lastLines.join('\n')}\n`
}
