/** Volumes as v1 spells them. Of Cloud SQL it names the instances alone, in an annotation. */
import type { SecretReference, Volume, VolumeMount, VolumeSource } from '../../../state/settings.ts'
import { defined, filled } from '../defined.ts'
import type { KnativeVolume } from './messages.ts'

const MOUNT: VolumeMount = { name: 'cloudsql', mountPath: '/cloudsql' }
/** Where Cloud SQL's sockets are found: v2 mounts this volume. */
export const CLOUD_SQL = { name: MOUNT.name, mount: MOUNT } as const

export function volumesFrom(
  volumes: readonly KnativeVolume[],
  cloudSqlInstances: readonly string[] | undefined,
  secret: (name: string) => SecretReference,
): readonly Volume[] {
  const own = volumes.map((volume): Volume => ({ name: volume.name ?? '', source: sourceOf(volume, secret) }))
  if (!cloudSqlInstances?.length) return own
  return [...own, { name: CLOUD_SQL.name, source: { kind: 'cloudSql', instances: cloudSqlInstances } }]
}

function sourceOf(
  { emptyDir, secret, csi, nfs }: KnativeVolume,
  reference: (name: string) => SecretReference,
): VolumeSource {
  if (secret) {
    const items = secret.items?.map(({ key = '', path = '', mode }) => defined({ version: key, path, mode }))
    return {
      kind: 'secret',
      secret: reference(secret.secretName ?? ''),
      ...defined({ items: filled(items), defaultMode: secret.defaultMode }),
    }
  }
  if (csi) {
    const { bucketName = '', mountOptions = '' } = csi.volumeAttributes ?? {}
    const options = filled(mountOptions.split(',').filter(Boolean))
    return { kind: 'gcs', bucket: bucketName, ...defined({ readOnly: csi.readOnly, mountOptions: options }) }
  }
  if (nfs) {
    const { server = '', path = '', readOnly } = nfs
    return { kind: 'nfs', server, path, ...defined({ readOnly }) }
  }
  // Knative: a volume that names no source is an empty folder.
  const memory = emptyDir?.medium === 'Memory' ? true : undefined
  return { kind: 'emptyDir', ...defined({ memory, sizeLimit: filled(emptyDir?.sizeLimit) }) }
}

/** Undefined: v1 says it in an annotation. */
export function volumeToKnative({ name, source }: Volume, aliasOf: (secret: SecretReference) => string) {
  switch (source.kind) {
    case 'emptyDir': {
      const { memory, sizeLimit } = source
      return { name, emptyDir: defined({ medium: memory ? 'Memory' : undefined, sizeLimit }) }
    }
    case 'secret': {
      const { secret, items, defaultMode } = source
      const paths = items?.map(({ version, path, mode }) => defined({ key: version, path, mode }))
      return { name, secret: { secretName: aliasOf(secret), ...defined({ items: paths, defaultMode }) } }
    }
    case 'gcs': {
      const { bucket, readOnly, mountOptions } = source
      const volumeAttributes = defined({ bucketName: bucket, mountOptions: mountOptions?.join(',') })
      return {
        name,
        csi: { driver: 'gcsfuse.run.googleapis.com', ...defined({ readOnly }), volumeAttributes },
      }
    }
    case 'nfs': {
      const { kind: _, ...nfs } = source
      return { name, nfs }
    }
    case 'cloudSql':
      return undefined
  }
}
