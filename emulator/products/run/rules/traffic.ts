/** Rules about where requests go. */
import type { Violation } from '../violations.ts'
import type { Rule } from './rule.ts'

const TAG = /^[a-z](?:[-a-z0-9]*[a-z0-9])?$/
/** facts 1.6: a tag and the service's name share one DNS label. */
const TAG_LENGTH = 46

export const trafficRules: readonly Rule[] = [
  {
    name: 'traffic goes to revisions that there are',
    source: 'W',
    *broken({ desired: { traffic, template }, revisions }) {
      const known = new Set([...revisions.map(({ name }) => name), ...(template.name ? [template.name] : [])])
      for (const [index, { revisionName }] of traffic.entries()) {
        if (revisionName === undefined || known.has(revisionName)) continue
        yield at(
          `[${index}].revision_name`,
          `Revision '${revisionName}' does not exist or is deleted. Update all traffic to route to currently available revisions.`,
        )
      }
    },
  },
  {
    name: 'shares of the traffic are between 0 and 100, and 100 together',
    source: 'W',
    *broken({ desired: { traffic } }) {
      for (const [index, { percent }] of traffic.entries()) {
        if (percent < 0 || percent > 100)
          yield at(`[${index}].percent`, 'must be a number between 0 and 100.')
      }
      const sum = traffic.reduce((total, { percent }) => total + percent, 0)
      // The frame of the sentence is inferred.
      if (sum !== 100)
        yield at('', `traffic percentages must sum to 100 but sum to ${sum}: the sum should be 100.`)
    },
  },
  {
    name: 'a tag is a DNS label of at most 46 characters, and its own',
    source: 'W',
    *broken({ desired: { traffic } }) {
      const tags = traffic.map(({ tag }) => tag)
      for (const [index, tag] of tags.entries()) {
        if (tag === undefined) continue
        if (!TAG.test(tag) || tag.length > TAG_LENGTH) {
          yield at(
            `[${index}].tag`,
            'only lowercase, digits, and hyphens; must begin with letter, and may not end with hyphen.',
          )
        }
        if (tags.indexOf(tag) !== index)
          yield at(`[${index}].tag`, `may not contain a duplicate tag: '${tag}' is used more than once.`)
      }
    },
  },
]

function at(field: string, description: string): Violation {
  return { v1: `spec.traffic${field}`, v2: `service.traffic${field}`, description }
}
