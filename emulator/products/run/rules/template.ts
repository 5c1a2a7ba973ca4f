/** Rules about a revision's template: its name, its times, its network, its encryption. */
import { inTemplate, inTemplateSettings, type Rule } from './rule.ts'

const NAME = /^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$/

export const templateRules: readonly Rule[] = [
  {
    name: 'a revision’s name begins with the service’s and is a DNS label',
    source: 'W',
    *broken({ desired: { name, template } }) {
      const at = { v1: 'spec.template.metadata.name', v2: 'service.template.revision' }
      if (template.name === undefined) return
      if (!template.name.startsWith(`${name}-`)) {
        const description =
          'The revision name must be prefixed by the name of the enclosing Service with a trailing -'
        yield { ...at, description }
      } else if (!NAME.test(template.name)) {
        const description =
          'only lowercase, digits, and hyphens; must begin with letter, and may not end with hyphen; must be less than 64 characters.'
        yield { ...at, description }
      }
    },
  },
  {
    name: 'a request takes between 1 second and one hour',
    source: 'W',
    *broken({ desired: { template } }) {
      const { timeoutSeconds } = template
      if (timeoutSeconds > 3600)
        yield inTemplate('timeoutSeconds', 'timeout', 'maximum allowed time is one hour.')
      // Inferred wording.
      if (timeoutSeconds < 1) yield inTemplate('timeoutSeconds', 'timeout', 'must be at least one second.')
    },
  },
  {
    name: 'an instance takes between 1 and 1000 requests at once',
    source: 'W',
    *broken({ desired: { template } }) {
      const { containerConcurrency } = template
      // 0 is Cloud Run's default.
      if (containerConcurrency >= 0 && containerConcurrency <= 1000) return
      yield inTemplate(
        'containerConcurrency',
        'max_instance_request_concurrency',
        'Must be a number between 0 and 1000.',
      )
    },
  },
  {
    name: 'egress takes a connector or one network interface, and not both',
    source: 'W',
    *broken({ desired: { template } }) {
      const { vpcConnector, vpcEgress, networkInterfaces = [] } = template.settings
      const [first] = networkInterfaces
      const asked = vpcConnector !== undefined || vpcEgress !== undefined || first !== undefined
      if (asked && (vpcConnector === undefined) === (first === undefined)) {
        yield inTemplateSettings(
          'vpc_access',
          'one and only one of connector and network_interfaces must be set.',
        )
      }
      if (networkInterfaces.length > 1) {
        yield inTemplateSettings('vpc_access.network_interfaces', 'only 1 network interface is allowed.')
      }
      if (first && !first.network && !first.subnetwork) {
        yield inTemplateSettings(
          'vpc_access.network_interfaces[0]',
          'at least one of network or subnetwork should not be empty.',
        )
      }
    },
  },
  {
    name: 'an encryption key is named in full, and what happens to it only with a key',
    source: 'W',
    *broken({ desired: { template } }) {
      const { encryptionKey, keyRevocationAction, keyShutdownHours } = template.settings
      const form = /^projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+\/cryptoKeys\/[^/]+$/
      if (encryptionKey !== undefined && !form.test(encryptionKey)) {
        yield inTemplateSettings(
          'encryption_key',
          'must conform to projects/{project}/locations/{location}/keyRings/{keyRing}/cryptoKeys/{cryptoKey}.',
        )
      }
      const needy = keyRevocationAction !== undefined || keyShutdownHours !== undefined
      if (encryptionKey === undefined && needy) {
        yield inTemplateSettings(
          'encryption_key_revocation_action',
          'encryption_key must be set if this field is set.',
        )
      }
    },
  },
]
