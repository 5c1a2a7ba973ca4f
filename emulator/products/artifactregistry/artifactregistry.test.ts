import { beforeEach, expect, test } from 'bun:test'
import { openWorld, PROJECT, type World } from '../products.fixture.ts'

const PARENT = `/v1/projects/${PROJECT}/locations/us-central1/repositories`
const NAME = `projects/${PROJECT}/locations/us-central1/repositories/images`
const API = 'artifactregistry.googleapis.com'

let world: World
beforeEach(async () => {
  world = await openWorld()
  await world.post(`/v1/projects/${PROJECT}/services/${API}:enable`, {})
})

const create = (body: object = { format: 'DOCKER' }, id = 'images', token?: string) =>
  world.post(`${PARENT}?repositoryId=${id}`, body, token)

test('facts 6.9: an API that is not enabled refuses, and says how to enable it', async () => {
  await world.post(`/v1/projects/${PROJECT}/services/${API}:disable`, {})
  const { status, body } = await world.get(PARENT)
  expect([status, body.error.message]).toEqual([
    403,
    expect.stringMatching(/^Artifact Registry API has not been used in project demo-project before/),
  ])
})

test('a repository is created by an operation that can be asked for later, and then is there', async () => {
  const { status, body } = await create({
    format: 'DOCKER',
    labels: { a: 'b' },
    dockerConfig: { immutableTags: true },
  })
  expect([status, body.done, body.response.name]).toEqual([200, true, NAME])
  expect((await world.get(`https://${API}/v1/${body.name}`)).body).toEqual(body)

  const found = await world.get(`/v1/${NAME}`)
  expect(found.body).toMatchObject({
    name: NAME,
    format: 'DOCKER',
    mode: 'STANDARD_REPOSITORY',
    labels: { a: 'b' },
    dockerConfig: { immutableTags: true },
    registryUri: `us-central1-docker.pkg.dev/${PROJECT}/images`,
  })
  expect((await world.get(PARENT)).body).toEqual({ repositories: [found.body] })
  expect((await world.get(PARENT.replace('us-central1', '-'))).body).toEqual({ repositories: [found.body] })
  expect((await world.get(PARENT.replace('us-central1', 'us'))).body).toEqual({})
})

test.each([
  [{ format: 'DOCKER' }, 'images', 409, 'the repository already exists'],
  [{}, 'others', 400, 'format is required.'],
  [{ format: 'DOCKER' }, 'Others', 400, expect.stringContaining('repository_id')],
  [{ format: 'TAPE' }, 'others', 400, expect.stringContaining("Invalid value at 'repository.format'")],
])('%p as %s is refused with %d', async (body, id, code, sentence) => {
  await create()
  const refused = await create(body, id)
  expect([refused.status, refused.body.error.message]).toEqual([code, sentence])
})

test('a change touches what its mask names', async () => {
  await create({ format: 'DOCKER', labels: { a: 'b' } })
  const { body } = await world.call('PATCH', `/v1/${NAME}?updateMask=description`, {
    description: 'Images',
    labels: {},
  })
  expect(body).toMatchObject({ description: 'Images', labels: { a: 'b' } })
  expect((await world.get(`/v1/${NAME}`)).body).toEqual(body)
})

test('a deleted repository is gone', async () => {
  await create()
  expect((await world.call('DELETE', `/v1/${NAME}`)).body.done).toBe(true)
  for (const method of ['GET', 'DELETE']) expect((await world.call(method, `/v1/${NAME}`)).status).toBe(404)
})

test('whoever lacks the permission learns its name, and not whether there is such a repository', async () => {
  await create()
  const stranger = world.token('user:stranger@example.com')
  for (const name of [NAME, `${NAME}-not`]) {
    const { status, body } = await world.get(`/v1/${name}`, stranger)
    expect([status, body.error.message]).toEqual([
      403,
      `Permission 'artifactregistry.repositories.get' denied on resource '//${API}/${name}' (or it may not exist).`,
    ])
  }
  expect((await create({ format: 'DOCKER' }, 'others', stranger)).status).toBe(403)
})
