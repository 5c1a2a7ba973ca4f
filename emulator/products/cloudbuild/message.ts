/** A build as clients send it, and what of it can be done here: Docker builds of uploaded sources. Pure. */
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { type ApiError, invalid } from '../../rest/errors.ts'
import { bool, int, labels, message, outputOnly, strings, text } from '../../rest/messages.ts'
import { imageName } from '../../runtime/image-name.ts'
import { expand, type Substitutions } from './substitutions.ts'

const anything = z.unknown()
const stepMessage = message({
  name: text,
  args: strings,
  env: strings,
  id: text,
  waitFor: strings,
  entrypoint: text,
  dir: text,
  secretEnv: strings,
  volumes: z.array(anything),
  timeout: text,
  script: text,
  allowFailure: bool,
  allowExitCodes: z.array(int),
  automapSubstitutions: bool,
  timing: outputOnly,
  pullTiming: outputOnly,
  status: outputOnly,
  exitCode: outputOnly,
  results: outputOnly,
})

export const buildMessage = message({
  steps: z.array(stepMessage),
  images: strings,
  source: message({
    storageSource: message({ bucket: text, object: text, generation: text, sourceFetcher: text }),
    repoSource: anything,
    gitSource: anything,
    storageSourceManifest: anything,
    connectedRepository: anything,
    developerConnectConfig: anything,
  }),
  timeout: text,
  queueTtl: text,
  logsBucket: text,
  options: z.looseObject({ logging: text.optional() }),
  substitutions: labels,
  tags: strings,
  serviceAccount: text,
  artifacts: anything,
  secrets: z.array(anything),
  availableSecrets: anything,
  gitConfig: anything,
  dependencies: z.array(anything),
  name: outputOnly,
  id: outputOnly,
  projectId: outputOnly,
  status: outputOnly,
  statusDetail: outputOnly,
  results: outputOnly,
  createTime: outputOnly,
  startTime: outputOnly,
  finishTime: outputOnly,
  sourceProvenance: outputOnly,
  buildTriggerId: outputOnly,
  logUrl: outputOnly,
  timing: outputOnly,
  approval: outputOnly,
  warnings: outputOnly,
  failureInfo: outputOnly,
})

export type BuildMessage = z.output<typeof buildMessage>

/** What a step does. */
export type Action =
  | { readonly does: 'build'; readonly tags: readonly string[]; readonly dockerfile?: string }
  /** The engine that builds is the registry: what is pushed has to be there. */
  | { readonly does: 'push'; readonly tag: string }

export interface Step {
  /** As it was sent, `$` expanded. */
  readonly name: string
  readonly args: readonly string[]
  readonly id?: string
  readonly action: Action
}

export interface Plan {
  readonly steps: readonly Step[]
  readonly images: readonly string[]
  readonly source: { readonly bucket: string; readonly object: string; readonly generation?: string }
  /** Milliseconds. */
  readonly timeout: number
}

/** Google's default. Milliseconds. */
const DEFAULT_TIMEOUT = 600_000
const SUPPORTED =
  "The emulator runs steps of gcr.io/cloud-builders/docker: 'build' with -t, -f and the whole source as its context, and 'push'."

/** @throws {ApiError} naming the first thing that cannot be done */
export function planOf(request: BuildMessage, substitutions: Substitutions): Plan {
  const { steps = [], images = [], source, timeout } = request
  if (steps.length === 0) throw invalid('invalid build: no steps') // Inferred wording.
  const { storageSource } = source ?? {}
  if (!storageSource?.bucket || !storageSource.object)
    throw invalid(
      'The emulator builds sources that were uploaded to Cloud Storage: give the build a storageSource.',
    )
  refuseUnsupported(request)
  return {
    steps: steps.map((step, index) => stepOf(step, index, substitutions)),
    images: images.map((image) => expand(image, substitutions)),
    source: {
      bucket: storageSource.bucket,
      object: storageSource.object,
      ...(storageSource.generation ? { generation: storageSource.generation } : {}),
    },
    timeout: timeout === undefined ? DEFAULT_TIMEOUT : durationOf(timeout),
  }
}

function stepOf(step: NonNullable<BuildMessage['steps']>[number], index: number, given: Substitutions): Step {
  const name = expand(step.name ?? '', given)
  const args = (step.args ?? []).map((arg) => expand(arg, given))
  if (name === '') throw invalid(`invalid build: invalid build step: step ${index} has no name`) // Inferred wording.
  const unusual = (['script', 'dir', 'secretEnv', 'volumes'] as const).find(
    (field) => step[field] !== undefined && step[field].length > 0,
  )
  const isDocker = ['gcr.io/cloud-builders/docker', 'docker'].includes(imageName(name))
  if (!isDocker || (step.entrypoint ?? 'docker') !== 'docker')
    throw refused(index, `runs '${step.entrypoint ?? name}'`)
  if (unusual !== undefined) throw refused(index, `has a '${unusual}'`)
  return { name, args, ...(step.id ? { id: step.id } : {}), action: actionOf(args, index) }
}

function actionOf([verb = '', ...rest]: readonly string[], index: number): Action {
  const [tag, ...others] = rest
  if (verb === 'push' && tag !== undefined && others.length === 0) return { does: 'push', tag }
  if (verb !== 'build') throw refused(index, `runs 'docker ${[verb, ...rest].join(' ')}'`)
  let parsed: ReturnType<typeof parseDockerBuild>
  try {
    parsed = parseDockerBuild(rest)
  } catch (error) {
    throw refused(
      index,
      `runs 'docker build' (${error instanceof Error ? error.message.split('. ')[0] : error})`,
    )
  }
  const { values, positionals } = parsed
  const context = positionals.join(' ')
  if (!['.', './'].includes(context)) throw refused(index, `builds with the context '${context}'`)
  if (!values.tag?.length) throw refused(index, 'builds an image without a name')
  return { does: 'build', tags: values.tag, ...(values.file ? { dockerfile: values.file } : {}) }
}

/** Options that decide what the image is; beside them those that only say how it is made, which is the engine's matter here. */
function parseDockerBuild(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      tag: { type: 'string', short: 't', multiple: true },
      file: { type: 'string', short: 'f' },
      network: { type: 'string' },
      'no-cache': { type: 'boolean' },
      'cache-from': { type: 'string', multiple: true },
      pull: { type: 'boolean' },
      progress: { type: 'string' },
      quiet: { type: 'boolean', short: 'q' },
    },
  })
}

function refuseUnsupported(request: BuildMessage): void {
  for (const field of ['artifacts', 'secrets', 'availableSecrets', 'dependencies'] as const)
    if (request[field] !== undefined)
      throw invalid(`The emulator runs no build with '${field}'. ${SUPPORTED}`)
}

function refused(index: number, what: string): ApiError {
  return invalid(`build step ${index} ${what}, which the emulator does not run. ${SUPPORTED}`)
}

/** `600s`, in proto3 JSON's spelling, as milliseconds. */
function durationOf(value: string): number {
  const seconds = /^(\d+(?:\.\d{1,9})?)s$/.exec(value)?.[1]
  if (seconds === undefined)
    throw invalid(
      `Invalid value at 'build.timeout' (type.googleapis.com/google.protobuf.Duration), ${JSON.stringify(value)}`,
    )
  return Number(seconds) * 1000
}
