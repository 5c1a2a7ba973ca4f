import { afterAll, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endlessWork, openYard, ToldBuilder, type Yard } from '../builds.fixture.ts'
import { COMPUTE, NUMBER, PROJECT } from '../products.fixture.ts'

const folder = mkdtempSync(join(tmpdir(), 'invoker-builds-'))
afterAll(() => rmSync(folder, { recursive: true }))

const BUCKET = `${PROJECT}_cloudbuild`
const LOGS = `${NUMBER}.cloudbuild-logs.googleusercontent.com`
const TAG = `gcr.io/${PROJECT}/receiving-service`
const BUILDS = `/v1/projects/${PROJECT}/locations/global/builds`
const INTERCEPTED = `https://cloudbuild.googleapis.com${BUILDS}`

const yard = await openYard()
afterAll(() => yard.crash())
const { json } = yard
await giveSource(yard)
beforeEach(() => {
  yard.builder.work = new ToldBuilder().work
  yard.builder.requests.length = 0
})

async function giveSource({ objects }: Yard): Promise<void> {
  objects.createBucket(BUCKET, PROJECT, {})
  await objects.insert(BUCKET, 'source/1.tgz', {}, [Buffer.from('a tar archive')])
}

/** A build as `gcloud builds submit --tag` makes it. */
function tagged(tag = TAG) {
  return {
    images: [tag],
    source: { storageSource: { bucket: BUCKET, object: 'source/1.tgz' } },
    steps: [
      {
        name: 'gcr.io/cloud-builders/docker',
        args: ['build', '--network', 'cloudbuild', '--no-cache', '-t', tag, '.'],
      },
    ],
  }
}

const docker = (...args: string[]) => ({ name: 'gcr.io/cloud-builders/docker', args })

/** Submits a build and waits for its end. */
async function run(request: object, base = BUILDS) {
  const submitted = await json('POST', base, request)
  if (submitted.status !== 200) return { submitted, build: undefined, log: '' }
  const { id } = submitted.body.metadata.build
  await yard.apis.idle()
  const build = (await json('GET', `${base}/${id}`)).body
  const log = await (await yard.ask('GET', `https://storage.googleapis.com/${LOGS}/log-${id}.txt`)).text()
  return { submitted, build, log }
}

const refusal = async (request: object) => {
  const { submitted } = await run(request)
  return [submitted.status, submitted.body.error?.status, submitted.body.error?.message]
}

describe('a build of gcloud builds submit --tag', () => {
  test('facts gcloud 3: create answers an operation whose metadata is the queued build', async () => {
    const { submitted } = await run(tagged())
    expect(submitted.body).toMatchObject({
      name: expect.stringMatching(new RegExp(`^operations/build/${PROJECT}/`)),
      metadata: {
        '@type': 'type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata',
        build: { projectId: PROJECT, images: [TAG], timeout: '600s' },
      },
    })
    expect(submitted.body.done).toBeUndefined()
    expect(submitted.body.metadata.build.status).toMatch(/^(QUEUED|WORKING)$/)
  })

  test('the builder gets the source, the name and nothing else', async () => {
    await run(tagged())
    const [request] = yard.builder.requests
    expect(request?.tags).toEqual([TAG])
    expect(request?.dockerfile).toBeUndefined()
    expect(request && (await new Response(request.source()).text())).toBe('a tar archive')
  })

  test('it ends with digests, times and a log that ends with DONE', async () => {
    const { build, log } = await run(tagged())
    const digest = `sha256:${'1'.repeat(64)}`
    expect(build).toMatchObject({
      status: 'SUCCESS',
      name: `projects/${NUMBER}/locations/global/builds/${build.id}`,
      logsBucket: `gs://${LOGS}`,
      steps: [{ status: 'SUCCESS', timing: { startTime: expect.any(String), endTime: expect.any(String) } }],
      timing: { FETCHSOURCE: expect.anything(), BUILD: expect.anything(), PUSH: expect.anything() },
    })
    expect(build.results.images).toMatchObject([
      { name: TAG, digest },
      { name: `${TAG}:latest`, digest },
    ])
    expect(log).toStartWith(`starting build "${build.id}"\n\nFETCHSOURCE\n`)
    expect(log).toContain(
      'BUILD\nAlready have image (with digest): gcr.io/cloud-builders/docker\nStep 1/1 : FROM scratch\n',
    )
    expect(log).toEndWith('DONE\n')
  })

  test('its operation is done with the build', async () => {
    const { submitted, build } = await run(tagged())
    const { body } = await json('GET', `/v1/${submitted.body.name}`)
    expect(body).toMatchObject({ done: true, response: { id: build.id, status: 'SUCCESS' } })
  })

  test('facts gcloud 4.5: only where TLS to Google ends here is the client told that there is a log to read', async () => {
    const { build } = await run(tagged())
    expect(build.options.logging).toBe('NONE')
    expect((await json('GET', `${INTERCEPTED}/${build.id}`)).body.options.logging).toBe('LEGACY')
  })

  test('a logging mode that gcloud does not stream is told as it was asked for', async () => {
    const { build } = await run({ ...tagged(), options: { logging: 'CLOUD_LOGGING_ONLY' } })
    expect(build.options.logging).toBe('CLOUD_LOGGING_ONLY')
  })

  test('the log is whole before the build says that it is over', async () => {
    const sizes: (number | undefined)[] = []
    const unsubscribe = yard.state.store.onChange(() => {
      const [request] = yard.builder.requests
      if (request)
        sizes.push(
          yard.objects
            .list(LOGS)
            .toSorted((a, b) => Number(a.generation) - Number(b.generation))
            .at(-1)?.size,
        )
    })
    const { log } = await run(tagged())
    unsubscribe()
    // The last thing that is recorded is the end of the build; the log was whole before.
    expect(sizes.slice(-2)).toEqual([log.length, log.length])
  })
})

describe('a build that fails', () => {
  test('says why, in the words of Cloud Build', async () => {
    yard.builder.work = () => Promise.resolve({ ok: false, message: 'dockerfile parse error line 1' })
    const { build, log } = await run(tagged())
    const reason = 'build step 0 "gcr.io/cloud-builders/docker" failed: step exited with non-zero status: 1'
    expect(build).toMatchObject({
      status: 'FAILURE',
      statusDetail: reason,
      failureInfo: { type: 'USER_BUILD_STEP' },
      steps: [{ status: 'FAILURE' }],
    })
    expect(build.results).toBeUndefined()
    expect(log).toEndWith(`dockerfile parse error line 1\nERROR\nERROR: ${reason}\n`)
    // Whoever cannot read the log sees its end in what gcloud prints.
    expect(build.failureInfo.detail).toContain('dockerfile parse error line 1')
    const intercepted = await json('GET', `${INTERCEPTED}/${build.id}`)
    expect(intercepted.body.failureInfo.detail).toBe(`Build step failure: ${reason}`)
  })

  test('a fault of the emulator is an internal error, and told to its log', async () => {
    yard.builder.work = () => Promise.reject(new Error('a fault'))
    const { build } = await run(tagged())
    expect(build.status).toBe('INTERNAL_ERROR')
    expect(yard.lines.join()).toContain('a fault')
  })

  test('an image that no step has made cannot be pushed', async () => {
    const { build } = await run({ ...tagged(), images: ['gcr.io/p/other'] })
    expect(build.failureInfo.type).toBe('PUSH_IMAGE_NOT_FOUND')
  })

  test('one that takes longer than its timeout', async () => {
    const { work } = endlessWork()
    yard.builder.work = work
    const { build, log } = await run({ ...tagged(), timeout: '0.05s' })
    expect(build.status).toBe('TIMEOUT')
    expect(log).toEndWith('TIMEOUT\nERROR: context deadline exceeded\n')
  })
})

describe('cancelling', () => {
  test('a build that runs is stopped, and says so at once', async () => {
    const { work, begun } = endlessWork()
    yard.builder.work = work
    const { body } = await json('POST', BUILDS, tagged())
    await begun
    const { id } = body.metadata.build
    const working = await json(
      'GET',
      `${BUILDS}?filter=${encodeURIComponent('status="WORKING" OR status="QUEUED"')}`,
    )
    expect(working.body.builds.map((build: { id: string }) => build.id)).toEqual([id])
    const cancelled = await json('POST', `${BUILDS}/${id}:cancel`, { name: 'x', projectId: PROJECT, id })
    expect([cancelled.status, cancelled.body.status]).toEqual([200, 'CANCELLED'])
    await yard.apis.idle()
    expect((await json('GET', `${BUILDS}/${id}`)).body.status).toBe('CANCELLED')
    expect((await json('GET', `/v1/${body.name}`)).body.error.code).toBe(1)
    expect((await json('POST', `${BUILDS}/${id}:cancel`, {})).status).toBe(400)
  })

  test('a build that waits for its turn is never begun', async () => {
    const { work } = endlessWork()
    yard.builder.work = work
    const submitted = await Promise.all([1, 2, 3].map(() => json('POST', BUILDS, tagged())))
    const ids = submitted.map(({ body }) => body.metadata.build.id)
    const status = async (id: string) => (await json('GET', `${BUILDS}/${id}`)).body.status
    expect(await Promise.all(ids.map(status))).toEqual(['WORKING', 'WORKING', 'QUEUED'])
    for (const id of ids.toReversed()) await json('POST', `${BUILDS}/${id}:cancel`, {})
    await yard.apis.idle()
    expect(await Promise.all(ids.map(status))).toEqual(['CANCELLED', 'CANCELLED', 'CANCELLED'])
    expect(yard.builder.requests.length).toBeLessThanOrEqual(2)
  })
})

describe('build configurations', () => {
  test('variables are expanded, Dockerfiles named, and several steps prefixed in the log', async () => {
    const { build, log } = await run({
      ...tagged(),
      substitutions: { _VERSION: 'v2' },
      images: [`gcr.io/$PROJECT_ID/api:\${_VERSION}`],
      steps: [
        {
          id: 'api',
          ...docker('build', '--tag=gcr.io/$PROJECT_ID/api:$_VERSION', '-f', 'receiver/Dockerfile', '.'),
        },
        docker('push', 'gcr.io/$PROJECT_ID/api:$_VERSION'),
      ],
    })
    expect(build.status).toBe('SUCCESS')
    expect(yard.builder.requests[0]).toMatchObject({
      tags: [`gcr.io/${PROJECT}/api:v2`],
      dockerfile: 'receiver/Dockerfile',
    })
    expect(build.results.images.map(({ name }: { name: string }) => name)).toEqual([
      `gcr.io/${PROJECT}/api:v2`,
    ])
    expect(log).toContain('Starting Step #0 - "api"\nStep #0 - "api": Already have image')
    expect(log).toContain('Finished Step #1\nPUSH\n')
  })

  test('an unknown variable is refused', async () => {
    const [status, , message] = await refusal({
      ...tagged(),
      steps: [docker('build', '-t', 'gcr.io/p/$NAME', '.')],
    })
    expect([status, message]).toEqual([
      400,
      'generic::invalid_argument: invalid value for \'build.substitutions\': key in the template "NAME" is not a valid built-in substitution',
    ])
  })

  test('what cannot be run is refused before anything is built, naming what can', async () => {
    const able =
      "The emulator runs steps of gcr.io/cloud-builders/docker: 'build' with -t, -f and the whole source as its context, and 'push'."
    const cases: [object, string][] = [
      [{ name: 'node:20', entrypoint: 'npm', args: ['ci'] }, "runs 'npm'"],
      [docker('run', 'x'), "runs 'docker run x'"],
      [docker('build', '-t', 'x', 'receiver'), "builds with the context 'receiver'"],
      [docker('build', '.'), 'builds an image without a name'],
      [docker('build', '-t', 'x', '--target', 'a', '.'), "runs 'docker build' (Unknown option '--target')"],
      [{ ...docker('build', '-t', 'x', '.'), dir: 'receiver' }, "has a 'dir'"],
      [{ name: 'gcr.io/cloud-builders/docker', script: 'docker build .' }, "has a 'script'"],
    ]
    for (const [step, what] of cases) {
      expect(await refusal({ ...tagged(), steps: [step] })).toEqual([
        400,
        'INVALID_ARGUMENT',
        `build step 0 ${what}, which the emulator does not run. ${able}`,
      ])
    }
    expect(yard.builder.requests).toHaveLength(0)
  })

  test('a field that the API does not have is refused', async () => {
    const [status, , message] = await refusal({ ...tagged(), stepz: [] })
    expect([status, message]).toEqual([
      400,
      'Invalid JSON payload received. Unknown name "stepz" at \'build\': Cannot find field.',
    ])
  })

  test('a source that is not there is refused', async () => {
    const source = { storageSource: { bucket: BUCKET, object: 'source/none.tgz' } }
    expect((await refusal({ ...tagged(), source }))[2]).toBe(
      `could not resolve source: googleapi: Error 404: No such object: ${BUCKET}/source/none.tgz, notFound`,
    )
  })

  test('a log goes to the bucket and folder that are asked for', async () => {
    yard.objects.createBucket('my-logs', PROJECT, {})
    const { build } = await run({ ...tagged(), logsBucket: 'gs://my-logs/deep/er' })
    expect(build.logsBucket).toBe('gs://my-logs/deep/er')
    expect(yard.objects.object('my-logs', `deep/er/log-${build.id}.txt`)?.size).toBeGreaterThan(100)
  })
})

describe('who may', () => {
  test('someone without a role may not build, nor see builds', async () => {
    const token = yard.token('user:stranger@example.com')
    for (const [method, url] of [
      ['POST', BUILDS],
      ['GET', BUILDS],
    ] as const) {
      const { status, body } = await json(method, url, method === 'POST' ? tagged() : undefined, { token })
      expect([status, body.error.message]).toEqual([403, 'The caller does not have permission'])
    }
  })

  test('the service account that builds must be able to read the source', async () => {
    const project = yard.state.project(PROJECT)
    if (!project) throw new Error('no project')
    const bindings = project.policy.bindings.filter(({ role }) => role !== 'roles/editor')
    yard.state.projects.put(PROJECT, { ...project, policy: { ...project.policy, bindings } })
    const [status, , message] = await refusal(tagged())
    yard.state.projects.put(PROJECT, project)
    expect(status).toBe(400)
    expect(message).toStartWith(
      `could not resolve source: googleapi: Error 403: ${COMPUTE} does not have storage.objects.get access`,
    )
  })

  test('a service account of its own takes a decision on where the log goes', async () => {
    const serviceAccount = `projects/${PROJECT}/serviceAccounts/${COMPUTE}`
    expect((await refusal({ ...tagged(), serviceAccount }))[2]).toStartWith(
      "if 'build.service_account' is specified",
    )
    const { build } = await run({ ...tagged(), serviceAccount, options: { logging: 'CLOUD_LOGGING_ONLY' } })
    expect(build).toMatchObject({ status: 'SUCCESS', serviceAccount })
  })
})

describe('after a restart', () => {
  test('a build that was interrupted has failed, and one that waited is built', async () => {
    const data = join(folder, 'crash')
    const before = await openYard(data)
    await giveSource(before)
    const { work, begun } = endlessWork()
    before.builder.work = work
    const ids: string[] = []
    for (let index = 0; index < 3; index += 1)
      ids.push((await before.json('POST', BUILDS, tagged())).body.metadata.build.id)
    await begun
    before.crash()

    const after = await openYard(data)
    await after.apis.start()
    await after.apis.idle()
    const builds = await Promise.all(ids.map(async (id) => (await after.json('GET', `${BUILDS}/${id}`)).body))
    expect(builds.map(({ status }) => status)).toEqual(['INTERNAL_ERROR', 'INTERNAL_ERROR', 'SUCCESS'])
    expect(builds[0].statusDetail).toBe('The emulator was stopped while it built. Submit the build again.')
    const log = await after.ask('GET', `https://storage.googleapis.com/${LOGS}/log-${ids[0]}.txt`)
    expect(await log.text()).toEndWith(`ERROR\nERROR: ${builds[0].statusDetail}\n`)
    after.crash()
  })

  test('an emulator that is stopped breaks off its builds and says so in their records', async () => {
    const data = join(folder, 'stop')
    const before = await openYard(data)
    await giveSource(before)
    const { work, begun } = endlessWork()
    before.builder.work = work
    const { id } = (await before.json('POST', BUILDS, tagged())).body.metadata.build
    await begun
    await before.apis.close()
    expect((await before.json('GET', `${BUILDS}/${id}`)).body.status).toBe('INTERNAL_ERROR')
    before.crash()
  })
})

test('builds are listed newest first, those of a region apart from those of global', async () => {
  const regional = `/v1/projects/${PROJECT}/locations/europe-west1/builds`
  const { build } = await run(tagged(), regional)
  const list = (await json('GET', regional)).body.builds
  expect(list.map(({ id }: { id: string }) => id)).toEqual([build.id])
  const newest = (await run(tagged())).build.id
  expect((await json('GET', `/v1/projects/${PROJECT}/builds`)).body.builds[0].id).toBe(newest)
})
