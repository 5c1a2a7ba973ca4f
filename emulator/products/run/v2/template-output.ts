/** The v2 spelling of a revision's template. */
import type { run_v2 } from '@googleapis/run'
import type { Container, RevisionTemplate } from '../../../state/resources.ts'
import type { RevisionSettings, Volume } from '../../../state/settings.ts'
import { defined, filled, shown } from '../defined.ts'
import { withoutSystemLabels } from './faults.ts'
import { egressWords, environmentWords, revocationWords } from './words.ts'

export function templateToV2(template: RevisionTemplate) {
  const { settings, volumes = [] } = template
  return {
    ...defined({ revision: template.name }),
    ...map('labels', withoutSystemLabels(template.labels)),
    ...map('annotations', template.annotations),
    ...revisionSettingsToV2(settings),
    timeout: `${template.timeoutSeconds}s`,
    serviceAccount: template.serviceAccount,
    containers: template.containers.map((container, index) => containerToV2(container, index, settings)),
    ...(volumes.length ? { volumes: volumes.map(volumeToV2) } : {}),
    maxInstanceRequestConcurrency: template.containerConcurrency,
  } satisfies run_v2.Schema$GoogleCloudRunV2RevisionTemplate
}

function revisionSettingsToV2(settings: RevisionSettings) {
  const { keyShutdownHours, accelerator, mesh } = settings
  const vpcAccess = defined({
    connector: settings.vpcConnector,
    egress: egressWords.write(settings.vpcEgress),
    networkInterfaces: filled(shown(settings.networkInterfaces)),
  })
  return {
    scaling: defined({
      minInstanceCount: settings.minInstances,
      maxInstanceCount: settings.maxInstances,
    }),
    ...defined({
      vpcAccess: filled(vpcAccess),
      executionEnvironment: environmentWords.write(settings.executionEnvironment),
      encryptionKey: settings.encryptionKey,
      encryptionKeyRevocationAction: revocationWords.write(settings.keyRevocationAction),
      encryptionKeyShutdownDuration:
        keyShutdownHours === undefined ? undefined : `${keyShutdownHours * 3600}s`,
      sessionAffinity: settings.sessionAffinity || undefined,
      healthCheckDisabled: settings.healthCheckDisabled || undefined,
      client: settings.clientName,
      clientVersion: settings.clientVersion,
      gpuZonalRedundancyDisabled: settings.gpuZonalRedundancyDisabled || undefined,
      nodeSelector: accelerator === undefined ? undefined : { accelerator },
      serviceMesh: mesh === undefined ? undefined : { mesh },
    }),
  }
}

function containerToV2(container: Container, index: number, settings: RevisionSettings) {
  const { name, image, command, args, env, port, portName, limits } = container
  return {
    ...(name ? { name } : {}),
    image,
    ...(command.length ? { command: [...command] } : {}),
    ...(args.length ? { args: [...args] } : {}),
    ...(env.length ? { env: env.map(variableToV2) } : {}),
    resources: {
      ...defined({ limits: limits && { ...limits } }),
      // Both are said once for a revision in v1; the first container carries them here.
      ...(index === 0
        ? defined({
            cpuIdle: settings.cpuThrottling === false ? undefined : true,
            startupCpuBoost: settings.startupCpuBoost || undefined,
          })
        : {}),
    },
    ...(port === undefined ? {} : { ports: [{ name: portName ?? 'http1', containerPort: port }] }),
    ...defined({
      volumeMounts: shown(container.volumeMounts),
      workingDir: container.workingDir,
      livenessProbe: shown(container.livenessProbe),
      startupProbe: shown(container.startupProbe),
      readinessProbe: shown(container.readinessProbe),
      dependsOn: shown(container.dependsOn),
    }),
  }
}

function variableToV2(variable: Container['env'][number]) {
  if ('value' in variable) return { ...variable }
  const { name, secret } = variable
  return { name, valueSource: { secretKeyRef: { secret: secret.secret, version: secret.version } } }
}

function volumeToV2({ name, source }: Volume): run_v2.Schema$GoogleCloudRunV2Volume {
  switch (source.kind) {
    case 'emptyDir': {
      const { memory, sizeLimit } = source
      return { name, emptyDir: defined({ medium: memory ? 'MEMORY' : undefined, sizeLimit }) }
    }
    case 'secret': {
      const { secret, items, defaultMode } = source
      return { name, secret: { secret: secret.secret, ...defined({ items: shown(items), defaultMode }) } }
    }
    case 'gcs': {
      const { kind: _, ...gcs } = source
      return { name, gcs: shown(gcs) }
    }
    case 'nfs': {
      const { kind: _, ...nfs } = source
      return { name, nfs }
    }
    case 'cloudSql':
      return { name, cloudSqlInstance: { instances: [...source.instances] } }
  }
}

/** A map that holds nothing is not printed. */
export function map<K extends string>(
  name: K,
  entries: Readonly<Record<string, string>>,
): { [N in K]?: Record<string, string> } {
  return Object.keys(entries).length
    ? ({ [name]: { ...entries } } as { [N in K]?: Record<string, string> })
    : {}
}
