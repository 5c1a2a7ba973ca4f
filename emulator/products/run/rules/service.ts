/** Rules about a service as a whole: its name, its labels, its settings. */
import { inServiceSettings, type Rule } from './rule.ts'

const DNS_LABEL = /^[a-z](?:[-a-z0-9]*[a-z0-9])?$/
/** Longest service name, by API version. */
const NAME_LENGTH = { v1: 63, v2: 49 }
/** facts 1.6: characters of the custom audiences, as JSON. */
const AUDIENCES_LENGTH = 32_768
/** Google's reference: "currently has a 512-character limit". */
const DESCRIPTION_LENGTH = 512

export const serviceRules: readonly Rule[] = [
  {
    name: 'a service name is a DNS label, of at most 63 characters in v1 and 49 in v2',
    source: 'W',
    *broken({ desired: { name }, spelling: { version } }) {
      if (DNS_LABEL.test(name) && name.length <= NAME_LENGTH[version]) return
      // facts 6.9: the two versions say it in words of their own.
      const end = version === 'v1' ? 'may not end with hyphen' : 'cannot end with hyphen'
      yield {
        v1: 'service.metadata.name',
        v2: 'service_id',
        description: `only lowercase, digits, and hyphens; must begin with letter, and ${end}; must be less than ${NAME_LENGTH[version] + 1} characters.`,
      }
    },
  },
  {
    name: 'labels are of lower case letters, digits, underscores and hyphens, at most 63 of them and 64 labels',
    source: 'D',
    *broken({ desired: { labels, template } }) {
      const service = labelFault(labels)
      if (service !== undefined) yield { v1: 'metadata.labels', v2: 'service.labels', description: service }
      const revision = labelFault(template.labels)
      if (revision !== undefined) {
        yield { v1: 'spec.template.metadata.labels', v2: 'service.template.labels', description: revision }
      }
    },
  },
  {
    name: 'a description has at most 512 characters, custom audiences at most 32,768 as JSON',
    source: 'D',
    *broken({ desired: { settings } }) {
      const { description = '', customAudiences = [] } = settings
      // Inferred wordings.
      if (description.length > DESCRIPTION_LENGTH) {
        yield inServiceSettings('description', `length cannot exceed ${DESCRIPTION_LENGTH} characters.`)
      }
      if (JSON.stringify(customAudiences).length > AUDIENCES_LENGTH) {
        yield inServiceSettings(
          'custom_audiences',
          `custom audiences may have at most ${AUDIENCES_LENGTH} characters.`,
        )
      }
    },
  },
  {
    name: 'numbers of instances are not negative, and the most is not less than the least',
    source: 'W',
    *broken({ desired: { settings, template } }) {
      for (const fault of boundFaults(settings)) yield inServiceSettings(`scaling.${fault[0]}`, fault[1])
      for (const [field, description] of boundFaults(template.settings)) {
        yield {
          v1: 'spec.template.metadata.annotations',
          v2: `service.template.scaling.${field}`,
          description,
        }
      }
      if ((settings.manualInstances ?? 0) < 0)
        yield inServiceSettings('scaling.manual_instance_count', NOT_NEGATIVE)
    },
  },
  {
    name: 'a manual number of instances goes with manual scaling alone',
    source: 'W',
    *broken({ desired: { settings } }) {
      if (settings.manualInstances === undefined || settings.scalingMode === 'manual') return
      yield inServiceSettings(
        'scaling.manual_instance_count',
        'scaling mode must be set to MANUAL to set manual_instance_count.',
      )
    },
  },
]

const NOT_NEGATIVE = 'must be greater than or equal to zero.'

interface Bounds {
  readonly minInstances?: number
  readonly maxInstances?: number
}

function* boundFaults({ minInstances = 0, maxInstances }: Bounds): Generator<readonly [string, string]> {
  if (minInstances < 0) yield ['min_instance_count', NOT_NEGATIVE]
  if (maxInstances === undefined) return
  if (maxInstances < 0) yield ['max_instance_count', NOT_NEGATIVE]
  // 0 is what a field that was left out holds.
  else if (maxInstances > 0 && maxInstances < minInstances)
    yield ['max_instance_count', 'must be greater than or equal to min_instance_count.']
}

const LABEL_KEY = /^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{Nd}_-]{0,62}$/u
const LABEL_VALUE = /^[\p{Ll}\p{Lo}\p{Nd}_-]{0,63}$/u
const MOST_LABELS = 64

/** Google's rules of labels. A name with a prefix is Knative's, and not looked at. Wordings inferred. */
function labelFault(labels: Readonly<Record<string, string>>): string | undefined {
  const own = Object.entries(labels).filter(([name]) => !name.includes('/'))
  if (own.length > MOST_LABELS) return `at most ${MOST_LABELS} labels are allowed.`
  const name = own.find(([key]) => !LABEL_KEY.test(key))?.[0]
  if (name !== undefined) {
    return `label name '${name}' must begin with a lowercase letter and have only lowercase letters, digits, underscores, and hyphens; at most 63 characters.`
  }
  const value = own.find(([, text]) => !LABEL_VALUE.test(text))
  if (value === undefined) return undefined
  return `value '${value[1]}' of label '${value[0]}' must have only lowercase letters, digits, underscores, and hyphens; at most 63 characters.`
}
