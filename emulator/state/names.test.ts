import { expect, test } from 'bun:test'
import {
  defaultComputeServiceAccount,
  type Place,
  REGIONS,
  revisionName,
  serviceAccountEmail,
  serviceHosts,
  serviceUrl,
  serviceUrls,
} from './names.ts'

const PLACE: Place = { projectId: 'demo-project', projectNumber: '123456789012', scheme: 'http' }
const SERVICE = { project: 'demo-project', region: 'us-central1', name: 'receiving-service' }

test('facts 1.6: a service has a deterministic URL and one with a hash, the deterministic one shown', () => {
  const urls = serviceUrls(SERVICE, PLACE)
  expect(urls[0]).toBe('http://receiving-service-123456789012.us-central1.run.app')
  expect(urls[1]).toMatch(/^http:\/\/receiving-service-[a-z0-9]{10}-uc\.a\.run\.app$/)
  expect(serviceUrl(SERVICE, PLACE)).toBe(urls[0] ?? '')
  expect(serviceUrl(SERVICE, { ...PLACE, scheme: 'https' })).toStartWith('https://')
})

test('facts 1.6: the hash is the same for all services of a project, and another for another project', () => {
  const hashOf = (name: string, projectNumber = PLACE.projectNumber) =>
    serviceHosts({ ...SERVICE, name }, { ...PLACE, projectNumber })[1]?.slice(name.length)
  expect(hashOf('one')).toBe(hashOf('another'))
  expect(hashOf('one')).not.toBe(hashOf('one', '210987654321'))
})

test('facts 1.6: the deterministic URL exists only while its label has 63 characters or fewer', () => {
  const hosts = (length: number, tag?: string) =>
    serviceHosts({ ...SERVICE, name: 'a'.repeat(length) }, PLACE, tag)
  expect(hosts(50)).toHaveLength(2) // 50 + 1 + 12
  expect(hosts(51)).toHaveLength(1)
  expect(hosts(51)[0]).toEndWith('-uc.a.run.app')
  expect(hosts(46, 't')).toHaveLength(2) // its tag counts: 4 more
  expect(hosts(47, 't')).toHaveLength(1)
})

test('a tag stands before the service, with three hyphens', () => {
  expect(serviceUrls(SERVICE, PLACE, 'blue').map((url) => url.slice(0, 31))).toEqual([
    'http://blue---receiving-service',
    'http://blue---receiving-service',
  ])
})

test('no two regions share a host', () => {
  const hosts = REGIONS.flatMap((region) => serviceHosts({ ...SERVICE, region }, PLACE))
  expect(new Set(hosts).size).toBe(2 * REGIONS.length)
  expect(hosts.join()).not.toContain('-xx.')
})

test('facts 1.8: a revision is named after its service, a number of five digits and three letters', () => {
  expect(revisionName('receiving-service', 1, 'abc')).toBe('receiving-service-00001-abc')
  expect(revisionName('receiving-service', 123456, 'abc')).toBe('receiving-service-123456-abc')
})

test('facts 1.7: service accounts have the emails that Google gives them', () => {
  expect(defaultComputeServiceAccount(PLACE)).toBe('123456789012-compute@developer.gserviceaccount.com')
  expect(serviceAccountEmail('calling-service-sa', 'demo-project')).toBe(
    'calling-service-sa@demo-project.iam.gserviceaccount.com',
  )
})
