import { describe, expect, test } from 'bun:test'
import { z } from 'zod'
import table from './roles.json' with { type: 'json' }
import { findRole, grantableOn, PREDEFINED_ROLES, suggestedRole } from './roles.ts'

const holds = (role: string, permission: string) => findRole(`roles/${role}`)?.permissions.has(permission)

describe('roles.json', () => {
  const name = z.string().regex(/^[a-z]+(\.[a-zA-Z]+)*$/)
  const distinct = (names: readonly string[]) => new Set(names).size === names.length
  const schema = z.strictObject({
    about: z.array(z.string().min(1)).min(1),
    sources: z.array(z.url({ protocol: /^https$/ })).min(1),
    date: z.iso.date().or(z.string().regex(/^20\d\d-(0[1-9]|1[0-2])$/)),
    complete: z.array(z.string().regex(/^[a-z]+$/)).refine(distinct, 'a service is named twice'),
    titles: z.record(name, z.string().min(1)),
    permissions: z.record(
      z.string().regex(/^[a-z]+\.[a-zA-Z]+\.[a-zA-Z]+$/),
      z.array(name).refine(distinct, 'a role is named twice'),
    ),
  })

  test('says where its rows are from and of when, and has permissions and roles by their names', () => {
    expect(schema.safeParse(table).error?.issues ?? []).toEqual([])
  })

  test('a role that holds a permission has a title', () => {
    const titled: ReadonlySet<string> = new Set(Object.keys(table.titles))
    const unnamed = Object.entries(table.permissions).flatMap(([permission, roles]) =>
      roles.filter((role) => !titled.has(role)).map((role) => `${permission}: ${role}`),
    )
    expect(unnamed).toEqual([])
  })
})

const INVOKERS = [
  ...['owner', 'editor', 'run.admin', 'run.developer', 'run.editor', 'run.invoker', 'run.servicesInvoker'],
  ...['run.sourceDeveloper', 'run.serviceAgent', 'cloudfunctions.admin', 'cloudfunctions.developer'],
  ...['cloudfunctions.editor', 'cloudfunctions.serviceAgent', 'firebase.admin', 'firebase.developAdmin'],
  ...['iam.devOps', 'iam.dataScientist', 'iam.mlEngineer', 'aiplatform.serviceAgent', 'ces.serviceAgent'],
  ...['dialogflow.serviceAgent', 'firebaseapphosting.serviceAgent', 'firebasedataconnect.serviceAgent'],
  ...['integrations.serviceAgent', 'monitoring.notificationServiceAgent', 'spanner.serviceAgent'],
  ...['visionai.serviceAgent'],
]

describe('facts 1.7: run.routes.invoke', () => {
  test.each(INVOKERS)('roles/%s holds it', (role) => {
    expect(holds(role, 'run.routes.invoke')).toBe(true)
  })

  test.each(['viewer', 'run.viewer', 'run.builder', 'run.jobsExecutor', 'cloudfunctions.invoker'])(
    'roles/%s does not',
    (role) => {
      expect(holds(role, 'run.routes.invoke')).toBe(false)
    },
  )

  test('no other role in the table holds it', () => {
    const holders = [...PREDEFINED_ROLES].filter(([, { permissions }]) =>
      permissions.has('run.routes.invoke'),
    )
    expect(holders.map(([name]) => name.slice('roles/'.length)).sort()).toEqual([...INVOKERS].sort())
  })

  test('roles/run.servicesInvoker holds nothing else', () => {
    expect([...(findRole('roles/run.servicesInvoker')?.permissions ?? [])]).toEqual(['run.routes.invoke'])
  })
})

const MINTING = ['getAccessToken', 'getOpenIdToken', 'implicitDelegation', 'signBlob', 'signJwt']
const MINTERS: Readonly<Record<string, readonly string[]>> = {
  'roles/iam.serviceAccountTokenCreator': MINTING,
  'roles/iam.serviceAccountOpenIdTokenCreator': ['getOpenIdToken'],
  'roles/iam.workloadIdentityUser': ['getAccessToken', 'getOpenIdToken'],
  'roles/owner': [],
  'roles/editor': [],
  'roles/iam.serviceAccountUser': [],
  'roles/iam.serviceAccountAdmin': [],
}

test.each(Object.keys(MINTERS))('facts 1.7, 6.9: the tokens that %s may mint', (role) => {
  const held = MINTING.filter((name) => findRole(role)?.permissions.has(`iam.serviceAccounts.${name}`))
  expect(held).toEqual([...(MINTERS[role] ?? [])])
})

test('an editor deploys and acts as an account, but sets no policy', () => {
  expect(holds('editor', 'run.services.create')).toBe(true)
  expect(holds('editor', 'iam.serviceAccounts.actAs')).toBe(true)
  expect(holds('editor', 'run.services.setIamPolicy')).toBe(false)
  expect(holds('editor', 'resourcemanager.projects.setIamPolicy')).toBe(false)
  expect(holds('owner', 'resourcemanager.projects.setIamPolicy')).toBe(true)
  expect(holds('run.developer', 'run.services.setIamPolicy')).toBe(false)
  expect(holds('run.admin', 'run.services.setIamPolicy')).toBe(true)
})

describe('facts 6.9: where a role can be granted', () => {
  const custom = new Map([['projects/p/roles/caller', { title: 'Caller', permissions: new Set<string>() }]])
  test.each([
    ['roles/run.invoker', 'service', true],
    ['roles/run.invoker', 'project', true],
    ['roles/run.invoker', 'serviceAccount', false],
    ['roles/cloudfunctions.invoker', 'service', false],
    ['roles/iam.serviceAccountTokenCreator', 'serviceAccount', true],
    ['roles/iam.serviceAccountTokenCreator', 'service', false],
    ['roles/iam.serviceAccountTokenCreator', 'project', true],
    ['roles/run.invokr', 'project', false],
    ['roles/storage.legacyBucketOwner', 'project', false],
    ['roles/pubsub.publisher', 'project', true],
    ['roles/pubsub.publisher', 'service', false],
    ['run.invoker', 'project', false],
    ['projects/p/roles/caller', 'service', true],
    ['projects/p/roles/other', 'service', false],
  ] as const)('%s on a %s: %p', (role, kind, expected) => {
    expect(grantableOn(role, kind, { roles: custom })).toBe(expected)
  })
})

test('the suggested role is the one Google tells people to grant, or the narrowest', () => {
  expect(suggestedRole('run.routes.invoke', 'service')).toBe('roles/run.invoker')
  expect(suggestedRole('run.services.setIamPolicy', 'service')).toBe('roles/run.admin')
  expect(suggestedRole('iam.serviceAccounts.actAs', 'serviceAccount')).toBe('roles/iam.serviceAccountUser')
  expect(suggestedRole('iam.serviceAccounts.getOpenIdToken', 'serviceAccount')).toBe(
    'roles/iam.serviceAccountOpenIdTokenCreator',
  )
  expect(suggestedRole('no.such.permission', 'project')).toBeUndefined()
})
