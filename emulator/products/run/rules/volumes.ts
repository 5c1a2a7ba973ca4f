/** Rules about volumes, and where they are mounted. */
import type { Volume } from '../../../state/settings.ts'
import { bytes } from '../quantities.ts'
import { inTemplate, type Rule } from './rule.ts'

const NAME = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/
const CLOUD_SQL = 'cloudsql'
const SECRET = /^(?:projects\/[^/]+\/secrets\/)?[\w-]{1,255}$/
const VERSION = /^[\w-]+$/
/** Where nothing is mounted. Which there are is inferred from Google's page on volume mounts. */
const KEPT = /^\/(?:dev|proc|sys)(?:\/|$)/
const MODES = 0o777

export const volumeRules: readonly Rule[] = [
  {
    name: 'a volume’s name is a DNS label, and its own',
    source: 'W',
    *broken({ desired: { template } }) {
      const names = (template.volumes ?? []).map(({ name }) => name)
      for (const [index, name] of names.entries()) {
        const at = `volumes[${index}].name`
        // Wording inferred.
        if (!NAME.test(name)) yield inTemplate(at, at, 'must conform to RFC 1123 DNS label restrictions.')
        if (names.indexOf(name) !== index) yield inTemplate(at, at, `Duplicate volume name '${name}'.`)
      }
    },
  },
  {
    name: 'a volume’s source is whole',
    source: 'W',
    *broken({ desired: { template } }) {
      for (const [index, volume] of (template.volumes ?? []).entries()) {
        const at = `volumes[${index}]`
        for (const [field, description] of sourceFaults(volume))
          yield inTemplate(`${at}${field}`, `${at}${field}`, description)
      }
    },
  },
  {
    name: 'what is mounted is a volume of the template',
    source: 'W',
    *broken({ desired: { template } }) {
      const names = new Set((template.volumes ?? []).map(({ name }) => name))
      for (const [index, { volumeMounts = [] }] of template.containers.entries()) {
        const lost = volumeMounts.map(({ name }) => name).filter((name) => !names.has(name))
        if (lost.length === 0) continue
        const at = `containers[${index}]`
        const description = `Volume mounts refer to volumes ${lost.join(', ')}, which were not found in volumes list.`
        yield inTemplate(`${at}.volumeMounts`, `${at}.volume_mounts`, description)
      }
    },
  },
  {
    name: 'a mount’s path is absolute, its own, and none of the system’s; a secret’s has no sub-path',
    source: 'W',
    *broken({ desired: { template } }) {
      const secrets = new Set(
        (template.volumes ?? []).flatMap(({ name, source }) => (source.kind === 'secret' ? [name] : [])),
      )
      for (const [index, { volumeMounts = [] }] of template.containers.entries()) {
        const paths = volumeMounts.map(({ mountPath }) => mountPath)
        for (const [place, { name, mountPath, subPath }] of volumeMounts.entries()) {
          const v1 = `containers[${index}].volumeMounts[${place}]`
          const v2 = `containers[${index}].volume_mounts[${place}]`
          const path = (description: string) => inTemplate(`${v1}.mountPath`, `${v2}.mount_path`, description)
          // Google's reference: that of Cloud SQL may be left out.
          if (name === CLOUD_SQL && mountPath === '') continue
          if (!/^\/[^:]*$/.test(mountPath)) yield path('must be a valid unix absolute path.')
          else if (mountPath === '/' || KEPT.test(mountPath))
            yield path(`Mount paths ${mountPath} are in one of disallowed mount points.`)
          if (paths.indexOf(mountPath) !== place) yield path(`Duplicate mount path '${mountPath}'.`)
          if (subPath !== undefined && secrets.has(name))
            yield inTemplate(
              `${v1}.subPath`,
              `${v2}.sub_path`,
              'secret volume mounts cannot have sub_path set.',
            )
        }
      }
    },
  },
]

function* sourceFaults({ name, source }: Volume): Generator<readonly [string, string]> {
  if ((name === CLOUD_SQL) !== (source.kind === 'cloudSql'))
    yield ['.name', "Cloud SQL volume must be named 'cloudsql', and no other volume may be."]
  switch (source.kind) {
    case 'emptyDir': {
      const { sizeLimit } = source
      if (sizeLimit !== undefined && bytes(sizeLimit) === undefined)
        yield ['.empty_dir.size_limit', `Could not parse Quantity '${sizeLimit}'.`]
      return
    }
    case 'gcs':
      if (source.bucket === '') yield ['.gcs.bucket', 'Bucket name must be specified.']
      return
    case 'nfs':
      // Inferred wording.
      if (source.server === '' || !source.path.startsWith('/'))
        yield ['.nfs', 'a server and an absolute path must be specified.']
      return
    case 'cloudSql': {
      if (source.instances.some((instance) => !/^[^:,]+:[^:,]+:[^:,]+$/.test(instance)))
        yield ['.cloud_sql_instance.instances', 'must be in the format project:location:instance.']
      return
    }
    case 'secret':
      yield* secretFaults(source)
  }
}

function* secretFaults({
  secret,
  items = [],
  defaultMode,
}: Extract<Volume['source'], { kind: 'secret' }>): Generator<readonly [string, string]> {
  const isMode = (mode: number | undefined) => mode === undefined || (mode >= 0 && mode <= MODES)
  if (!SECRET.test(secret.secret)) {
    yield ['.secret.secret', 'may only be a name, or projects/{project}/secrets/{secret}.']
  }
  if (!isMode(defaultMode))
    yield ['.secret.default_mode', 'if present, must be a supported unix chmod bitmask.']
  for (const [index, { version, path, mode }] of items.entries()) {
    const at = `.secret.items[${index}]`
    if (!VERSION.test(version))
      yield [`${at}.version`, 'should have only alphanumeric characters, hyphens and underscores.']
    // Inferred: documented as required, and relative.
    if (path === '' || path.startsWith('/') || path.split('/').includes('..'))
      yield [`${at}.path`, 'must be a relative path within the volume.']
    if (!isMode(mode)) yield [`${at}.mode`, 'if present, must be a supported unix chmod bitmask.']
  }
}
