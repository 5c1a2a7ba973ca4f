import { beforeEach, describe, expect, test } from 'bun:test'
import {
  type Answer,
  COMPUTE,
  IMAGE,
  knative,
  LOCATED,
  NUMBER,
  OWNER,
  openWorld,
  PROJECT,
  RecordingRuntime,
  SERVICES,
  type World,
} from '../products.fixture.ts'
import { createProducts } from '../products.ts'

let world: World
beforeEach(async () => {
  world = await openWorld()
})

const conditionsOf = (body: { status: { conditions: { type: string; status: string }[] } }) =>
  Object.fromEntries(body.status.conditions.map(({ type, status }) => [type, status]))

describe('creating a service', () => {
  test('facts gcloud 3: the reply is already Ready, names its revision and is observed', async () => {
    const { status, body } = await world.post(SERVICES, knative('receiver'))
    expect(status).toBe(200)
    expect(conditionsOf(body)).toEqual({ Ready: 'True', ConfigurationsReady: 'True', RoutesReady: 'True' })
    expect(body.status.observedGeneration).toBe(body.metadata.generation)
    expect(body.status.latestReadyRevisionName).toMatch(/^receiver-00001-[a-z0-9]{3}$/)
    expect(body.status.latestCreatedRevisionName).toBe(body.status.latestReadyRevisionName)
    expect(body.status.traffic).toEqual([
      { revisionName: body.status.latestReadyRevisionName, percent: 100, latestRevision: true },
    ])
    expect(body.metadata.annotations).not.toHaveProperty('run.googleapis.com/operation-id')
    expect(world.runtime.events).toEqual([`start ${body.status.latestReadyRevisionName}`])
  })

  test('facts 6.9: a service object has the project number as namespace, selfLink, resourceVersion and location label', async () => {
    const { body } = await world.post(SERVICES, knative('receiver'))
    expect(body.metadata).toMatchObject({
      namespace: NUMBER,
      selfLink: `/apis/serving.knative.dev/v1/namespaces/${NUMBER}/services/receiver`,
      labels: { 'cloud.googleapis.com/location': 'us-central1' },
      annotations: {
        'serving.knative.dev/creator': OWNER,
        'serving.knative.dev/lastModifier': OWNER,
        'run.googleapis.com/ingress': 'all',
        'run.googleapis.com/ingress-status': 'all',
        'run.googleapis.com/client-name': 'gcloud',
      },
    })
    expect(body.metadata.resourceVersion).toMatch(/^AAZ[\w-]{8}$/)
    const url = `http://receiver-${NUMBER}.us-central1.run.app`
    expect(body.status.url).toBe(url)
    expect(body.status.address.url).toBe(url)
    expect(JSON.parse(body.metadata.annotations['run.googleapis.com/urls'])).toHaveLength(2)
  })

  test('a service as Google prints one that a function, the console and a trigger have written is taken whole', async () => {
    const metadata = {
      generation: 20,
      labels: {
        'goog-managed-by': '',
        'firebase-functions-hash': '4376aa28f8d5',
        'gcb-trigger-id': '89fce451-85cb-4671-9404-f325b0373e6e',
        'run.googleapis.com/satisfiesPzs': 'true',
        'cloud.googleapis.com/location': 'us-central1',
      },
      annotations: {
        'cloudfunctions.googleapis.com/function-id': 'api',
        'serving.knative.dev/creator': 'somebody@example.com',
        'run.googleapis.com/build-base-image':
          'us-docker.pkg.dev/serverless-runtimes/google-22/runtimes/nodejs22',
        'run.googleapis.com/build-enable-automatic-updates': 'true',
        'run.googleapis.com/build-environment-variables': '{"GOOGLE_NODE_RUN_SCRIPTS":""}',
        'run.googleapis.com/build-name': 'projects/1/locations/us-central1/builds/b',
        'run.googleapis.com/client-name': 'cloud-console',
        'run.googleapis.com/custom-audiences': '["https://us-central1-p.cloudfunctions.net/api"]',
        'run.googleapis.com/ingress-status': 'all',
        'run.googleapis.com/maxScale': '20',
        'run.googleapis.com/operation-id': '7b9bcd52-5c89-447d-977f-d870cd9f3a0e',
        'run.googleapis.com/urls': '["https://api-1.us-central1.run.app"]',
      },
    }
    const template = {
      metadata: {
        labels: { 'run.googleapis.com/startupProbeType': 'Default' },
        annotations: {
          'autoscaling.knative.dev/minScale': '0',
          'run.googleapis.com/base-images': '{"":"us-docker.pkg.dev/runtimes/nodejs22"}',
          'run.googleapis.com/cpu-throttling': 'true',
          'run.googleapis.com/execution-environment': 'gen1',
          'run.googleapis.com/sessionAffinity': 'false',
        },
      },
      spec: {
        containers: [
          {
            name: 'receiver-1',
            image: 'us-docker.pkg.dev/cloudrun/container/aistudio/applet-proxy',
            ports: [{ name: 'http1', containerPort: 8080 }],
            resources: { limits: { cpu: '0.1666', memory: '256Mi' } },
            startupProbe: {
              timeoutSeconds: 240,
              periodSeconds: 240,
              failureThreshold: 1,
              tcpSocket: { port: 8080 },
            },
          },
        ],
        containerConcurrency: 1,
      },
    }
    const document = { ...knative('receiver', { metadata }), spec: { template } }
    const { status, body } = await world.post(SERVICES, document)
    expect([status, body.error?.message]).toEqual([200, undefined])
    expect(body.spec.template.metadata).toEqual(template.metadata)
    expect(body.spec.template.spec).toMatchObject(template.spec)
    const {
      'run.googleapis.com/operation-id': _,
      'serving.knative.dev/creator': __,
      ...kept
    } = metadata.annotations
    expect(body.metadata.annotations).toMatchObject({
      ...kept,
      'run.googleapis.com/urls': expect.any(String),
    })
  })

  test('facts 1.8: what is left out gets Cloud Run’s defaults', async () => {
    const { body } = await world.post(SERVICES, knative('receiver'))
    expect(body.spec.template.spec).toMatchObject({
      containerConcurrency: 80,
      timeoutSeconds: 300,
      serviceAccountName: COMPUTE,
      containers: [{ image: IMAGE, ports: [{ name: 'http1', containerPort: 8080 }] }],
    })
    expect(body.spec.traffic).toEqual([{ latestRevision: true, percent: 100 }])
  })

  test('facts gcloud 3: the region is that of the host name', async () => {
    await world.post(`http://europe-west1-run.googleapis.com${SERVICES}`, knative('receiver'))
    const there = await world.get(`http://europe-west1-run.googleapis.com${SERVICES}/receiver`)
    expect(there.body.status.url).toBe(`http://receiver-${NUMBER}.europe-west1.run.app`)
    expect((await world.get(`${SERVICES}/receiver`)).status).toBe(404)
    const everywhere = await world.get(`/v1/projects/${PROJECT}/locations/-/services`)
    expect(everywhere.body.items).toHaveLength(1)
  })

  test('without a region in the host nothing is created, read or changed, and everything is listed', async () => {
    const global = `http://run.googleapis.com${SERVICES}`
    await world.post(`http://europe-west1-run.googleapis.com${SERVICES}`, knative('receiver'))
    for (const answer of [
      await world.post(global, knative('other')),
      await world.get(`${global}/receiver`),
      await world.call('DELETE', `${global}/receiver`),
    ]) {
      const description = 'No region provided in host name, in resource name/parent, or in the request.'
      expect([answer.status, answer.body.error.message]).toEqual([400, `region: ${description}`])
      expect(answer.body.error.details[0].fieldViolations).toEqual([{ field: 'region', description }])
    }
    expect((await world.get(global)).body.items).toHaveLength(1)
    const nowhere = `/v1/projects/${PROJECT}/locations/mars-north1/services`
    expect((await world.post(nowhere, knative('other'))).status).toBe(403)
  })

  test('services of several regions are none, and no other field selects', async () => {
    await world.post(SERVICES, knative('receiver'))
    expect((await world.get(`${SERVICES}?fieldSelector=multiRegionOnly`)).body.items).toEqual([])
    expect((await world.get(`${SERVICES}?fieldSelector=metadata.name%3Dx`)).status).toBe(400)
  })

  test('with its default URL disabled a service shows none', async () => {
    const annotations = { 'run.googleapis.com/default-url-disabled': 'true' }
    const { body } = await world.post(SERVICES, knative('receiver', { metadata: { annotations } }))
    expect(body.status).not.toHaveProperty('url')
    expect(body.status).not.toHaveProperty('address')
    expect(body.metadata.annotations['run.googleapis.com/urls']).toBe('[]')
    const v2 = (await world.get(`/v2/projects/${PROJECT}/locations/us-central1/services/receiver`)).body
    expect(v2).not.toHaveProperty('uri')
    expect(v2).not.toHaveProperty('urls')
  })

  test('facts gcloud 3: the namespace may be the project number', async () => {
    const path = `/apis/serving.knative.dev/v1/namespaces/${NUMBER}/services`
    const document = knative('receiver', { metadata: { namespace: NUMBER } })
    expect((await world.post(path, document)).status).toBe(200)
    expect((await world.get(`${path}/receiver`)).status).toBe(200)
    const other = knative('other', { metadata: { namespace: 'somebody-elses' } })
    expect((await world.post(path, other)).status).toBe(400)
  })

  test('a second one of the name is answered 409', async () => {
    await world.post(SERVICES, knative('receiver'))
    const { status, body } = await world.post(SERVICES, knative('receiver'))
    expect(status).toBe(409)
    expect(body.error).toMatchObject({
      status: 'ALREADY_EXISTS',
      message: "Resource 'receiver' already exists.",
    })
  })

  test('what is taken and has no effect here is said in a condition and in one line of the log', async () => {
    const spec = { volumes: [{ name: 'v', secret: { secretName: 's' } }], containers: [{ image: IMAGE }] }
    const annotations = { 'run.googleapis.com/iap-enabled': 'true' }
    const { body } = await world.post(SERVICES, knative('receiver', { spec, metadata: { annotations } }))
    const said = body.status.conditions.find(({ type }: { type: string }) => type === 'NotEmulated')
    expect(said).toMatchObject({
      status: 'True',
      severity: 'Info',
      message:
        "Accepted and without effect in the emulator: Identity-Aware Proxy (callers are checked by IAM alone); volume 'v' (a secret), which is not mounted.",
    })
    expect(body.spec.template.spec.volumes).toEqual(spec.volumes)
    expect(world.lines).toEqual([`service receiver: ${said.message}`])
    const plain = await world.post(SERVICES, knative('other'))
    expect(conditionsOf(plain.body)).not.toHaveProperty('NotEmulated')
    expect(world.lines).toHaveLength(1)
  })

  test('a dry run checks and changes nothing', async () => {
    const { status, body } = await world.post(`${SERVICES}?dryRun=all`, knative('receiver'))
    expect([status, body.metadata.name]).toEqual([200, 'receiver'])
    expect((await world.get(`${SERVICES}/receiver`)).status).toBe(404)
    expect(world.runtime.events).toEqual([])
  })
})

describe('facts 6.9: what is refused', () => {
  const refusals: readonly (readonly [string, object, number, string, string])[] = [
    [
      'a bad service name',
      knative('Receiver_1'),
      400,
      'INVALID_ARGUMENT',
      'service.metadata.name: only lowercase, digits, and hyphens; must begin with letter, and may not end with hyphen; must be less than 64 characters.',
    ],
    [
      'an image host that is not allowed',
      knative('receiver', { image: 'ghcr.io/someone/image:v1' }),
      400,
      'INVALID_ARGUMENT',
      'spec.template.spec.containers[0].image: Expected an image path like [host/]repo-path[:tag and/or @digest], where host is one of [region.]gcr.io, [region-]docker.pkg.dev or docker.io but obtained ghcr.io/someone/image:v1',
    ],
    [
      'a service account that does not exist',
      knative('receiver', { spec: { serviceAccountName: 'nobody@demo-project.iam.gserviceaccount.com' } }),
      403,
      'PERMISSION_DENIED',
      "Permission 'iam.serviceaccounts.actAs' denied on service account nobody@demo-project.iam.gserviceaccount.com (or it may not exist).",
    ],
  ]
  for (const [title, document, status, name, message] of refusals) {
    test(title, async () => {
      const answer = await world.post(SERVICES, document)
      expect(answer.status).toBe(status)
      expect(answer.body.error).toMatchObject({ code: status, status: name, message })
      expect(world.state.services.size).toBe(0)
      expect(world.runtime.events).toEqual([])
    })
  }

  test('facts 6.9: a bad service name is a field violation', async () => {
    const { body } = await world.post(SERVICES, knative('9'))
    expect(body.error.details[0]).toMatchObject({
      '@type': 'type.googleapis.com/google.rpc.BadRequest',
      fieldViolations: [{ field: 'service.metadata.name' }],
    })
  })

  for (const image of [
    'gcr.io/p/i',
    'eu.gcr.io/p/i:v1',
    'us-docker.pkg.dev/p/r/i@sha256:'.concat('a'.repeat(64)),
    'us-central1-docker.pkg.dev/p/r/i',
    'docker.io/library/nginx:1',
    'nginx',
    'someone/thing:latest',
  ]) {
    test(`facts 6.9: image ${image.slice(0, 40)} is allowed`, async () => {
      expect((await world.post(SERVICES, knative('receiver', { image }))).status).toBe(200)
    })
  }
  for (const image of [
    '',
    'quay.io/a/b',
    'localhost:5000/a',
    'evil.example/gcr.io/p/i',
    'gcr.io/',
    'gcr.io/P/i',
    'xgcr.io/p/i',
  ]) {
    test(`facts 6.9: image '${image}' is refused`, async () => {
      const { status, body } = await world.post(SERVICES, knative('receiver', { image }))
      expect(status).toBe(400)
      expect(body.error.message).toContain(`docker.io but obtained ${image}`)
    })
  }

  test('an unknown field is refused in Google’s sentence, with its path', async () => {
    const { status, body } = await world.post(SERVICES, knative('receiver', { spec: { serviceAcount: 'x' } }))
    expect(status).toBe(400)
    expect(body.error.message).toBe(
      'Invalid JSON payload received. Unknown name "serviceAcount" at \'service.spec.template.spec\': Cannot find field.',
    )
    expect(body.error.details[0].fieldViolations[0].field).toBe('service.spec.template.spec')
  })

  test('a value of the wrong type is refused with its path', async () => {
    const { body } = await world.post(SERVICES, knative('receiver', { spec: { timeoutSeconds: 'soon' } }))
    expect(body.error.message).toBe(
      `Invalid value at 'service.spec.template.spec.timeout_seconds' (TYPE_INT32), "soon"`,
    )
  })

  const annotated = (metadata: object, template: object = {}) => {
    const document = knative('receiver', { metadata: { annotations: metadata } })
    return {
      ...document,
      spec: { template: { ...document.spec.template, metadata: { annotations: template } } },
    }
  }
  const RUN = 'run.googleapis.com/'
  const misplaced: readonly (readonly [string, object, string, string])[] = [
    [
      'a revision’s on a service',
      annotated({ [`${RUN}secrets`]: 'a:projects/p/secrets/s' }),
      'metadata.annotations',
      `Annotation '${RUN}secrets' is not supported on resources of kind 'Service'. Supported kinds are: Revision, Execution`,
    ],
    [
      'a service’s on a revision',
      annotated({}, { [`${RUN}ingress`]: 'internal' }),
      'spec.template.metadata.annotations',
      `Annotation '${RUN}ingress' is not supported on resources of kind 'Revision'. Supported kinds are: Service, Instance`,
    ],
    [
      'one that nobody knows',
      annotated({ [`${RUN}ingres`]: 'internal' }),
      'metadata.annotations',
      `Annotation '${RUN}ingres' is not supported on resources of kind 'Service'.`,
    ],
    [
      'one of Knative’s that Cloud Run does not know',
      annotated({}, { 'autoscaling.knative.dev/target': '10' }),
      'spec.template.metadata.annotations',
      "Annotation 'autoscaling.knative.dev/target' is not supported on resources of kind 'Revision'.",
    ],
    [
      'one that Cloud Run knows and nothing here is made of',
      annotated({ [`${RUN}regions`]: 'us-central1,europe-west1' }),
      'metadata.annotations',
      `Annotation '${RUN}regions' is not emulated.`,
    ],
    [
      'one whose value is none',
      annotated({}, { 'autoscaling.knative.dev/minScale': 'x' }),
      'spec.template.metadata.annotations[autoscaling.knative.dev/minScale]',
      "Invalid value 'x': expected a whole number, 0 or greater.",
    ],
  ]
  for (const [title, document, field, description] of misplaced) {
    test(`an annotation: ${title}`, async () => {
      const { status, body } = await world.post(SERVICES, document)
      expect(status).toBe(400)
      expect(body.error.message).toBe(`${field}: ${description}`)
      expect(body.error.details[0].fieldViolations).toEqual([{ field, description }])
      expect(world.state.services.size).toBe(0)
    })
  }

  test('environment variables of the platform are refused', async () => {
    const containers = [{ image: IMAGE, env: [{ name: 'PORT', value: '1' }] }]
    const { body } = await world.post(SERVICES, knative('receiver', { spec: { containers } }))
    expect(body.error.message).toContain('The following reserved env names were provided: PORT.')
  })

  test('body that is not JSON is answered 400', async () => {
    expect((await world.post(SERVICES, '{')).status).toBe(400)
    expect((await world.post(SERVICES, '[]')).status).toBe(400)
  })
})

describe('replacing a service', () => {
  const create = async () => (await world.post(SERVICES, knative('receiver'))).body
  const change = (service: Answer['body'], image: string) => {
    const copy = structuredClone(service)
    copy.spec.template.spec.containers[0].image = image
    return copy
  }

  test('facts gcloud 3: the whole object sent back makes no revision; a changed template makes one', async () => {
    const first = await create()
    const same = await world.put(`${SERVICES}/receiver`, first)
    expect(same.body.status.latestReadyRevisionName).toBe(first.status.latestReadyRevisionName)
    expect(same.body.metadata.resourceVersion).not.toBe(first.metadata.resourceVersion)

    const changed = await world.put(`${SERVICES}/receiver`, change(same.body, `${IMAGE}:2`))
    expect(changed.body.status.latestReadyRevisionName).toMatch(/^receiver-00002-/)
    expect(changed.body.metadata.uid).toBe(first.metadata.uid)
    await world.apis.idle()
    expect(world.runtime.events).toEqual([
      `start ${first.status.latestReadyRevisionName}`,
      `start ${changed.body.status.latestReadyRevisionName}`,
      `stop ${first.status.latestReadyRevisionName}`,
      `stopped ${first.status.latestReadyRevisionName}`,
    ])
  })

  test('a changed nonce is a changed template', async () => {
    const first = await create()
    const copy = structuredClone(first)
    copy.spec.template.metadata.labels['client.knative.dev/nonce'] = 'another'
    const { body } = await world.put(`${SERVICES}/receiver`, copy)
    expect(body.status.latestReadyRevisionName).not.toBe(first.status.latestReadyRevisionName)
  })

  test('a stale resourceVersion is answered 409, and of two racers one wins', async () => {
    const first = await create()
    const answers = await Promise.all([
      world.put(`${SERVICES}/receiver`, change(first, `${IMAGE}:a`)),
      world.put(`${SERVICES}/receiver`, change(first, `${IMAGE}:b`)),
    ])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
    const lost = answers.find(({ status }) => status === 409)
    expect(lost?.body.error.status).toBe('ABORTED')
    expect(world.state.revisions.size).toBe(2)
  })

  test('without a resourceVersion two deployments happen one after the other', async () => {
    await create()
    const answers = await Promise.all([
      world.put(`${SERVICES}/receiver`, knative('receiver', { image: `${IMAGE}:a` })),
      world.put(`${SERVICES}/receiver`, knative('receiver', { image: `${IMAGE}:b` })),
    ])
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(world.runtime.events.filter((event) => event.startsWith('start'))).toHaveLength(3)
    await world.apis.idle()
    expect(world.runtime.running.size).toBe(1)
  })

  test('the old revision serves until the new one is up, and a policy set meanwhile stays', async () => {
    const first = await create()
    const { entered, release } = world.runtime.hold()
    const replacing = world.put(`${SERVICES}/receiver`, change(first, `${IMAGE}:2`))
    await entered
    const during = await world.get(`${SERVICES}/receiver`)
    expect(conditionsOf(during.body).Ready).toBe('Unknown')
    expect(during.body.status.traffic[0].revisionName).toBe(first.status.latestReadyRevisionName)
    const bindings = [{ role: 'roles/run.invoker', members: ['allUsers'] }]
    await world.post(`${LOCATED}/receiver:setIamPolicy`, { policy: { bindings } })
    release()
    expect((await replacing).status).toBe(200)
    expect((await world.get(`${LOCATED}/receiver:getIamPolicy`)).body.bindings).toEqual(bindings)
  })

  test('facts 6.9: a container that does not listen leaves Ready False with the sentence, and the old revision serving', async () => {
    const first = await create()
    const message =
      'The user-provided container failed to start and listen on the port defined provided by the PORT=8080 environment variable within the allocated timeout.'
    world.runtime.failures.set(`${IMAGE}:bad`, { ready: false, reason: 'HealthCheckContainerError', message })
    const { status, body } = await world.put(`${SERVICES}/receiver`, change(first, `${IMAGE}:bad`))
    expect(status).toBe(200)
    expect(conditionsOf(body)).toEqual({ Ready: 'False', ConfigurationsReady: 'False', RoutesReady: 'True' })
    const failed = body.status.latestCreatedRevisionName
    expect(body.status.conditions[0].message).toBe(
      `Revision '${failed}' is not ready and cannot serve traffic. ${message}`,
    )
    expect(body.status.latestReadyRevisionName).toBe(first.status.latestReadyRevisionName)
    expect(body.status.traffic[0].revisionName).toBe(first.status.latestReadyRevisionName)
    expect(world.runtime.running.size).toBe(1)

    const revision = await world.get(`${SERVICES.replace('services', 'revisions')}/${failed}`)
    expect(conditionsOf(revision.body)).toMatchObject({
      Ready: 'False',
      ContainerHealthy: 'False',
      Active: 'False',
    })

    const mended = await world.put(`${SERVICES}/receiver`, change(body, `${IMAGE}:good`))
    expect(conditionsOf(mended.body).Ready).toBe('True')
  })

  test('facts 6.9: a missing image on the first deployment serves nothing', async () => {
    const message = `Image '${IMAGE}:none' not found.`
    world.runtime.failures.set(`${IMAGE}:none`, { ready: false, reason: 'ContainerMissing', message })
    const { body } = await world.post(SERVICES, knative('receiver', { image: `${IMAGE}:none` }))
    expect(conditionsOf(body)).toEqual({ Ready: 'False', ConfigurationsReady: 'False', RoutesReady: 'False' })
    expect(body.status.conditions[0].message).toBe(
      `Revision '${body.status.latestCreatedRevisionName}' is not ready and cannot serve traffic. ${message}`,
    )
    expect(body.status).not.toHaveProperty('latestReadyRevisionName')
    expect(body.status).not.toHaveProperty('traffic')
  })

  test('a runtime that throws does not take the API with it', async () => {
    world.runtime.gate = Promise.reject(new Error('engine is gone'))
    const { status, body } = await world.post(SERVICES, knative('receiver'))
    expect([status, conditionsOf(body).Ready]).toEqual([200, 'False'])
    expect(world.lines.join()).toContain('engine is gone')
  })

  test('a revision name asked for is given, must begin with the service’s, and cannot be used twice', async () => {
    await create()
    const named = (name: string, image: string) => {
      const document = knative('receiver', { image })
      return { ...document, spec: { template: { ...document.spec.template, metadata: { name } } } }
    }
    const blue = await world.put(`${SERVICES}/receiver`, named('receiver-blue', IMAGE))
    expect(blue.body.status.latestReadyRevisionName).toBe('receiver-blue')
    const again = await world.put(`${SERVICES}/receiver`, named('receiver-blue', `${IMAGE}:2`))
    expect(again.status).toBe(409)
    expect(again.body.error.message).toBe(
      "Revision named 'receiver-blue' with different configuration already exists.",
    )
    const foreign = await world.put(`${SERVICES}/receiver`, named('other-blue', IMAGE))
    expect(foreign.status).toBe(400)
  })
})

describe('traffic', () => {
  const deploy = async (image: string, traffic?: object[]) => {
    const document = knative('receiver', { image })
    const spec = traffic ? { ...document.spec, traffic } : document.spec
    const exists = world.state.services.size > 0
    return exists
      ? (await world.put(`${SERVICES}/receiver`, { ...document, spec })).body
      : (await world.post(SERVICES, { ...document, spec })).body
  }
  const move = async (traffic: object[]) => {
    const { body } = await world.get(`${SERVICES}/receiver`)
    return world.put(`${SERVICES}/receiver`, { ...body, spec: { ...body.spec, traffic } })
  }

  test('--no-traffic: the new revision is tried, gets no traffic and is stopped', async () => {
    const first = (await deploy(IMAGE)).status.latestReadyRevisionName
    const second = await deploy(`${IMAGE}:2`, [{ revisionName: first, percent: 100 }])
    expect(second.status.latestReadyRevisionName).toMatch(/-00002-/)
    expect(second.status.traffic).toEqual([{ revisionName: first, percent: 100 }])
    await world.apis.idle()
    expect([...world.runtime.running.keys()]).toEqual([`${PROJECT}/us-central1/${first}`])
  })

  test('a revision that was stopped is started before traffic goes back to it', async () => {
    const first = (await deploy(IMAGE)).status.latestReadyRevisionName
    const second = (await deploy(`${IMAGE}:2`)).status.latestReadyRevisionName
    await world.apis.idle()
    world.runtime.events.length = 0
    const { body } = await move([{ revisionName: first, percent: 100 }])
    expect(body.status.traffic).toEqual([{ revisionName: first, percent: 100 }])
    await world.apis.idle()
    expect(world.runtime.events).toEqual([`start ${first}`, `stop ${second}`, `stopped ${second}`])
  })

  test('a revision that is still draining is started anew at once', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const first = (await deploy(IMAGE)).status.latestReadyRevisionName
    world.runtime.drain = promise
    await deploy(`${IMAGE}:2`)
    // Its old instance never ends before this has answered.
    await move([{ revisionName: first, percent: 100 }])
    await move([{ revisionName: first, percent: 100, tag: 'again' }])
    resolve()
    await world.apis.idle()
    const own = world.runtime.events.filter((event) => event.endsWith(first))
    expect(own).toEqual([`start ${first}`, `stop ${first}`, `start ${first}`, `stopped ${first}`])
    expect([...world.runtime.running.keys()]).toEqual([`${PROJECT}/us-central1/${first}`])
  })

  test('a revision’s number is the generation that made it, so that a later one is higher', async () => {
    const first = (await deploy(IMAGE)).status.latestReadyRevisionName
    await move([{ revisionName: first, percent: 100 }])
    const { body } = await move([{ revisionName: first, percent: 100, tag: 'blue' }])
    expect(body.metadata.generation).toBe(3)
    expect((await move([{ revisionName: first, percent: 100, tag: 'blue' }])).body.metadata.generation).toBe(
      3,
    )
    expect((await deploy(`${IMAGE}:2`)).status.latestCreatedRevisionName).toMatch(/^receiver-00004-/)
  })

  test('a policy set while traffic is about to move stays', async () => {
    const first = (await deploy(IMAGE)).status.latestReadyRevisionName
    await deploy(`${IMAGE}:2`)
    await world.apis.idle()
    const { entered, release } = world.runtime.hold()
    const moving = move([{ revisionName: first, percent: 100 }])
    await entered
    const bindings = [{ role: 'roles/run.invoker', members: ['allUsers'] }]
    await world.post(`${LOCATED}/receiver:setIamPolicy`, { policy: { bindings } })
    release()
    await moving
    expect((await world.get(`${LOCATED}/receiver:getIamPolicy`)).body.bindings).toEqual(bindings)
  })

  test('a tag has a URL of its own and keeps its revision running', async () => {
    const first = (await deploy(IMAGE)).status.latestReadyRevisionName
    const { body } = await move([
      { latestRevision: true, percent: 100 },
      { revisionName: first, tag: 'blue' },
    ])
    expect(body.status.traffic[1]).toEqual({
      revisionName: first,
      tag: 'blue',
      url: `http://blue---receiver-${NUMBER}.us-central1.run.app`,
    })
    await world.put(`${SERVICES}/receiver`, {
      ...body,
      spec: { ...body.spec, template: knative('receiver').spec.template },
    })
    await world.apis.idle()
    expect(world.runtime.running.size).toBe(2)
  })

  test('a failed latest revision does not keep traffic from moving', async () => {
    const first = (await deploy(IMAGE)).status.latestReadyRevisionName
    const second = (await deploy(`${IMAGE}:2`)).status.latestReadyRevisionName
    world.runtime.failures.set(`${IMAGE}:3`, { ready: false, reason: 'X', message: 'No.' })
    await deploy(`${IMAGE}:3`)
    const { body } = await move([{ revisionName: first, percent: 100 }])
    expect(body.status.traffic[0].revisionName).toBe(first)
    expect(body.status.latestReadyRevisionName).toBe(second)
    const third = body.status.latestCreatedRevisionName
    expect(world.runtime.events.filter((event) => event === `start ${third}`)).toHaveLength(1)
  })

  test('traffic to a revision that no longer starts stays where it is', async () => {
    const first = (await deploy(IMAGE)).status.latestReadyRevisionName
    const second = (await deploy(`${IMAGE}:2`)).status.latestReadyRevisionName
    await world.apis.idle()
    world.runtime.failures.set(IMAGE, { ready: false, reason: 'X', message: 'Gone.' })
    const { body } = await move([{ revisionName: first, percent: 100 }])
    expect(conditionsOf(body)).toEqual({ Ready: 'False', ConfigurationsReady: 'True', RoutesReady: 'False' })
    expect(body.status.traffic[0].revisionName).toBe(second)
    expect(body.spec.traffic).toEqual([{ revisionName: first, percent: 100 }])
  })

  const bad: readonly (readonly [string, object[], RegExp])[] = [
    ['a sum other than 100', [{ latestRevision: true, percent: 90 }], /must sum to 100/],
    [
      'a revision that does not exist',
      [{ revisionName: 'receiver-nope', percent: 100 }],
      /Revision 'receiver-nope' does not exist or is deleted\. Update all traffic to route to currently available revisions\./,
    ],
    [
      'a tag used twice',
      [
        { latestRevision: true, percent: 100, tag: 'a' },
        { latestRevision: true, tag: 'a' },
      ],
      /more than once/,
    ],
    ['a malformed tag', [{ latestRevision: true, percent: 100, tag: 'A_b' }], /lowercase/],
  ]
  for (const [title, traffic, message] of bad) {
    test(`${title} is refused`, async () => {
      await deploy(IMAGE)
      const { status, body } = await move(traffic)
      expect(status).toBe(400)
      expect(body.error.message).toMatch(message)
    })
  }
})

describe('reading and deleting', () => {
  test('facts 6.9: a service that is not there is answered 404 in Google’s sentence', async () => {
    const sentence = `Resource 'nope' of kind 'SERVICE' in region 'us-central1' in project '${PROJECT}' does not exist.`
    for (const answer of [
      await world.get(`${SERVICES}/nope`),
      await world.get(`${LOCATED}/nope:getIamPolicy`),
      await world.call('DELETE', `${SERVICES}/nope`),
      await world.put(`${SERVICES}/nope`, knative('nope')),
    ]) {
      expect(answer.status).toBe(404)
      expect(answer.body.error).toEqual({ code: 404, message: sentence, status: 'NOT_FOUND' })
    }
  })

  test('facts 6.9: no right to read the service is answered 403, the same whether or not it is there', async () => {
    await world.post(SERVICES, knative('receiver'))
    const stranger = world.token('user:stranger@example.com')
    for (const name of ['receiver', 'nope']) {
      const { status, body } = await world.get(`${SERVICES}/${name}`, stranger)
      expect(status).toBe(403)
      expect(body.error).toEqual({
        code: 403,
        message: `Permission 'run.services.get' denied on resource 'namespaces/${PROJECT}/services/${name}' (or resource may not exist).`,
        status: 'PERMISSION_DENIED',
      })
    }
  })

  test('a project that does not exist is answered 403', async () => {
    const { status } = await world.get('/apis/serving.knative.dev/v1/namespaces/no-such-project/services')
    expect(status).toBe(403)
  })

  test('revisions are listed newest first and selected by label', async () => {
    const first = (await world.post(SERVICES, knative('receiver'))).body
    await world.put(`${SERVICES}/receiver`, knative('receiver'))
    await world.post(SERVICES, knative('sender'))
    const list = (selector: string) =>
      world.get(`${SERVICES.replace('services', 'revisions')}?labelSelector=${encodeURIComponent(selector)}`)
    const own = await list('serving.knative.dev/service = receiver')
    expect(own.body.kind).toBe('RevisionList')
    expect(
      own.body.items.map((item: { metadata: { name: string } }) => item.metadata.name.slice(0, 14)),
    ).toEqual(['receiver-00002', 'receiver-00001'])
    const nonce = first.spec.template.metadata.labels['client.knative.dev/nonce']
    const byNonce = await list(`client.knative.dev/nonce = ${nonce}`)
    expect(byNonce.body.items).toHaveLength(1)
    expect(byNonce.body.items[0].status.imageDigest).toContain('@sha256:')
    expect((await list('serving.knative.dev/service in (sender, x)')).body.items).toHaveLength(1)
    expect((await list('serving.knative.dev/service != sender')).body.items).toHaveLength(2)
    expect((await list('a b c')).status).toBe(400)
  })

  test('a deleted service takes its revisions with it, and they stop', async () => {
    await world.post(SERVICES, knative('receiver'))
    const { status, body } = await world.call('DELETE', `${SERVICES}/receiver`)
    expect([status, body.status]).toEqual([200, 'Success'])
    expect((await world.get(`${SERVICES}/receiver`)).status).toBe(404)
    expect(world.state.revisions.size).toBe(0)
    await world.apis.idle()
    expect(world.runtime.running.size).toBe(0)
  })

  test('only a revision without traffic can be deleted', async () => {
    const first = (await world.post(SERVICES, knative('receiver'))).body.status.latestReadyRevisionName
    const second = (await world.put(`${SERVICES}/receiver`, knative('receiver'))).body.status
      .latestReadyRevisionName
    const revisions = SERVICES.replace('services', 'revisions')
    expect((await world.call('DELETE', `${revisions}/${second}`)).status).toBe(400)
    expect((await world.call('DELETE', `${revisions}/${first}`)).status).toBe(200)
    expect((await world.get(`${revisions}/${first}`)).body.error.message).toContain("of kind 'REVISION'")
  })

  test('configurations and routes show the two halves of a service', async () => {
    await world.post(SERVICES, knative('receiver'))
    const configuration = await world.get(`${SERVICES.replace('services', 'configurations')}/receiver`)
    expect(configuration.body).toMatchObject({
      kind: 'Configuration',
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    })
    const route = await world.get(`${SERVICES.replace('services', 'routes')}/receiver`)
    expect(route.body.status.url).toBe(`http://receiver-${NUMBER}.us-central1.run.app`)
  })

  test('facts gcloud 3: locations name the regions', async () => {
    const { body } = await world.get(`/v1/projects/${PROJECT}/locations`)
    expect(body.locations.map(({ locationId }: { locationId: string }) => locationId)).toContain(
      'us-central1',
    )
  })
})

describe('after a restart', () => {
  test('what served is started again, and a deployment that was broken off is finished', async () => {
    const first = (await world.post(SERVICES, knative('receiver'))).body.status.latestReadyRevisionName
    const { entered, release } = world.runtime.hold()
    const broken = world.put(`${SERVICES}/receiver`, knative('receiver'))
    await entered
    const during = await world.get(`${SERVICES}/receiver`)

    // The same state under a new emulator: nothing runs yet.
    const runtime = new RecordingRuntime()
    const apis = await createProducts({ state: world.state, runtime })
    await apis.start()
    await apis.idle()
    const second = during.body.status.latestCreatedRevisionName
    expect(runtime.events).toEqual([`start ${first}`, `start ${second}`, `stop ${first}`, `stopped ${first}`])
    const service = world.state.services.list()[0]
    expect(service?.latestReadyRevision).toBe(second)
    release()
    await broken
  })
})
