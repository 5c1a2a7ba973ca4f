/** What Artifact Registry makes of a build's push. */
import { afterAll, expect, test } from 'bun:test'
import { openYard } from '../builds.fixture.ts'
import { PROJECT } from '../products.fixture.ts'

const yard = await openYard()
afterAll(() => yard.crash())
const { json } = yard
const BUCKET = `${PROJECT}_cloudbuild`
yard.objects.createBucket(BUCKET, PROJECT, {})
await yard.objects.insert(BUCKET, 'source.tgz', {}, [Buffer.from('a tar archive')])
await json('POST', `/v1/projects/${PROJECT}/services/artifactregistry.googleapis.com:enable`, {})
const PARENT = `projects/${PROJECT}/locations/europe-west1/repositories`
await json('POST', `/v1/${PARENT}?repositoryId=images`, { format: 'DOCKER' })
// Someone who may read the source, and nothing else.
const READER = `reader@${PROJECT}.iam.gserviceaccount.com`
await json('POST', `/v1/projects/${PROJECT}/serviceAccounts`, { accountId: 'reader' })
const { body: policy } = await json('POST', `/v1/projects/${PROJECT}:getIamPolicy`, {})
const reads = { role: 'roles/storage.objectViewer', members: [`serviceAccount:${READER}`] }
await json('POST', `/v1/projects/${PROJECT}:setIamPolicy`, {
  policy: { ...policy, bindings: [...policy.bindings, reads] },
})

/** The end of a build that pushes `image`, by its list of images or by a step. */
async function built(
  image: string,
  { account, byStep = false }: { account?: string; byStep?: boolean } = {},
) {
  const name = 'gcr.io/cloud-builders/docker'
  const { body } = await json('POST', `/v1/projects/${PROJECT}/locations/global/builds`, {
    source: { storageSource: { bucket: BUCKET, object: 'source.tgz' } },
    steps: [
      { name, args: ['build', '-t', image, '.'] },
      ...(byStep ? [{ name, args: ['push', image] }] : []),
    ],
    ...(byStep ? {} : { images: [image] }),
    ...(account ? { serviceAccount: `projects/${PROJECT}/serviceAccounts/${account}` } : {}),
    options: { logging: 'CLOUD_LOGGING_ONLY' },
  })
  const { id } = body.metadata.build
  await yard.apis.idle()
  const { status, failureInfo } = (await json('GET', `/v1/projects/${PROJECT}/locations/global/builds/${id}`))
    .body
  return { status, type: failureInfo?.type, detail: failureInfo?.detail }
}

const IMAGE = `europe-west1-docker.pkg.dev/${PROJECT}/images/a:v1`
const DENIED = `denied: Permission "artifactregistry.repositories.uploadArtifacts" denied on resource "${PARENT}/images" (or it may not exist)`

test('the default compute account is an Editor and may push to a repository that is there', async () => {
  expect((await built(IMAGE)).status).toBe('SUCCESS')
  expect((await built(IMAGE, { byStep: true })).status).toBe('SUCCESS')
})

test('a repository that is not there is named', async () => {
  const other = IMAGE.replace('images', 'others')
  expect(await built(other)).toEqual({
    status: 'FAILURE',
    type: 'PUSH_FAILED',
    detail: expect.stringContaining('name unknown: Repository "others" not found'),
  })
  expect(await built(other, { byStep: true })).toMatchObject({ status: 'FAILURE', type: 'USER_BUILD_STEP' })
})

test('an account without the permission is refused it by name', async () => {
  expect(await built(IMAGE, { account: READER })).toMatchObject({
    status: 'FAILURE',
    detail: expect.stringContaining(DENIED),
  })
})

test("an image of somebody else's project is refused alike, and one of another registry is taken", async () => {
  const foreign = await built(IMAGE.replace(PROJECT, 'another-project'))
  expect(foreign.detail).toContain('denied: Permission "artifactregistry.repositories.uploadArtifacts"')
  const old = await built('gcr.io/another-project/a')
  expect(old.detail).toContain(
    'denied: Permission "artifactregistry.repositories.uploadArtifacts" denied on resource "projects/another-project/locations/us/repositories/gcr.io"',
  )
  expect((await built(`gcr.io/${PROJECT}/a`)).status).toBe('SUCCESS')
  expect((await built('registry.example.com/team/a')).status).toBe('SUCCESS')
})
