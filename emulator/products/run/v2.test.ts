import { beforeEach, describe, expect, test } from 'bun:test'
import {
  COMPUTE,
  IMAGE,
  knative,
  NUMBER,
  openWorld,
  PROJECT,
  SERVICES as V1,
  type World,
} from '../products.fixture.ts'

const PARENT = `projects/${PROJECT}/locations/us-central1`
const SERVICES = `/v2/${PARENT}/services`
const NAME = `${PARENT}/services/receiver`

let world: World
beforeEach(async () => {
  world = await openWorld()
})

const document = (more: object = {}) => ({ template: { containers: [{ image: IMAGE }] }, ...more })
const create = (body: object = document(), query = '') =>
  world.post(`${SERVICES}?serviceId=receiver${query}`, body)
const patch = (body: object, query = '') => world.call('PATCH', `${SERVICES}/receiver${query}`, body)

describe('creating', () => {
  test('answers an operation that is done and kept, with the service in it', async () => {
    const { status, body } = await create()
    expect(status).toBe(200)
    expect(body.name).toMatch(new RegExp(`^${PARENT}/operations/[0-9a-f-]{36}$`))
    expect(body).toMatchObject({
      done: true,
      metadata: { '@type': 'type.googleapis.com/google.cloud.run.v2.Service' },
      response: { '@type': 'type.googleapis.com/google.cloud.run.v2.Service', name: NAME },
    })
    expect((await world.get(`/v2/${body.name}`)).body).toEqual(body)
    expect((await world.post(`/v2/${body.name}:wait`, { timeout: '30s' })).body).toEqual(body)
    expect((await world.get(`/v2/${PARENT}/operations`)).body.operations).toEqual([body])
    expect((await world.get(`/v2/${PARENT}/operations/nope`)).status).toBe(404)
  })

  test('the service is the one that v1 shows', async () => {
    await create()
    const v1 = (await world.get(`${V1}/receiver`)).body
    const v2 = (await world.get(`${SERVICES}/receiver`)).body
    const revision = v1.status.latestReadyRevisionName
    expect(v2).toMatchObject({
      name: NAME,
      uid: v1.metadata.uid,
      generation: '1',
      observedGeneration: '1',
      uri: v1.status.url,
      etag: `"${v1.metadata.resourceVersion}"`,
      ingress: 'INGRESS_TRAFFIC_ALL',
      latestReadyRevision: `${NAME}/revisions/${revision}`,
      latestCreatedRevision: `${NAME}/revisions/${revision}`,
      terminalCondition: { type: 'Ready', state: 'CONDITION_SUCCEEDED' },
      traffic: [{ type: 'TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST', percent: 100 }],
      trafficStatuses: [{ type: 'TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST', percent: 100 }],
      template: {
        timeout: '300s',
        serviceAccount: COMPUTE,
        maxInstanceRequestConcurrency: 80,
        containers: [{ image: IMAGE, ports: [{ name: 'http1', containerPort: 8080 }] }],
      },
    })
    expect(v2.urls).toEqual(JSON.parse(v1.metadata.annotations['run.googleapis.com/urls']))
  })

  test('facts 1.6, 1.7: fields that v1 says in annotations', async () => {
    const fields = {
      description: 'what it is',
      ingress: 'INGRESS_TRAFFIC_INTERNAL_ONLY',
      invokerIamDisabled: true,
      defaultUriDisabled: true,
      customAudiences: ['https://api.example.com'],
      labels: { team: 'a' },
      annotations: { 'example.com/x': 'y' },
    }
    await create(document(fields))
    expect((await world.get(`${SERVICES}/receiver`)).body).toMatchObject(fields)
    expect((await world.get(`${V1}/receiver`)).body.metadata).toMatchObject({
      labels: { team: 'a' },
      annotations: {
        'example.com/x': 'y',
        'run.googleapis.com/ingress': 'internal',
        'run.googleapis.com/invoker-iam-disabled': 'true',
        'run.googleapis.com/default-url-disabled': 'true',
        'run.googleapis.com/custom-audiences': '["https://api.example.com"]',
      },
    })
  })

  test('every field of a template comes back as it went', async () => {
    const template = {
      revision: 'receiver-blue',
      labels: { a: 'b' },
      scaling: { minInstanceCount: 1, maxInstanceCount: 5 },
      vpcAccess: { egress: 'ALL_TRAFFIC', networkInterfaces: [{ network: 'default', tags: ['t'] }] },
      timeout: '60s',
      maxInstanceRequestConcurrency: 10,
      executionEnvironment: 'EXECUTION_ENVIRONMENT_GEN2',
      sessionAffinity: true,
      volumes: [{ name: 'v', emptyDir: { sizeLimit: '1Mi' } }],
      containers: [
        {
          name: 'app',
          image: IMAGE,
          command: ['/app'],
          args: ['-v'],
          env: [{ name: 'A', value: 'b' }],
          resources: { limits: { cpu: '2', memory: '1Gi' }, cpuIdle: true, startupCpuBoost: true },
          ports: [{ name: 'h2c', containerPort: 9090 }],
          volumeMounts: [{ name: 'v', mountPath: '/v' }],
          startupProbe: { tcpSocket: { port: 9090 }, periodSeconds: 10 },
          dependsOn: ['side'],
        },
        { name: 'side', image: 'nginx' },
      ],
    }
    await create({ template })
    const { body } = await world.get(`${SERVICES}/receiver`)
    const { resources, ...side } = body.template.containers[1]
    expect({ ...body.template, containers: [body.template.containers[0], side] }).toMatchObject(template)
    // Read back and sent again, it is the same template.
    const again = await patch(body)
    expect(again.body.response.latestReadyRevision).toBe(`${NAME}/revisions/receiver-blue`)
  })

  test('clients that send enums as numbers are understood', async () => {
    const body = document({ ingress: 2, traffic: [{ type: 1, percent: 100 }] })
    expect((await create(body)).body.response.ingress).toBe('INGRESS_TRAFFIC_INTERNAL_ONLY')
  })

  test('validateOnly checks and changes nothing', async () => {
    expect((await create(document(), '&validateOnly=true')).body.done).toBe(true)
    expect((await world.get(`${SERVICES}/receiver`)).status).toBe(404)
    expect(world.state.operations.size).toBe(0)
    expect((await create({ template: { containers: [] } }, '&validateOnly=true')).status).toBe(400)
  })

  test('a revision that does not start is the operation’s error', async () => {
    world.runtime.failures.set(IMAGE, {
      ready: false,
      reason: 'ContainerMissing',
      message: `Image '${IMAGE}' not found.`,
    })
    const { body } = await create()
    expect(body.done).toBe(true)
    expect(body.error.message).toMatch(
      /^Revision 'receiver-00001-...' is not ready and cannot serve traffic\. Image '.*' not found\.$/,
    )
    expect(body).not.toHaveProperty('response')
    const { body: service } = await world.get(`${SERVICES}/receiver`)
    expect(service.terminalCondition).toMatchObject({ state: 'CONDITION_FAILED' })
  })

  const refusals: readonly (readonly [string, string, object, string])[] = [
    [
      'facts 6.9: a bad service name',
      'Receiver',
      document(),
      'Violation in CreateServiceRequest.service_id: only lowercase, digits, and hyphens; must begin with letter, and cannot end with hyphen; must be less than 50 characters.',
    ],
    [
      'facts 6.9: a service name of 50 characters',
      'a'.repeat(50),
      document(),
      'Violation in CreateServiceRequest.service_id: only lowercase, digits, and hyphens; must begin with letter, and cannot end with hyphen; must be less than 50 characters.',
    ],
    [
      'an image host that is not allowed',
      'receiver',
      { template: { containers: [{ image: 'ghcr.io/a/b' }] } },
      'Violation in CreateServiceRequest.service.template.containers[0].image: Expected an image path like [host/]repo-path[:tag and/or @digest], where host is one of [region.]gcr.io, [region-]docker.pkg.dev or docker.io but obtained ghcr.io/a/b',
    ],
    [
      'an unknown field',
      'receiver',
      document({ ingres: 'all' }),
      'Invalid JSON payload received. Unknown name "ingres" at \'service\': Cannot find field.',
    ],
  ]
  for (const [title, id, body, message] of refusals) {
    test(`${title} is refused`, async () => {
      const answer = await world.post(`${SERVICES}?serviceId=${id}`, body)
      expect(answer.status).toBe(400)
      expect(answer.body.error).toMatchObject({ status: 'INVALID_ARGUMENT', message })
    })
  }

  test('what Google has and the emulator has not is refused by name', async () => {
    const { status, body } = await create(document({ durableExecution: true }))
    // Google's clients try a 501 again.
    expect(status).toBe(400)
    expect(body.error).toMatchObject({
      status: 'UNIMPLEMENTED',
      message: 'service.durableExecution is not emulated.',
    })
  })
})

describe('changing', () => {
  test('an update mask takes only what it names', async () => {
    await create(document({ labels: { a: 'b' }, description: 'old' }))
    const { body } = await patch({ description: 'new', labels: { c: 'd' } }, '?updateMask=description')
    expect(body.response).toMatchObject({ description: 'new', labels: { a: 'b' }, generation: '2' })
    const nested = await patch(
      { template: { maxInstanceRequestConcurrency: 5 } },
      '?updateMask=template.max_instance_request_concurrency',
    )
    expect(nested.body.response.template).toMatchObject({
      maxInstanceRequestConcurrency: 5,
      containers: [{ image: IMAGE }],
    })
    expect(nested.body.response.latestReadyRevision).toMatch(/-00003-/)
    const cleared = await patch({}, '?updateMask=labels')
    expect(cleared.body.response).not.toHaveProperty('labels')
  })

  test('an update mask with a path that there is not is refused, and names it', async () => {
    await create()
    for (const path of ['nope', 'labels.a', 'template.containers.image', 'uid.x', '__proto__', 'a..b']) {
      const { status, body } = await patch({ description: 'new' }, `?updateMask=description,${path}`)
      expect(status).toBe(400)
      expect(body.error.message).toBe(
        `Violation in UpdateServiceRequest.update_mask: invalid path '${path}'.`,
      )
    }
    expect((await world.get(`${SERVICES}/receiver`)).body).not.toHaveProperty('description')
  })

  test('labels of the system’s namespaces are v1’s: not shown, not taken, and left as they are', async () => {
    const labels = { 'run.googleapis.com/team': 'a', 'client.knative.dev/nonce': 'n' }
    await world.post(V1, knative('receiver', { metadata: { labels } }))
    const { body: shown } = await world.get(`${SERVICES}/receiver`)
    expect(shown.labels).toEqual({ 'client.knative.dev/nonce': 'n' })
    expect((await patch({ ...shown, labels: { b: 'c' } })).status).toBe(200)
    const { body } = await world.get(`${V1}/receiver`)
    expect(body.metadata.labels).toMatchObject({ 'run.googleapis.com/team': 'a', b: 'c' })
    const refused = await patch({ ...shown, labels })
    expect([refused.status, refused.body.error.message]).toEqual([
      400,
      "Violation in UpdateServiceRequest.service.labels: system labels are not supported: 'run.googleapis.com/team'.",
    ])
    const annotated = await create(document({ annotations: { 'run.googleapis.com/ingress': 'all' } }))
    expect(annotated.body.error.message).toBe(
      "Violation in CreateServiceRequest.service.annotations: system annotations are not supported: 'run.googleapis.com/ingress'.",
    )
  })

  test('what v1 says and v2 has no field for stays, and is no new revision', async () => {
    const metadata = { annotations: { 'run.googleapis.com/gc-traffic-tags': 'true' } }
    const spec = {
      containers: [{ image: IMAGE, resources: { requests: { cpu: '1' } } }],
      runtimeClassName: 'run.googleapis.com/linux-base-image-update',
    }
    await world.post(V1, knative('receiver', { metadata, spec }))
    const shown = (await world.get(`${SERVICES}/receiver`)).body
    const { body } = await patch({ ...shown, labels: { a: 'b' } })
    expect(body.response.latestReadyRevision).toMatch(/-00001-/)
    const after = (await world.get(`${V1}/receiver`)).body
    expect(after.metadata.annotations).toMatchObject(metadata.annotations)
    expect(after.spec.template.spec).toMatchObject({ runtimeClassName: spec.runtimeClassName })
  })

  test('an etag that is not the current one is answered 409', async () => {
    const { etag } = (await create()).body.response
    expect((await patch(document({ etag }))).status).toBe(200)
    const { status, body } = await patch(document({ etag }))
    expect([status, body.error.status]).toEqual([409, 'ABORTED'])
    expect((await world.call('DELETE', `${SERVICES}/receiver?etag=${encodeURIComponent(etag)}`)).status).toBe(
      409,
    )
  })

  test('allowMissing creates, otherwise what is not there is answered 404', async () => {
    expect((await patch(document())).status).toBe(404)
    expect((await patch(document(), '?allowMissing=true')).body.response.name).toBe(NAME)
  })

  test('forceNewRevision makes one of the same template', async () => {
    await create()
    expect((await patch(document())).body.response.latestReadyRevision).toMatch(/-00001-/)
    expect((await patch(document(), '?forceNewRevision=true')).body.response.latestReadyRevision).toMatch(
      /-00002-/,
    )
  })

  test('traffic by revision and tag', async () => {
    const { latestReadyRevision } = (await create()).body.response
    const revision = latestReadyRevision.split('/').at(-1)
    await patch(document(), '?forceNewRevision=true')
    const traffic = [
      { type: 'TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST', percent: 40 },
      { type: 'TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION', revision, percent: 60, tag: 'old' },
    ]
    const { body } = await patch({ traffic }, '?updateMask=traffic')
    expect(body.response.traffic).toEqual(traffic)
    expect(body.response.trafficStatuses[1]).toMatchObject({
      revision,
      uri: `http://old---receiver-${NUMBER}.us-central1.run.app`,
    })
  })

  test('a service made by v1 is changed by v2 without losing what v2 does not name', async () => {
    await world.post(V1, knative('receiver'))
    const { body } = await patch({ labels: { a: 'b' } }, '?updateMask=labels')
    expect(body.response.latestReadyRevision).toMatch(/-00001-/)
    expect((await world.get(`${V1}/receiver`)).body.metadata.annotations).toMatchObject({
      'run.googleapis.com/client-name': 'gcloud',
    })
  })
})

describe('reading and deleting', () => {
  test('services in pages, revisions of one service', async () => {
    await create()
    await world.post(`${SERVICES}?serviceId=sender`, document())
    const first = (await world.get(`${SERVICES}?pageSize=1`)).body
    expect(first.services).toHaveLength(1)
    const second = (await world.get(`${SERVICES}?pageSize=1&pageToken=${first.nextPageToken}`)).body
    expect(second.services[0].name).toBe(`${PARENT}/services/sender`)
    expect(second).not.toHaveProperty('nextPageToken')

    const { revisions } = (await world.get(`${SERVICES}/receiver/revisions`)).body
    expect(revisions).toHaveLength(1)
    expect((await world.get(`/v2/${revisions[0].name}`)).body).toEqual(revisions[0])
    expect(revisions[0]).toMatchObject({ service: 'receiver', containers: [{ image: IMAGE }] })
    expect(
      (await world.get(`${SERVICES}/sender/revisions/${revisions[0].name.split('/').at(-1)}`)).status,
    ).toBe(404)
  })

  test('deletion answers an operation', async () => {
    await create()
    const { body } = await world.call('DELETE', `${SERVICES}/receiver`)
    expect(body).toMatchObject({ done: true, response: { name: NAME, deleteTime: expect.any(String) } })
    expect((await world.get(`${SERVICES}/receiver`)).body.error.message).toBe(
      `Resource 'receiver' of kind 'SERVICE' in region 'us-central1' in project '${PROJECT}' does not exist.`,
    )
  })

  test('facts 6.9: a caller without the right is answered 403 with the v2 name', async () => {
    const stranger = world.token('user:stranger@example.com')
    const { status, body } = await world.get(`${SERVICES}/receiver`, stranger)
    expect(status).toBe(403)
    expect(body.error.message).toBe(
      `Permission 'run.services.get' denied on resource '${NAME}' (or resource may not exist).`,
    )
  })

  test('a region that does not exist is answered 403', async () => {
    const { status, body } = await world.get(`/v2/projects/${PROJECT}/locations/mars-north1/services`)
    expect(status).toBe(403)
    expect(body.error.message).toBe("Permission denied on 'locations/mars-north1' (or it may not exist).")
  })

  test('the policy is the one that v1 sets', async () => {
    await create()
    const bindings = [{ role: 'roles/run.invoker', members: ['allUsers'] }]
    await world.post(`${SERVICES}/receiver:setIamPolicy`, { policy: { bindings } })
    expect((await world.get(`/v1/${NAME}:getIamPolicy`)).body.bindings).toEqual(bindings)
    expect((await world.get(`${SERVICES}/receiver:getIamPolicy`)).body.bindings).toEqual(bindings)
  })
})
