import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Binding } from './policy.ts'
import { normalisePolicy, type PolicyInput, type ValidationOptions, validatePolicy } from './validate.ts'

const KNOWN = 'calling@p.iam.gserviceaccount.com'
const OPTIONS: ValidationOptions = {
  resourceKind: 'service',
  accountExists: (email) => email === KNOWN,
  groupExists: (email) => email === 'staff@example.com',
}
const INVOKER = 'roles/run.invoker'
const EXPIRY = { title: 'expiry', expression: 'request.time < timestamp("2030-01-01T00:00:00Z")' }

const bind = (role: string, ...members: readonly string[]): PolicyInput => ({ bindings: [{ role, members }] })
const sentence = (policy: PolicyInput, options: Partial<ValidationOptions> = {}) =>
  validatePolicy(policy, { ...OPTIONS, ...options })?.message

describe('what can be set is not refused', () => {
  test.each([
    `serviceAccount:${KNOWN}`,
    'serviceAccount:Calling@p.iam.gserviceaccount.com',
    'serviceAccount:service-123@serverless-robot-prod.iam.gserviceaccount.com',
    'serviceAccount:123@cloudservices.gserviceaccount.com',
    'serviceAccount:p.svc.id.goog[ns/ksa]',
    `deleted:serviceAccount:gone@p.iam.gserviceaccount.com?uid=1`,
    'allUsers',
    'allAuthenticatedUsers',
    'user:ann@gmail.com',
    'user:ann@example.com',
    'group:staff@example.com',
    'group:unlisted@example.com',
    'domain:example.com',
    'principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/*',
  ])('%s', (member) => {
    expect(validatePolicy(bind(INVOKER, member), OPTIONS)).toBeUndefined()
  })

  test('an empty policy', () => {
    expect(validatePolicy({}, OPTIONS)).toBeUndefined()
    expect(validatePolicy({ bindings: [{ role: INVOKER, members: [] }] }, OPTIONS)).toBeUndefined()
  })
})

test('facts 6.9: an unknown service account is 400 INVALID_ARGUMENT', () => {
  expect(
    validatePolicy(bind(INVOKER, 'allUsers', 'serviceAccount:no@p.iam.gserviceaccount.com'), OPTIONS),
  ).toEqual({
    code: 400,
    status: 'INVALID_ARGUMENT',
    message: 'Service account no@p.iam.gserviceaccount.com does not exist.',
  })
})

test.each([
  ['serviceAccount:ann@gmail.com', 'ann@gmail.com', 'user'],
  ['serviceAccount:ann@example.com', 'ann@example.com', 'user'],
  ['serviceAccount:staff@example.com', 'staff@example.com', 'group'],
  ['user:staff@example.com', 'staff@example.com', 'group'],
  ['group:ann@gmail.com', 'ann@gmail.com', 'user'],
  [`user:${KNOWN}`, KNOWN, 'serviceAccount'],
])('facts 6.9: %s has the wrong prefix', (member, email, type) => {
  expect(sentence(bind(INVOKER, member))).toBe(
    `Account ${email} is of type "${type}". Please set the type prefix to be "${type}:".`,
  )
})

test.each([
  ['service', 'roles/run.invokr'],
  ['service', 'roles/cloudfunctions.invoker'],
  ['service', 'run.invoker'],
  ['project', 'roles/run.invokr'],
  ['serviceAccount', INVOKER],
] as const)('facts 6.9: on a %s the role %s is not supported', (resourceKind, role) => {
  expect(sentence(bind(role, 'user:ann@example.com'), { resourceKind })).toBe(
    `Role ${role} is not supported for this resource.`,
  )
})

test('a custom role has to exist', () => {
  const role = 'projects/p/roles/caller'
  const roles = new Map([[role, { title: 'Caller', permissions: new Set<string>() }]])
  expect(sentence(bind(role, 'allUsers'), { roles })).toBeUndefined()
  expect(sentence(bind(role, 'allUsers'))).toBe(`Role (${role}) does not exist in the resource's hierarchy.`)
})

const WRONG_FORM = 'Policy members must be of the form "<type>:<value>".'
const unknownType = (member: string) =>
  `The member ${member} is of an unknown type. Please set a valid type prefix for the member.`

test.each([
  ['service', 'ann@example.com', unknownType('ann@example.com')],
  ['project', 'ann@example.com', WRONG_FORM],
  ['project', 'allUsers', WRONG_FORM],
  ['project', 'allAuthenticatedUsers', WRONG_FORM],
  ['service', 'robot:ann@example.com', unknownType('robot:ann@example.com')],
  ['service', 'principalSet://iam.googleapis.com/p/*', unknownType('principalSet://iam.googleapis.com/p/*')],
  ['service', 'user:ann', 'User ann does not exist.'],
  ['service', 'group:staff', 'Group staff does not exist.'],
  ['service', 'domain:example', 'Domain example does not exist.'],
] as const)('on a %s the member %s is refused', (resourceKind, member, expected) => {
  expect(sentence(bind(INVOKER, member), { resourceKind })).toBe(expected)
})

describe('conditions', () => {
  const conditional = (member: string, expression = EXPIRY.expression, role = INVOKER): PolicyInput => ({
    version: 3,
    etag: 'ACAB',
    bindings: [{ role, members: [member], condition: { title: 't', expression } }],
  })

  test('facts 6.7: an expiry can be set', () => {
    expect(sentence(conditional('user:ann@example.com'))).toBeUndefined()
  })

  test('one that does not read is refused, in words of CEL', () => {
    expect(sentence(conditional('user:ann@example.com', 'request.time <'))).toStartWith(
      'Invalid condition expression: <input>:1:',
    )
  })

  test('facts 1.7: not for everyone, and not on basic roles', () => {
    expect(sentence(conditional('allUsers'))).toContain('allUsers')
    expect(sentence(conditional('allAuthenticatedUsers'))).toContain('allAuthenticatedUsers')
    expect(sentence(conditional('user:ann@example.com', EXPIRY.expression, 'roles/editor'))).toContain(
      'roles/editor',
    )
  })

  test('need version 3, unless the policy is overwritten blindly', () => {
    const policy = conditional('user:ann@example.com')
    expect(sentence({ ...policy, version: 1 })).toContain('version must be set to 3')
    expect(sentence({ ...policy, version: 2 })).toContain('Invalid policy version (2)')
    expect(sentence({ version: 1, bindings: policy.bindings ?? [] })).toBeUndefined()
  })

  test('a policy that has them is not replaced by one of version 1', () => {
    const existing = normalisePolicy(conditional('user:ann@example.com'), 'BwX=')
    const plain = bind(INVOKER, 'user:ann@example.com')
    expect(sentence({ ...plain, etag: 'BwX=', version: 1 }, { existing })).toStartWith(
      'Specified policy version (1) cannot be less than the existing policy version (3).',
    )
    expect(sentence({ ...plain, etag: 'BwX=', version: 3 }, { existing })).toBeUndefined()
    expect(sentence(plain, { existing })).toBeUndefined()
  })
})

describe('a policy as it is kept', () => {
  test('bindings of one role and condition are one, members in one spelling, empty bindings gone', () => {
    const policy: PolicyInput = {
      version: 3,
      bindings: [
        { role: INVOKER, members: ['user:Ann@Example.com', 'allUsers'] },
        { role: 'roles/run.viewer', members: [] },
        { role: INVOKER, members: ['user:ann@example.com'], condition: EXPIRY },
        { role: INVOKER, members: ['user:ann@example.com', 'user:bob@example.com'] },
      ],
    }
    expect(normalisePolicy(policy, 'BwX=')).toEqual({
      version: 3,
      etag: 'BwX=',
      bindings: [
        { role: INVOKER, members: ['user:ann@example.com', 'allUsers', 'user:bob@example.com'] },
        { role: INVOKER, members: ['user:ann@example.com'], condition: EXPIRY },
      ],
    })
  })

  test('is version 1 without conditions', () => {
    expect(normalisePolicy({ ...bind(INVOKER, 'allUsers'), version: 3 }, 'e').version).toBe(1)
  })

  test('stays as it is when kept again, and loses no one', () => {
    const binding: fc.Arbitrary<Binding> = fc.record(
      {
        role: fc.constantFrom(INVOKER, 'roles/run.viewer'),
        members: fc.array(fc.constantFrom('allUsers', 'user:a@b.c', 'user:A@b.c', 'nonsense', 'group:g@b.c')),
        condition: fc.constantFrom(EXPIRY, { ...EXPIRY, title: 'other' }),
      },
      { requiredKeys: ['role', 'members'] },
    )
    const grants = (bindings: readonly Binding[]) =>
      new Set(
        bindings.flatMap(({ role, members, condition }) =>
          members.map((member) => JSON.stringify([role, condition?.title, member.toLowerCase()])),
        ),
      )
    fc.assert(
      fc.property(fc.array(binding), (bindings) => {
        const once = normalisePolicy({ bindings }, 'e')
        expect(normalisePolicy(once, 'e')).toEqual(once)
        expect(grants(once.bindings)).toEqual(grants(bindings))
      }),
    )
  })
})
