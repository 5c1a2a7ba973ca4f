/** What Knative has and Cloud Run has not (Google's reference: "Not supported by Cloud Run"). Wordings inferred. */
import type { Violation } from '../violations.ts'
import type { KnativeContainer, KnativeSpec, KnativeVolume } from './messages.ts'

const NOT_SUPPORTED = 'This field is not supported by Cloud Run.'
const NOT_EMULATED = 'This field is not emulated.'

export function unsupported(spec: KnativeSpec): Violation[] {
  return [
    ...inSpec(spec),
    ...(spec.containers ?? []).flatMap((container, index) => [
      ...inContainer(container, `containers[${index}]`),
    ]),
    ...(spec.volumes ?? []).flatMap((volume, index) => [...inVolume(volume, `volumes[${index}]`)]),
  ]
}

function at(field: string, description: string): Violation {
  return { v1: `spec.template.spec.${field}`, v2: `service.template.${field}`, description }
}

function* inSpec({
  enableServiceLinks,
  imagePullSecrets,
  nodeSelector = {},
}: KnativeSpec): Generator<Violation> {
  if (enableServiceLinks) yield at('enableServiceLinks', NOT_SUPPORTED)
  if (imagePullSecrets?.length) yield at('imagePullSecrets', NOT_SUPPORTED)
  const other = Object.keys(nodeSelector).find((key) => !key.endsWith('/accelerator'))
  if (other !== undefined) yield at('nodeSelector', `Node selector '${other}' is not supported by Cloud Run.`)
}

const PROBES = ['startupProbe', 'livenessProbe', 'readinessProbe'] as const

function* inContainer(container: KnativeContainer, path: string): Generator<Violation> {
  const { envFrom, securityContext, terminationMessagePath, terminationMessagePolicy, imagePullPolicy } =
    container
  if (envFrom?.length) yield at(`${path}.envFrom`, NOT_SUPPORTED)
  if (securityContext?.runAsUser !== undefined) yield at(`${path}.securityContext`, NOT_SUPPORTED)
  if (terminationMessagePath) yield at(`${path}.terminationMessagePath`, NOT_EMULATED)
  if (terminationMessagePolicy) yield at(`${path}.terminationMessagePolicy`, NOT_EMULATED)
  if (imagePullPolicy) yield at(`${path}.imagePullPolicy`, NOT_EMULATED)
  if (container.sandboxLauncher) yield at(`${path}.sandboxLauncher`, NOT_EMULATED)
  for (const [index, { valueFrom }] of (container.env ?? []).entries()) {
    if (valueFrom?.configMapKeyRef) yield at(`${path}.env[${index}].valueFrom.configMapKeyRef`, NOT_SUPPORTED)
    if (valueFrom?.secretKeyRef?.optional) {
      yield at(`${path}.env[${index}].valueFrom.secretKeyRef.optional`, NOT_SUPPORTED)
    }
  }
  for (const name of PROBES) {
    const probe = container[name]
    if (probe?.exec) yield at(`${path}.${name}.exec`, NOT_SUPPORTED)
    if (probe?.httpGet?.host) yield at(`${path}.${name}.httpGet.host`, NOT_SUPPORTED)
    if (probe?.httpGet?.scheme && probe.httpGet.scheme !== 'HTTP')
      yield at(`${path}.${name}.httpGet.scheme`, NOT_SUPPORTED)
    if (probe?.tcpSocket?.host) yield at(`${path}.${name}.tcpSocket.host`, NOT_SUPPORTED)
  }
  for (const [index, { protocol }] of (container.ports ?? []).entries()) {
    if (protocol && protocol !== 'TCP')
      yield at(`${path}.ports[${index}].protocol`, "Must be 'TCP' if specified.")
  }
}

const GCSFUSE = 'gcsfuse.run.googleapis.com'

function* inVolume(volume: KnativeVolume, path: string): Generator<Violation> {
  const { name: _, configMap, csi, secret, emptyDir, ...others } = volume
  if (configMap) yield at(`${path}.configMap`, NOT_SUPPORTED)
  if (secret?.optional) yield at(`${path}.secret.optional`, NOT_SUPPORTED)
  if (csi && csi.driver !== GCSFUSE) yield at(`${path}.csi.driver`, `Expected '${GCSFUSE}'.`)
  const unknown = Object.keys(csi?.volumeAttributes ?? {}).find(
    (key) => !['bucketName', 'mountOptions'].includes(key),
  )
  if (unknown !== undefined)
    yield at(`${path}.csi.volumeAttributes`, `Attribute '${unknown}' is not supported.`)
  if (emptyDir?.medium && emptyDir.medium !== 'Memory')
    yield at(`${path}.emptyDir.medium`, "Must be an empty string or 'Memory'.")
  const sources = [csi, secret, emptyDir, ...Object.values(others)].filter((source) => source !== undefined)
  if (sources.length > 1) yield at(path, 'a volume has exactly one source.')
}
