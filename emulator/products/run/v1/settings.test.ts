/** Every setting, said in v1, read in v2, said again in v2 and read in v1: what went in comes out. */
import { beforeEach, describe, expect, test } from 'bun:test'
import { IMAGE, knative, openWorld, PROJECT, SERVICES as V1, type World } from '../../products.fixture.ts'
import { REVISION_ANNOTATIONS, SERVICE_ANNOTATIONS } from './annotation-table.ts'

const V2 = `/v2/projects/${PROJECT}/locations/us-central1/services`
const RUN = 'run.googleapis.com/'
const KEY = 'projects/p/locations/l/keyRings/r/cryptoKeys/k'

let world: World
beforeEach(async () => {
  world = await openWorld()
})

const ofService = {
  [`${RUN}client-name`]: 'gcloud',
  [`${RUN}client-version`]: '528.0.0',
  [`${RUN}description`]: 'what it is',
  [`${RUN}launch-stage`]: 'BETA',
  [`${RUN}ingress`]: 'internal-and-cloud-load-balancing',
  [`${RUN}invoker-iam-disabled`]: 'true',
  [`${RUN}default-url-disabled`]: 'true',
  [`${RUN}custom-audiences`]: '["https://a.example"]',
  [`${RUN}scalingMode`]: 'manual',
  [`${RUN}minScale`]: '1',
  [`${RUN}maxScale`]: '3',
  [`${RUN}manualInstanceCount`]: '2',
  [`${RUN}iap-enabled`]: 'true',
  [`${RUN}binary-authorization`]: 'projects/p/platforms/cloudRun/policy',
  [`${RUN}binary-authorization-breakglass`]: 'because',
  [`${RUN}build-source-location`]: 'gs://bucket/source.zip',
  [`${RUN}build-function-target`]: 'hello',
  [`${RUN}build-name`]: 'projects/p/builds/b',
  [`${RUN}build-image-uri`]: 'image',
  [`${RUN}build-base-image`]: 'nodejs22',
  [`${RUN}build-service-account`]: 'projects/p/serviceAccounts/b@example.com',
  [`${RUN}build-worker-pool`]: 'projects/p/locations/l/workerPools/w',
  [`${RUN}build-environment-variables`]: '{"A":"b"}',
  [`${RUN}build-enable-automatic-updates`]: 'true',
}
const ofServiceInV1Alone = {
  [`${RUN}gc-traffic-tags`]: 'true',
  [`${RUN}base-images`]: '{"app":"nodejs22"}',
  [`${RUN}build-id`]: 'id',
}
const ofRevision = {
  [`${RUN}client-name`]: 'gcloud',
  [`${RUN}client-version`]: '528.0.0',
  'autoscaling.knative.dev/minScale': '1',
  'autoscaling.knative.dev/maxScale': '5',
  [`${RUN}execution-environment`]: 'gen2',
  [`${RUN}vpc-access-egress`]: 'private-ranges-only',
  [`${RUN}network-interfaces`]: '[{"network":"n","subnetwork":"s","tags":["t"]}]',
  [`${RUN}mesh`]: 'projects/p/locations/global/meshes/m',
  [`${RUN}sessionAffinity`]: 'true',
  [`${RUN}health-check-disabled`]: 'true',
  [`${RUN}cpu-throttling`]: 'false',
  [`${RUN}startup-cpu-boost`]: 'true',
  [`${RUN}encryption-key`]: KEY,
  [`${RUN}post-key-revocation-action-type`]: 'shut-down',
  [`${RUN}encryption-key-shutdown-hours`]: '2',
  [`${RUN}gpu-zonal-redundancy-disabled`]: 'true',
  [`${RUN}container-dependencies`]: '{"app":["side"]}',
  [`${RUN}cloudsql-instances`]: 'p:r:a,p:r:b',
}
const ofRevisionInV1Alone = {
  [`${RUN}secure-session-agent`]: 'x',
  [`${RUN}base-images`]: '{"app":"nodejs22"}',
  [`${RUN}build-id`]: 'id',
  [`${RUN}build-source-location`]: 'gs://bucket/source.zip',
  [`${RUN}build-function-target`]: 'hello',
}
/** v2 names secrets in full. */
const withAlias = { [`${RUN}secrets`]: 'key:projects/other/secrets/s' }
/** Instead of a network interface. */
const withConnector = { [`${RUN}vpc-access-connector`]: 'projects/p/locations/l/connectors/c' }

const spec = {
  containerConcurrency: 7,
  timeoutSeconds: 60,
  nodeSelector: { 'run.googleapis.com/accelerator': 'nvidia-l4' },
  containers: [
    {
      name: 'app',
      image: IMAGE,
      command: ['/app'],
      args: ['-v'],
      env: [{ name: 'A', value: 'b' }],
      ports: [{ name: 'h2c', containerPort: 9090 }],
      workingDir: '/srv',
      resources: { limits: { cpu: '4', memory: '16Gi', 'nvidia.com/gpu': '1' } },
      startupProbe: { tcpSocket: { port: 9090 }, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 },
      livenessProbe: { httpGet: { path: '/up', httpHeaders: [{ name: 'X', value: 'y' }] } },
      readinessProbe: { grpc: { port: 9090, service: 's' } },
      volumeMounts: [
        { name: 'tmp', mountPath: '/tmp/x', subPath: 'x' },
        { name: 'keys', mountPath: '/keys' },
        { name: 'bucket', mountPath: '/bucket' },
        { name: 'nfs', mountPath: '/nfs' },
      ],
    },
    { name: 'side', image: 'nginx' },
  ],
  volumes: [
    { name: 'tmp', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
    {
      name: 'keys',
      secret: { secretName: 's', items: [{ key: 'latest', path: 'k', mode: 292 }], defaultMode: 256 },
    },
    {
      name: 'bucket',
      csi: {
        driver: 'gcsfuse.run.googleapis.com',
        readOnly: true,
        volumeAttributes: { bucketName: 'b', mountOptions: 'a,b=c' },
      },
    },
    { name: 'nfs', nfs: { server: '10.0.0.1', path: '/share', readOnly: true } },
  ],
}
const document = (annotations: object, template: object) => {
  const made = knative('first', { metadata: { annotations } })
  return { ...made, spec: { template: { metadata: { annotations: template }, spec } } }
}

/** Creates by v1, reads by v2, creates another by v2 from what was read, and reads that by v1. */
async function thereAndBack(annotations: object, template: object) {
  const created = await world.post(V1, document(annotations, template))
  expect([created.status, created.body.error?.message]).toEqual([200, undefined])
  const read = await world.get(`${V2}/first`)
  const second = await world.post(`${V2}?serviceId=second`, { ...read.body, etag: '' })
  expect([second.status, second.body.error?.message]).toEqual([200, undefined])
  return { first: created.body, v2: read.body, second: (await world.get(`${V1}/second`)).body }
}

describe('settings', () => {
  test('that both versions have go from v1 to v2 and back as they were', async () => {
    const { first, v2, second } = await thereAndBack(ofService, ofRevision)
    expect(v2).toMatchObject({
      client: 'gcloud',
      clientVersion: '528.0.0',
      description: 'what it is',
      launchStage: 'BETA',
      ingress: 'INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER',
      invokerIamDisabled: true,
      defaultUriDisabled: true,
      iapEnabled: true,
      customAudiences: ['https://a.example'],
      scaling: { scalingMode: 'MANUAL', minInstanceCount: 1, maxInstanceCount: 3, manualInstanceCount: 2 },
      binaryAuthorization: {
        policy: 'projects/p/platforms/cloudRun/policy',
        breakglassJustification: 'because',
      },
      buildConfig: {
        name: 'projects/p/builds/b',
        sourceLocation: 'gs://bucket/source.zip',
        functionTarget: 'hello',
        imageUri: 'image',
        baseImage: 'nodejs22',
        enableAutomaticUpdates: true,
        environmentVariables: { A: 'b' },
      },
      template: {
        scaling: { minInstanceCount: 1, maxInstanceCount: 5 },
        vpcAccess: { egress: 'PRIVATE_RANGES_ONLY', networkInterfaces: [{ network: 'n', tags: ['t'] }] },
        executionEnvironment: 'EXECUTION_ENVIRONMENT_GEN2',
        sessionAffinity: true,
        healthCheckDisabled: true,
        encryptionKey: KEY,
        encryptionKeyRevocationAction: 'SHUTDOWN',
        encryptionKeyShutdownDuration: '7200s',
        gpuZonalRedundancyDisabled: true,
        nodeSelector: { accelerator: 'nvidia-l4' },
        serviceMesh: { mesh: 'projects/p/locations/global/meshes/m' },
        containers: [{ resources: { startupCpuBoost: true }, dependsOn: ['side'] }, { name: 'side' }],
      },
    })
    expect(v2.template.containers[0].resources).not.toHaveProperty('cpuIdle')
    expect(v2.template.volumes).toContainEqual({
      name: 'cloudsql',
      cloudSqlInstance: { instances: ['p:r:a', 'p:r:b'] },
    })
    expect(first.metadata.annotations).toMatchObject(ofService)
    expect(second.metadata.annotations).toEqual(first.metadata.annotations)
    expect(first.spec.template.metadata.annotations).toEqual(ofRevision)
    expect(second.spec.template.metadata.annotations).toEqual(ofRevision)
    expect(first.spec.template.spec).toMatchObject(spec)
    expect(second.spec.template.spec).toEqual(first.spec.template.spec)
  })

  test('a connector does, too', async () => {
    const { second } = await thereAndBack({}, { ...withConnector, [`${RUN}cpu-throttling`]: 'false' })
    expect(second.spec.template.metadata.annotations).toMatchObject(withConnector)
  })

  test('that v1 alone has stay as they were', async () => {
    const gpu = { [`${RUN}cpu-throttling`]: 'false' }
    const { first } = await thereAndBack(ofServiceInV1Alone, { ...ofRevisionInV1Alone, ...gpu })
    expect(first.metadata.annotations).toMatchObject(ofServiceInV1Alone)
    expect(first.spec.template.metadata.annotations).toEqual({ ...ofRevisionInV1Alone, ...gpu })
  })

  test('are all here', () => {
    const names = (table: readonly { readonly name: string }[]) => table.map(({ name }) => name).sort()
    expect(Object.keys({ ...ofService, ...ofServiceInV1Alone }).sort()).toEqual(names(SERVICE_ANNOTATIONS))
    expect(
      Object.keys({ ...ofRevision, ...ofRevisionInV1Alone, ...withConnector, ...withAlias }).sort(),
    ).toEqual(names(REVISION_ANNOTATIONS))
  })
})

describe('a secret of another project', () => {
  test('has an alias in v1 and its full name in v2', async () => {
    const volumes = [{ name: 'keys', secret: { secretName: 'key' } }]
    const made = knative('first', { spec: { volumes } })
    const { template } = made.spec
    const { status, body } = await world.post(V1, {
      ...made,
      spec: { template: { ...template, metadata: { annotations: withAlias } } },
    })
    expect([status, body.spec?.template.metadata.annotations]).toEqual([200, withAlias])
    const { body: shown } = await world.get(`${V2}/first`)
    expect(shown.template.volumes).toEqual([{ name: 'keys', secret: { secret: 'projects/other/secrets/s' } }])
    await world.post(`${V2}?serviceId=second`, { template: shown.template })
    const second = (await world.get(`${V1}/second`)).body.spec.template
    const alias = 'projects-other-secrets-s'
    expect(second.metadata.annotations[`${RUN}secrets`]).toBe(`${alias}:projects/other/secrets/s`)
    expect(second.spec.volumes).toEqual([{ name: 'keys', secret: { secretName: alias } }])
  })
})
