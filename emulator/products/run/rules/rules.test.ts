import { beforeEach, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { IMAGE, knative, openWorld, PROJECT, SERVICES as V1, type World } from '../../products.fixture.ts'
import { RULES } from './rules.ts'

const V2 = `/v2/projects/${PROJECT}/locations/us-central1/services?serviceId=receiver`
const TEMPLATE = 'Violation in CreateServiceRequest.service.template'
const C0 = `${TEMPLATE}.containers[0]`

let world: World
beforeEach(async () => {
  world = await openWorld()
})

const v2 = (template: object, service: object = {}) =>
  world.post(V2, { template: { containers: [{ image: IMAGE }], ...template }, ...service })
/** A container of v2 with this in it. */
const one = (container: object, template: object = {}) =>
  v2({ containers: [{ image: IMAGE, ...container }], ...template })
const limits = (cpu: string, memory: string, template: object = {}) =>
  one({ resources: { limits: { cpu, memory }, cpuIdle: true } }, template)
const v1 = (spec: object, metadata: object = {}) => world.post(V1, knative('receiver', { spec, metadata }))
const v1Limits = (cpu: string, memory: string) =>
  v1({ containers: [{ image: IMAGE, resources: { limits: { cpu, memory } } }] })
const secret = (more: object = {}) => ({ name: 'v', secret: { secret: 's', ...more } })
const mounted = (mount: object, volume: object = { name: 'v', emptyDir: {} }) =>
  one({ volumeMounts: [{ name: 'v', mountPath: '/v', ...mount }] }, { volumes: [volume] })
const port = (containerPort: number, name = '') => ({ ports: [{ containerPort, name }] })

type Call = () => ReturnType<World['post']>
/** What is refused, by the rule that it breaks: the call, and the sentence. */
const refused: Readonly<Record<string, readonly (readonly [Call, string])[]>> = {
  'a service name is a DNS label, of at most 63 characters in v1 and 49 in v2': [
    [
      () => world.post(V1, knative('9')),
      'service.metadata.name: only lowercase, digits, and hyphens; must begin with letter, and may not end with hyphen; must be less than 64 characters.',
    ],
  ],
  'labels are of lower case letters, digits, underscores and hyphens, at most 63 of them and 64 labels': [
    [
      () => v1({}, { labels: { team: 'UPPER' } }),
      "metadata.labels: value 'UPPER' of label 'team' must have only lowercase letters, digits, underscores, and hyphens; at most 63 characters.",
    ],
    [
      () => v2({ labels: { Team: 'a' } }),
      `${TEMPLATE}.labels: label name 'Team' must begin with a lowercase letter and have only lowercase letters, digits, underscores, and hyphens; at most 63 characters.`,
    ],
  ],
  'a description has at most 512 characters, custom audiences at most 32,768 as JSON': [
    [
      () => v2({}, { description: 'd'.repeat(513) }),
      'Violation in CreateServiceRequest.service.description: length cannot exceed 512 characters.',
    ],
    [
      () => v2({}, { customAudiences: ['a'.repeat(32_768)] }),
      'Violation in CreateServiceRequest.service.custom_audiences: custom audiences may have at most 32768 characters.',
    ],
  ],
  'numbers of instances are not negative, and the most is not less than the least': [
    [
      () => v2({ scaling: { minInstanceCount: -1 } }),
      `${TEMPLATE}.scaling.min_instance_count: must be greater than or equal to zero.`,
    ],
    [
      () => v2({}, { scaling: { minInstanceCount: 2, maxInstanceCount: 1 } }),
      'Violation in CreateServiceRequest.service.scaling.max_instance_count: must be greater than or equal to min_instance_count.',
    ],
  ],
  'a manual number of instances goes with manual scaling alone': [
    [
      () => v2({}, { scaling: { manualInstanceCount: 2 } }),
      'Violation in CreateServiceRequest.service.scaling.manual_instance_count: scaling mode must be set to MANUAL to set manual_instance_count.',
    ],
  ],
  'a revision’s name begins with the service’s and is a DNS label': [
    [
      () => v2({ revision: 'other-blue' }),
      `${TEMPLATE}.revision: The revision name must be prefixed by the name of the enclosing Service with a trailing -`,
    ],
  ],
  'a request takes between 1 second and one hour': [
    [() => v2({ timeout: '3601s' }), `${TEMPLATE}.timeout: maximum allowed time is one hour.`],
    [
      () => v1({ timeoutSeconds: 3601 }),
      'spec.template.spec.timeoutSeconds: maximum allowed time is one hour.',
    ],
  ],
  'an instance takes between 1 and 1000 requests at once': [
    [
      () => v2({ maxInstanceRequestConcurrency: 1001 }),
      `${TEMPLATE}.max_instance_request_concurrency: Must be a number between 0 and 1000.`,
    ],
  ],
  'egress takes a connector or one network interface, and not both': [
    [
      () => v2({ vpcAccess: { egress: 'ALL_TRAFFIC' } }),
      `${TEMPLATE}.vpc_access: one and only one of connector and network_interfaces must be set.`,
    ],
    [
      () => v2({ vpcAccess: { networkInterfaces: [{ network: 'a' }, { network: 'b' }] } }),
      `${TEMPLATE}.vpc_access.network_interfaces: only 1 network interface is allowed.`,
    ],
    [
      () => v2({ vpcAccess: { networkInterfaces: [{ tags: ['t'] }] } }),
      `${TEMPLATE}.vpc_access.network_interfaces[0]: at least one of network or subnetwork should not be empty.`,
    ],
  ],
  'an encryption key is named in full, and what happens to it only with a key': [
    [
      () => v2({ encryptionKey: 'key' }),
      `${TEMPLATE}.encryption_key: must conform to projects/{project}/locations/{location}/keyRings/{keyRing}/cryptoKeys/{cryptoKey}.`,
    ],
    [
      () => v2({ encryptionKeyRevocationAction: 'SHUTDOWN' }),
      `${TEMPLATE}.encryption_key_revocation_action: encryption_key must be set if this field is set.`,
    ],
  ],
  'a template has between 1 and 10 containers': [
    [() => v2({ containers: [] }), `${TEMPLATE}.containers: must contain at least one container.`],
  ],
  'a container has at most one port': [
    [
      () => one({ ports: [{ containerPort: 1 }, { containerPort: 2 }] }),
      `${C0}.ports: ports should contain 0 or 1 port.`,
    ],
    [
      () => v1({ containers: [{ image: IMAGE, ports: [{ containerPort: 1 }, { containerPort: 2 }] }] }),
      'spec.template.spec.containers[0].ports: ports should contain 0 or 1 port.',
    ],
  ],
  'exactly one container takes the requests': [
    [
      () =>
        v2({
          containers: [
            { image: IMAGE, ...port(1) },
            { image: IMAGE, ...port(2) },
          ],
        }),
      'template.containers: Revision template should contain exactly one container with an exposed port.',
    ],
    [
      () => v1({ containers: [{ image: IMAGE }, { image: IMAGE }] }),
      'spec.template.spec.containers: Revision template should contain exactly one container with an exposed port.',
    ],
  ],
  'a container’s name is a DNS label, and its own': [
    [() => one({ name: 'App' }), `${C0}.name: must conform to RFC 1123 DNS label restrictions.`],
    [
      () =>
        v2({
          containers: [
            { image: IMAGE, name: 'a', ...port(1) },
            { image: IMAGE, name: 'a' },
          ],
        }),
      `${TEMPLATE}.containers: duplicate container names: 'a'.`,
    ],
  ],
  'an image is of Container Registry, Artifact Registry or Docker Hub': [
    [
      () => one({ image: 'ghcr.io/a/b' }),
      `${C0}.image: Expected an image path like [host/]repo-path[:tag and/or @digest], where host is one of [region.]gcr.io, [region-]docker.pkg.dev or docker.io but obtained ghcr.io/a/b`,
    ],
  ],
  'a port is between 1 and 65535 and is called http1 or h2c': [
    [
      () => one(port(65_536)),
      `${C0}.ports[0].container_port: must be 0 (which means the default) or between 1 and 65535.`,
    ],
    [() => one(port(1, 'grpc')), `${C0}.ports[0].name: must be one of empty, 'http1' or 'h2c'.`],
  ],
  'containers wait for containers that there are, and not for each other in a circle': [
    [
      () => one({ name: 'a', dependsOn: ['b'] }),
      `${TEMPLATE}.containers: Container 'b', on which 'a' depends, does not exist.`,
    ],
    [() => one({ name: 'a', dependsOn: ['a'] }), `${TEMPLATE}.containers: dependency cycle detected at 'a'.`],
  ],
  'K_SERVICE, K_REVISION and K_CONFIGURATION are the platform’s, and PORT is in the container that takes the requests':
    [
      [
        () => one({ env: [{ name: 'PORT', value: '1' }, { name: 'K_SERVICE' }] }),
        `${C0}.env: The following reserved env names were provided: PORT, K_SERVICE. These values are automatically set by the system.`,
      ],
    ],
  'a variable’s name has letters, digits, _, - and . and begins with no digit': [
    [
      () => one({ env: [{ name: '1BAD', value: '1' }] }),
      `${C0}.env[0].name: invalid environment variable name '1BAD': it must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit.`,
    ],
  ],
  'a name is there once if it holds a secret': [
    [
      () =>
        one({
          env: [
            { name: 'A', value: '1' },
            { name: 'A', valueSource: { secretKeyRef: { secret: 's', version: '1' } } },
          ],
        }),
      `${C0}.env: 'A' refers to a secret and must be unique in its container.`,
    ],
  ],
  'a value has at most 32,768 characters, and all containers 1000 variables': [
    [
      () => one({ env: [{ name: 'A', value: 'a'.repeat(32_769) }] }),
      `${C0}.env[0].value: length cannot exceed 32768 characters.`,
    ],
    [
      () => one({ env: Array.from({ length: 1001 }, (_, index) => ({ name: `A${index}` })) }),
      `${TEMPLATE}.containers: The limit on EnvVars across all containers is 1000.`,
    ],
  ],
  'a secret in a variable is there (none is: there is no Secret Manager)': [
    [
      () => one({ env: [{ name: 'A', valueSource: { secretKeyRef: { secret: 's', version: '1' } } }] }),
      `${C0}.env: a secret that the environment refers to was not found: the emulator has no Secret Manager.`,
    ],
  ],
  'only cpu, memory and nvidia.com/gpu are limited, in quantities': [
    [
      () => v1Limits('banana', '512Mi'),
      "spec.template.spec.containers[0].resources.limits.cpu: Could not parse Quantity 'banana'.",
    ],
    [
      () => one({ resources: { limits: { disk: '1' } } }),
      `${C0}.resources.limits: Only cpu, memory and nvidia.com/gpu limits are supported, not 'disk'.`,
    ],
  ],
  'a container has .08 to 1, 2, 4, 6 or 8 CPUs': [
    [
      () => v1Limits('3', '512Mi'),
      'spec.template.spec.containers[0].resources.limits.cpu: Invalid value specified for container cpu. Must be equal to one of [.08-1], 1.0, 2.0, 4.0, 6.0, 8.0',
    ],
  ],
  'memory is what the CPUs allow': [
    [
      () => v1Limits('1', '8Gi'),
      'spec.template.spec.containers[0].resources.limits.memory: Invalid value specified for memory. For 1.0 CPU, memory must be between 128Mi and 4Gi inclusive.',
    ],
    [
      () => limits('1', '32Mi'),
      'template.containers[0].resources.limits.memory: Invalid value specified for memory. For 1.0 CPU, memory must be between 128Mi and 4Gi inclusive.',
    ],
    [
      () => limits('8', '2Gi'),
      'template.containers[0].resources.limits.memory: Invalid value specified for memory. For 8.0 CPU, memory must be between 4Gi and 32Gi inclusive.',
    ],
  ],
  'less than one CPU goes with one request at a time, gen1, and a CPU that idles': [
    [
      () => limits('0.5', '512Mi', { maxInstanceRequestConcurrency: 80 }),
      'template.containers.resources.limits.cpu: Invalid value specified for cpu. Total cpu < 1 is not supported with concurrency > 1.',
    ],
    [
      () => one({ resources: { limits: { cpu: '500m' } } }),
      'template.containers.resources.limits.cpu: Invalid value specified for cpu. Total cpu < 1 is not supported with cpu always allocated (unthrottled).',
    ],
  ],
  'less than 512Mi goes with gen1 and a CPU that idles': [
    [
      () => limits('1', '256Mi', { executionEnvironment: 'EXECUTION_ENVIRONMENT_GEN2' }),
      'template.containers.resources.limits.memory: Invalid value specified for memory. Total memory < 512 Mi is not supported with gen2 execution environment.',
    ],
  ],
  'a GPU is one, and wants 4 CPUs, 16Gi, gen2 and a CPU that is always allocated': [
    [
      () => one({ resources: { limits: { cpu: '8', memory: '32Gi', 'nvidia.com/gpu': '2' } } }),
      'template.containers[0].resources.limits.nvidia.com/gpu: GPU can only be set to 1.',
    ],
  ],
  'a probe asks in exactly one way': [
    [() => one({ startupProbe: {} }), `${C0}.startup_probe: Exactly one probe action must be set.`],
  ],
  'only a start-up probe connects by TCP': [
    [
      () => one({ livenessProbe: { tcpSocket: { port: 1 } } }),
      `${C0}.liveness_probe: Cloud Run currently does not support TCP socket in liveness probe.`,
    ],
  ],
  'a probe’s times are in their bounds, and its time-out within its period': [
    [
      () => one({ startupProbe: { httpGet: {}, periodSeconds: 241 } }),
      `${C0}.startup_probe: period_seconds must be a number between 0 and 240.`,
    ],
    [
      () => one({ livenessProbe: { httpGet: {}, timeoutSeconds: 11 } }),
      `${C0}.liveness_probe: timeout_seconds must not be greater than period_seconds.`,
    ],
  ],
  'a probe fails after a positive number of times': [
    [
      () => one({ startupProbe: { httpGet: {}, failureThreshold: -1 } }),
      `${C0}.startup_probe: failure_threshold: Must be a positive number if set.`,
    ],
  ],
  'a probe’s port is between 1 and 65535, and its headers are headers': [
    [
      () => one({ startupProbe: { grpc: { port: 70_000 } } }),
      `${C0}.startup_probe: port: if specified, must be between 1 and 65535.`,
    ],
    [
      () => one({ startupProbe: { httpGet: { httpHeaders: [{ name: 'a b' }] } } }),
      `${C0}.startup_probe: a valid HTTP header must consist of alphanumeric characters or '-'.`,
    ],
  ],
  'a volume’s name is a DNS label, and its own': [
    [
      () => v2({ volumes: [{ name: 'v', emptyDir: {} }, secret()] }),
      `${TEMPLATE}.volumes[1].name: Duplicate volume name 'v'.`,
    ],
  ],
  'a volume’s source is whole': [
    [
      () => v2({ volumes: [{ name: 'v', gcs: {} }] }),
      `${TEMPLATE}.volumes[0].gcs.bucket: Bucket name must be specified.`,
    ],
    [
      () => v2({ volumes: [{ name: 'v', cloudSqlInstance: { instances: ['p:r:i'] } }] }),
      `${TEMPLATE}.volumes[0].name: Cloud SQL volume must be named 'cloudsql', and no other volume may be.`,
    ],
    [
      () => v2({ volumes: [secret({ defaultMode: 0o1000 })] }),
      `${TEMPLATE}.volumes[0].secret.default_mode: if present, must be a supported unix chmod bitmask.`,
    ],
  ],
  'what is mounted is a volume of the template': [
    [
      () => one({ volumeMounts: [{ name: 'lost', mountPath: '/v' }] }),
      `${C0}.volume_mounts: Volume mounts refer to volumes lost, which were not found in volumes list.`,
    ],
  ],
  'a mount’s path is absolute, its own, and none of the system’s; a secret’s has no sub-path': [
    [
      () => mounted({ mountPath: 'v' }),
      `${C0}.volume_mounts[0].mount_path: must be a valid unix absolute path.`,
    ],
    [
      () => mounted({ mountPath: '/proc/x' }),
      `${C0}.volume_mounts[0].mount_path: Mount paths /proc/x are in one of disallowed mount points.`,
    ],
    [
      () => mounted({ subPath: 'x' }, secret()),
      `${C0}.volume_mounts[0].sub_path: secret volume mounts cannot have sub_path set.`,
    ],
  ],
  'traffic goes to revisions that there are': [
    [
      () => v2({}, { traffic: [{ type: 2, revision: 'receiver-x', percent: 100 }] }),
      "Violation in CreateServiceRequest.service.traffic[0].revision_name: Revision 'receiver-x' does not exist or is deleted. Update all traffic to route to currently available revisions.",
    ],
  ],
  'shares of the traffic are between 0 and 100, and 100 together': [
    [
      () => v2({}, { traffic: [{ type: 1, percent: 90 }] }),
      'Violation in CreateServiceRequest.service.traffic: traffic percentages must sum to 100 but sum to 90: the sum should be 100.',
    ],
  ],
  'a tag is a DNS label of at most 46 characters, and its own': [
    [
      () =>
        v2(
          {},
          {
            traffic: [
              { type: 1, percent: 100, tag: 'a' },
              { type: 1, tag: 'a' },
            ],
          },
        ),
      "Violation in CreateServiceRequest.service.traffic[1].tag: may not contain a duplicate tag: 'a' is used more than once.",
    ],
  ],
}

describe('what is refused', () => {
  for (const [rule, cases] of Object.entries(refused)) {
    test(`${rule}`, async () => {
      for (const [call, message] of cases) {
        const { status, body } = await call()
        expect([status, body.error?.status, body.error?.message]).toEqual([400, 'INVALID_ARGUMENT', message])
        const [violation] = body.error.details[0].fieldViolations
        expect(message.replace('Violation in ', '')).toBe(`${violation.field}: ${violation.description}`)
      }
      expect(world.state.services.size).toBe(0)
    })
  }

  test('every rule of the table is shown here, and said in docs/fidelity.md', () => {
    const page = readFileSync(join(import.meta.dir, '../../../../docs/fidelity.md'), 'utf8')
    const names = RULES.map(({ name }) => name)
    expect(names.filter((name) => !(name in refused))).toEqual([])
    expect(names.filter((name) => !page.includes(name))).toEqual([])
  })
})

describe('what is taken', () => {
  test.each([
    ['a sidecar that sets PORT', { env: [{ name: 'PORT', value: '9000' }] }],
    [
      'a name that is there twice',
      {
        env: [
          { name: 'A', value: '1' },
          { name: 'A', value: '2' },
        ],
      },
    ],
    ['half a CPU', { resources: { limits: { cpu: '500m', memory: '512Mi' } } }],
  ])('%s', async (_title, container) => {
    const ingress = { image: IMAGE, name: 'app', ports: [{ containerPort: 8080 }] }
    const sidecar = { image: 'nginx', name: 'side', ...container }
    expect((await v1({ containers: [ingress, sidecar] })).status).toBe(200)
  })

  test('half a CPU alone, which takes one request at a time', async () => {
    const { status, body } = await v1Limits('0.5', '512Mi')
    expect([status, body.spec.template.spec.containerConcurrency]).toEqual([200, 1])
  })

  test.each([
    ['2', '8Gi'],
    ['4', '2Gi'],
    ['6', '4Gi'],
    ['8', '32Gi'],
    ['1000m', '128Mi'],
  ])('%s CPUs and %s', async (cpu, memory) => {
    expect((await v1Limits(cpu, memory)).status).toBe(200)
  })
})
