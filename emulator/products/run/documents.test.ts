/** Whatever is written through either version of the API: what is taken can be read, what cannot be read is refused. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { IMAGE, LOCATED, openWorld, PROJECT, SERVICES as V1, type World } from '../products.fixture.ts'

const V2 = `/v2/projects/${PROJECT}/locations/us-central1/services`
const NAME = 'receiver'

/** Texts that are near to what the API expects, and far from it. */
const word = fc.constantFrom(
  ...[
    'x',
    '',
    '1',
    '-1',
    '0.5',
    '99999999999',
    'true',
    'True',
    'all',
    'internal',
    '[]',
    '{}',
    '["a"]',
    '{"a":["b"]}',
    '[{"network":"n"}]',
  ],
  ...[
    '{"a":',
    'null',
    '1Gi',
    '512Mi',
    'h2c',
    '300s',
    'projects/p/secrets/s',
    'a:projects/p/secrets/s',
    'p:r:i',
    'é',
    '__proto__',
  ],
)
const number = fc.constantFrom(0, 1, 2, -1, 80, 443, 1000, 1001, 3600, 65_536, 2 ** 31)
const bit = fc.boolean()
const map = fc.dictionary(word, word, { maxKeys: 2 })
const some = (fields: Record<string, fc.Arbitrary<unknown>>) => fc.record(fields, { requiredKeys: [] })
/** At most three of the fields, and those that there must be: so that some documents are taken. */
const few = (fields: Record<string, fc.Arbitrary<unknown>>, always: readonly string[] = []) =>
  fc
    .subarray(Object.keys(fields), { maxLength: Math.min(3, Object.keys(fields).length) })
    .chain((names) =>
      fc.record(Object.fromEntries([...always, ...names].map((name) => [name, fields[name] ?? word]))),
    )
const list = (item: fc.Arbitrary<unknown>) => fc.array(item, { maxLength: 2 })

const RUN = 'run.googleapis.com/'
const annotation = fc.oneof(
  word,
  fc.constantFrom(
    ...[
      'minScale',
      'maxScale',
      'scalingMode',
      'ingress',
      'custom-audiences',
      'default-url-disabled',
      'launch-stage',
      'unknown',
    ].map((name) => RUN + name),
    ...[
      'network-interfaces',
      'vpc-access-egress',
      'container-dependencies',
      'secrets',
      'cloudsql-instances',
      'cpu-throttling',
    ].map((name) => RUN + name),
    ...[
      'execution-environment',
      'encryption-key-shutdown-hours',
      'sessionAffinity',
      'build-environment-variables',
      'iap-enabled',
    ].map((name) => RUN + name),
    ...[
      'autoscaling.knative.dev/minScale',
      'autoscaling.knative.dev/maxScale',
      'autoscaling.knative.dev/target',
    ],
  ),
)
const annotations = fc.dictionary(annotation, word, { maxKeys: 3 })

const probe = some({
  httpGet: some({ path: word, port: number, httpHeaders: list(some({ name: word, value: word })) }),
  tcpSocket: some({ port: number }),
  grpc: some({ port: number, service: word }),
  periodSeconds: number,
  timeoutSeconds: number,
})
const container = {
  name: fc.constantFrom('', 'app', 'side', 'é'),
  args: list(word),
  workingDir: word,
  ports: list(some({ name: word, containerPort: number })),
  volumeMounts: list(some({ name: word, mountPath: word, subPath: word })),
  startupProbe: probe,
  livenessProbe: probe,
}
const image = fc.constantFrom(IMAGE, IMAGE, IMAGE, 'nginx', 'quay.io/a/b')

const knative = fc.record({
  metadata: fc.record({ name: fc.constant(NAME), annotations, labels: map }),
  spec: few(
    {
      template: fc.record({
        metadata: some({ annotations, labels: map, name: fc.constantFrom(`${NAME}-a`, 'other') }),
        spec: few(
          {
            containers: fc.array(
              few(
                {
                  image,
                  ...container,
                  env: list(some({ name: word, value: word })),
                  resources: some({ limits: map }),
                },
                ['image'],
              ),
              { minLength: 1, maxLength: 2 },
            ),
            volumes: list(
              some({
                name: word,
                emptyDir: some({ medium: fc.constantFrom('', 'Memory', 'x'), sizeLimit: word }),
                secret: some({
                  secretName: word,
                  items: list(some({ key: word, path: word, mode: number })),
                }),
                csi: some({
                  driver: fc.constantFrom('gcsfuse.run.googleapis.com', 'x'),
                  volumeAttributes: map,
                }),
              }),
            ),
            containerConcurrency: number,
            timeoutSeconds: number,
            nodeSelector: map,
          },
          ['containers'],
        ),
      }),
      traffic: list(
        some({ latestRevision: bit, revisionName: word, percent: fc.constantFrom(0, 50, 100), tag: word }),
      ),
    },
    ['template'],
  ),
})

const template = few(
  {
    revision: fc.constantFrom(`${NAME}-b`, 'other'),
    annotations,
    labels: map,
    scaling: some({ minInstanceCount: number, maxInstanceCount: number }),
    vpcAccess: some({
      connector: word,
      egress: fc.constantFrom('ALL_TRAFFIC', 1, 'x'),
      networkInterfaces: list(some({ network: word, tags: list(word) })),
    }),
    timeout: word,
    containers: fc.array(
      few(
        {
          image,
          ...container,
          dependsOn: list(word),
          resources: some({ limits: map, cpuIdle: bit, startupCpuBoost: bit }),
        },
        ['image'],
      ),
      { minLength: 1, maxLength: 2 },
    ),
    volumes: list(
      some({
        name: word,
        secret: some({ secret: word, defaultMode: number }),
        gcs: some({ bucket: word, mountOptions: list(word) }),
        cloudSqlInstance: some({ instances: list(word) }),
        nfs: some({ server: word, path: word }),
      }),
    ),
    encryptionKeyShutdownDuration: word,
    executionEnvironment: fc.constantFrom('EXECUTION_ENVIRONMENT_GEN1', 2, 'x'),
    nodeSelector: some({ accelerator: word }),
  },
  ['containers'],
)

const v2 = few(
  {
    description: word,
    annotations,
    labels: map,
    ingress: fc.constantFrom('INGRESS_TRAFFIC_ALL', 2, 'x'),
    launchStage: fc.constantFrom('GA', 'BETA', 'DEPRECATED', 4),
    customAudiences: list(word),
    scaling: some({
      minInstanceCount: number,
      manualInstanceCount: number,
      scalingMode: fc.constantFrom('MANUAL', 1),
    }),
    template,
    traffic: list(
      some({ type: fc.constantFrom(1, 2), revision: word, percent: fc.constantFrom(0, 50, 100), tag: word }),
    ),
    binaryAuthorization: some({ useDefault: bit, policy: word }),
    buildConfig: some({ functionTarget: word, environmentVariables: map }),
  },
  ['template'],
)

const field = fc.constantFrom(
  ...[
    'template',
    'labels',
    'annotations',
    'scaling',
    'containers',
    'traffic',
    'ingress',
    'timeout',
    'min_instance_count',
    'vpc_access',
    'volumes',
  ],
  ...[
    'egress',
    'uid',
    'conditions',
    'terminal_condition',
    'name',
    'etag',
    'x',
    '__proto__',
    'constructor',
    '0',
    '',
  ],
)
const mask = fc.oneof(
  fc.constant('*'),
  fc
    .array(
      fc.array(field, { minLength: 1, maxLength: 3 }).map((path) => path.join('.')),
      { minLength: 1, maxLength: 3 },
    )
    .map((paths) => paths.join(',')),
)

const write = fc.oneof(
  fc.record({ by: fc.constantFrom('POST v1', 'PUT v1'), body: knative }),
  fc.record({
    by: fc.constantFrom('POST v2', 'PATCH v2'),
    body: v2,
    mask: fc.option(mask, { nil: undefined }),
  }),
)

const READS = [
  V1,
  LOCATED,
  `${V1}/${NAME}`,
  V1.replace('services', 'revisions'),
  V1.replace('services', 'configurations'),
  V1.replace('services', 'routes'),
  V2,
  `${V2}/${NAME}`,
  `${V2}/-/revisions`,
]

async function send(
  world: World,
  { by, body, ...rest }: { by: string; body: unknown; mask?: string | undefined },
) {
  const query = rest.mask === undefined ? '' : `?updateMask=${encodeURIComponent(rest.mask)}`
  if (by === 'POST v1') return world.post(V1, body)
  if (by === 'PUT v1') return world.put(`${V1}/${NAME}`, body)
  if (by === 'POST v2') return world.post(`${V2}?serviceId=${NAME}`, body)
  return world.call('PATCH', `${V2}/${NAME}${query}`, body)
}

describe('documents', () => {
  test('of any kind are taken or refused, and what was taken can be read and listed by both versions', async () => {
    const statuses = new Map<number, number>()
    await fc.assert(
      fc.asyncProperty(fc.array(write, { minLength: 1, maxLength: 4 }), async (writes) => {
        const world = await openWorld()
        for (const one of writes) {
          const { status, body } = await send(world, one)
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
          expect([status < 500, body.error?.message]).toEqual([true, body.error?.message])
          for (const path of READS) expect([path, (await world.get(path)).status < 500]).toEqual([path, true])
        }
        expect(world.lines.filter((line) => line.includes(' failed: '))).toEqual([])
      }),
      { numRuns: 300 },
    )
    // Both happened, else this would show nothing.
    expect(statuses.get(200)).toBeGreaterThan(3)
    expect(statuses.get(400)).toBeGreaterThan(20)
  }, 120_000)

  test('that v1 shows are taken again by v1, those that v2 shows by v2, and no revision comes of it', async () => {
    await fc.assert(
      fc.asyncProperty(write, async (one) => {
        const world = await openWorld()
        if ((await send(world, one)).status !== 200) return
        const shown = await world.get(`${V1}/${NAME}`)
        if (shown.status !== 200) return
        const again = await world.put(`${V1}/${NAME}`, shown.body)
        expect([again.status, again.body.error?.message]).toEqual([200, undefined])
        expect((await world.get(`${V1}/${NAME}`)).body.spec).toEqual(shown.body.spec)
        const v2Shown = await world.get(`${V2}/${NAME}`)
        const v2Again = await world.call('PATCH', `${V2}/${NAME}`, v2Shown.body)
        expect([v2Again.status, v2Again.body.error?.message]).toEqual([200, undefined])
        expect((await world.get(`${V2}/${NAME}`)).body.template).toEqual(v2Shown.body.template)
        expect(world.state.revisions.size).toBe(1)
      }),
      { numRuns: 300 },
    )
  }, 120_000)
})
