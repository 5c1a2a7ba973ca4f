/** The v1 spelling of a revision's template: its annotations and its spec. */
import type { run_v1 } from '@googleapis/run'
import type { Container, RevisionTemplate } from '../../../state/resources.ts'
import type { SecretReference } from '../../../state/settings.ts'
import { defined, filled, shown } from '../defined.ts'
import { writeRevisionAnnotations } from './annotations.ts'
import { ACCELERATOR } from './input.ts'
import { CLOUD_SQL, volumeToKnative } from './volumes.ts'

/** The user's annotations, and what this version has no other place for. */
export function templateAnnotations({ annotations, settings, containers, volumes = [] }: RevisionTemplate) {
  const dependencies = Object.fromEntries(
    containers.flatMap(({ name, dependsOn }) => (dependsOn ? [[name, dependsOn] as const] : [])),
  )
  const references = [
    ...containers.flatMap(({ env }) => env.flatMap((one) => ('secret' in one ? [one.secret] : []))),
    ...volumes.flatMap(({ source }) => (source.kind === 'secret' ? [source.secret] : [])),
  ]
  const aliases = references.flatMap((reference) =>
    reference.secret.includes('/') ? [[aliasOf(reference), reference.secret] as const] : [],
  )
  const instances = volumes.flatMap(({ source }) => (source.kind === 'cloudSql' ? source.instances : []))
  return {
    ...annotations,
    ...writeRevisionAnnotations({
      ...settings,
      ...defined({
        dependencies: filled(dependencies),
        secretAliases: filled(Object.fromEntries(aliases)),
        cloudSqlInstances: filled(instances),
      }),
    }),
  }
}

/** A secret of another project has an alias here; v2, which needs none, leaves it to us. */
function aliasOf({ secret, alias }: SecretReference): string {
  return alias ?? (secret.includes('/') ? secret.replaceAll('/', '-') : secret)
}

export function specFrom(template: RevisionTemplate): run_v1.Schema$RevisionSpec {
  const { settings, volumes = [] } = template
  const { accelerator, runtimeClass } = settings
  const mounted = volumes.flatMap((volume) => volumeToKnative(volume, aliasOf) ?? [])
  return {
    ...defined({
      volumes: filled(shown(mounted)),
      nodeSelector: accelerator === undefined ? undefined : { [ACCELERATOR]: accelerator },
      runtimeClassName: runtimeClass,
    }),
    containerConcurrency: template.containerConcurrency,
    timeoutSeconds: template.timeoutSeconds,
    serviceAccountName: template.serviceAccount,
    containers: template.containers.map(containerToKnative),
  }
}

function containerToKnative(container: Container): run_v1.Schema$Container {
  const { name, image, command, args, env, port, portName, limits, requests } = container
  const mounts = container.volumeMounts?.filter(({ name: volume }) => volume !== CLOUD_SQL.name)
  return {
    ...(name ? { name } : {}),
    image,
    ...(command.length ? { command: [...command] } : {}),
    ...(args.length ? { args: [...args] } : {}),
    ...(env.length ? { env: env.map(variableToKnative) } : {}),
    ...(port === undefined ? {} : { ports: [{ name: portName ?? 'http1', containerPort: port }] }),
    ...defined({
      workingDir: container.workingDir,
      volumeMounts: mounts?.length ? mounts : undefined,
      startupProbe: shown(container.startupProbe),
      livenessProbe: shown(container.livenessProbe),
      readinessProbe: shown(container.readinessProbe),
    }),
    resources: defined({ limits: limits && { ...limits }, requests: requests && { ...requests } }),
  }
}

function variableToKnative(variable: Container['env'][number]): run_v1.Schema$EnvVar {
  if ('value' in variable) return { ...variable }
  const { name, secret } = variable
  return { name, valueFrom: { secretKeyRef: { key: secret.version, name: aliasOf(secret) } } }
}
