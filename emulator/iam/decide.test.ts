import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { decide, type Question } from './decide.ts'
import type { Binding, Policy } from './policy.ts'
import { ANONYMOUS, type Principal } from './principal.ts'

const SERVICE = '//run.googleapis.com/projects/p/locations/us-central1/services/receiver'
const PROJECT = '//cloudresourcemanager.googleapis.com/projects/p'
const FOLDER = '//cloudresourcemanager.googleapis.com/folders/1'
const INVOKER = 'roles/run.invoker'
const POOL = 'projects/1/locations/global/workloadIdentityPools/github'

const CALLER: Principal = {
  kind: 'serviceAccount',
  email: 'calling@p.iam.gserviceaccount.com',
  uniqueId: '1',
}
const ME = 'serviceAccount:calling@p.iam.gserviceaccount.com'
const ANN: Principal = { kind: 'user', email: 'ann@example.com', uniqueId: '2' }
const WORKFLOW: Principal = {
  kind: 'federated',
  pool: POOL,
  subject: 'repo:o/r',
  groups: ['ops'],
  attributes: { repository: 'o/r' },
}

function policy(...bindings: readonly Binding[]): Policy {
  return { version: 3, etag: 'ACAB', bindings }
}

function invoker(...members: readonly string[]): Policy {
  return policy({ role: INVOKER, members })
}

function ask(service: Policy, rest: Partial<Question> = {}): Question {
  return {
    principal: CALLER,
    permission: 'run.routes.invoke',
    policies: [{ resource: SERVICE, policy: service }],
    groups: new Map(),
    domains: new Map(),
    now: Date.parse('2026-06-01T00:00:00Z'),
    ...rest,
  }
}

const allowed = (service: Policy, rest?: Partial<Question>) => decide(ask(service, rest)).allowed
const refusal = (service: Policy, rest?: Partial<Question>) => {
  const answer = decide(ask(service, rest))
  expect(answer.allowed).toBe(false)
  return answer.checks[0]
}

describe('facts 1.7: which members mean which callers', () => {
  test.each([
    ['allUsers', [ANONYMOUS, CALLER, ANN, WORKFLOW]],
    ['allAuthenticatedUsers', [CALLER, ANN]],
    [ME, [CALLER]],
    ['serviceAccount:Calling@P.iam.gserviceaccount.com', [CALLER]],
    ['user:calling@p.iam.gserviceaccount.com', []],
    ['serviceAccount:calling@q.iam.gserviceaccount.com', []],
    ['user:ann@example.com', [ANN]],
    ['group:staff@example.com', [ANN]],
    ['group:everyone@example.com', [CALLER, ANN]],
    ['group:loop@example.com', []],
    ['group:unheard-of@example.com', []],
    ['domain:example.com', [ANN]],
    ['domain:listed.example', [CALLER]],
    ['domain:ample.com', []],
    [`principal://iam.googleapis.com/${POOL}/subject/repo:o/r`, [WORKFLOW]],
    [`principal://iam.googleapis.com/${POOL}/subject/repo:o`, []],
    [`principalSet://iam.googleapis.com/${POOL}/group/ops`, [WORKFLOW]],
    [`principalSet://iam.googleapis.com/${POOL}/group/dev`, []],
    [`principalSet://iam.googleapis.com/${POOL}/attribute.repository/o/r`, [WORKFLOW]],
    [`principalSet://iam.googleapis.com/${POOL}/attribute.toString/o/r`, []],
    [`principalSet://iam.googleapis.com/${POOL}/*`, [WORKFLOW]],
    [`principalSet://iam.googleapis.com/${POOL}x/*`, []],
    ['deleted:serviceAccount:calling@p.iam.gserviceaccount.com?uid=1', []],
    ['deleted:user:ann@example.com?uid=2', []],
    ['calling@p.iam.gserviceaccount.com', []],
  ] as const)('%s', (member, expected) => {
    const directory = {
      groups: new Map([
        ['staff@example.com', ['user:Ann@example.com', 'group:loop@example.com']],
        ['Everyone@example.com', [ME, 'group:staff@example.com', 'group:everyone@example.com']],
        ['loop@example.com', ['group:loop2@example.com']],
        ['loop2@example.com', ['group:loop@example.com']],
      ]),
      domains: new Map([['listed.example', ['calling@p.iam.gserviceaccount.com']]]),
    }
    const who = [ANONYMOUS, CALLER, ANN, WORKFLOW].filter((principal) =>
      allowed(invoker(member), { principal, ...directory }),
    )
    expect(who).toEqual([...expected])
  })

  test('nobody without a credential is in a group or a domain, whatever it lists', () => {
    const groups = new Map([['open@example.com', ['allUsers']]])
    const domains = new Map([['open.example', ['allUsers']]])
    const rest = { principal: ANONYMOUS, groups, domains }
    expect(allowed(invoker('group:open@example.com', 'domain:open.example'), rest)).toBe(false)
  })

  test('projectViewer means whoever is viewer of the project', () => {
    const service = { resource: SERVICE, policy: invoker('projectViewer:p') }
    const project = { resource: PROJECT, policy: policy({ role: 'roles/viewer', members: [ME] }) }
    expect(allowed(invoker(), { policies: [service, project] })).toBe(true)
    expect(allowed(invoker(), { policies: [service, project], principal: ANN })).toBe(false)
    expect(allowed(invoker(), { policies: [service] })).toBe(false)
  })
})

describe('facts 1.7: policies of everything above count together', () => {
  const policies = [
    { resource: SERVICE, policy: policy() },
    { resource: PROJECT, policy: policy({ role: 'roles/viewer', members: [ME] }) },
    { resource: FOLDER, policy: policy({ role: 'roles/editor', members: [ME] }) },
  ]

  test('one binding that grants is enough, and is the one told', () => {
    const answer = decide(ask(policy(), { policies }))
    expect(answer).toEqual({
      allowed: true,
      binding: { resource: FOLDER, role: 'roles/editor', member: ME },
      checks: [
        {
          name: 'binding',
          passed: true,
          expected: `run.routes.invoke for ${ME}`,
          actual: `roles/editor on folders/1 for ${ME}`,
        },
      ],
    })
  })

  test('without it there is none', () => {
    expect(allowed(policy(), { policies: policies.slice(0, 2) })).toBe(false)
    expect(allowed(policy(), { policies: [] })).toBe(false)
  })

  test('a policy that replaces another is read anew', () => {
    expect(allowed(invoker())).toBe(false)
    expect(allowed(invoker(ME))).toBe(true)
    expect(allowed(invoker())).toBe(false)
  })
})

test('the most particular member is told', () => {
  const answer = decide(ask(invoker('allUsers', 'allAuthenticatedUsers', ME)))
  expect(answer.binding?.member).toBe(ME)
})

describe('custom roles', () => {
  const role = 'projects/p/roles/caller'
  const service = policy({ role, members: [ME] })
  const roles = new Map([[role, { title: 'Caller', permissions: new Set(['run.routes.invoke']) }]])

  test('grant what their definition says', () => {
    expect(allowed(service, { roles })).toBe(true)
    expect(allowed(service, { roles, permission: 'run.jobs.run' })).toBe(false)
    expect(allowed(service)).toBe(false)
  })

  test('with a definition that changes', () => {
    const changing = new Map(roles)
    expect(allowed(service, { roles: changing })).toBe(true)
    changing.set(role, { title: 'Caller', permissions: new Set() })
    expect(allowed(service, { roles: changing })).toBe(false)
  })

  test('cannot stand in for a predefined one', () => {
    const forged = new Map([['roles/run.viewer', { title: '', permissions: new Set(['run.routes.invoke']) }]])
    expect(allowed(policy({ role: 'roles/run.viewer', members: [ME] }), { roles: forged })).toBe(false)
  })
})

describe('facts 6.7: conditions', () => {
  const expression = 'request.time < timestamp("2027-01-01T00:00:00Z")'
  const service = policy({ role: INVOKER, members: [ME], condition: { title: 'this year', expression } })

  test('grant while they hold', () => {
    const answer = decide(ask(service))
    expect(answer.binding).toEqual({ resource: SERVICE, role: INVOKER, member: ME, condition: expression })
    expect(allowed(service, { now: Date.parse('2027-01-01T00:00:00Z') })).toBe(false)
  })

  test('refuse with what did not hold', () => {
    const answer = decide(ask(service, { now: Date.parse('2027-01-01T00:00:00Z') }))
    const trouble = `the condition this year on ${INVOKER} is not met at 2027-01-01T00:00:00.000Z: ${expression}`
    expect(answer.checks.map(({ actual }) => actual)).toEqual([
      `no binding on service receiver; ${trouble}`,
      trouble,
    ])
  })

  test('on resource attributes are an error, said in the check', () => {
    const named = policy({
      role: INVOKER,
      members: [ME],
      condition: { title: 'one', expression: 'resource.name.endsWith("receiver")' },
    })
    expect(refusal(named)?.actual).toContain('resource.name is not recognised for Cloud Run')
  })

  test('an unconditional binding is preferred', () => {
    const both = policy(...service.bindings, { role: INVOKER, members: ['allUsers'] })
    expect(decide(ask(both)).binding?.member).toBe('allUsers')
  })
})

describe('a refusal explains itself', () => {
  test('with the command that would grant', () => {
    expect(refusal(policy())).toEqual({
      name: 'binding',
      passed: false,
      expected: `run.routes.invoke for ${ME}`,
      actual: 'no binding on service receiver',
      mend: `gcloud run services add-iam-policy-binding receiver --region=us-central1 --member=${ME} --role=roles/run.invoker`,
    })
  })

  test('for whatever carries the policy', () => {
    const account = 'target@p.iam.gserviceaccount.com'
    const resource = `//iam.googleapis.com/projects/p/serviceAccounts/${account}`
    const permission = 'iam.serviceAccounts.getAccessToken'
    expect(refusal(policy(), { permission, policies: [{ resource, policy: policy() }] })?.mend).toBe(
      `gcloud iam service-accounts add-iam-policy-binding ${account} --member=${ME} --role=roles/iam.serviceAccountTokenCreator`,
    )
    const policies = [{ resource: PROJECT, policy: policy() }]
    expect(refusal(policy(), { permission: 'run.services.create', policies })?.mend).toBe(
      `gcloud projects add-iam-policy-binding p --member=${ME} --role=roles/run.developer`,
    )
    expect(refusal(policy(), { permission: 'no.such.thing', policies })?.mend).toBeUndefined()
  })

  test('a subject is quoted for the shell', () => {
    const principal: Principal = {
      kind: 'federated',
      pool: POOL,
      subject: "it's $(me)",
      groups: [],
      attributes: {},
    }
    expect(refusal(policy(), { principal })?.mend).toContain(
      `--member='principal://iam.googleapis.com/${POOL}/subject/it'\\''s $(me)' --role`,
    )
  })

  test('nobody is told about everyone', () => {
    expect(refusal(policy(), { principal: ANONYMOUS })?.mend).toContain(
      '--member=allUsers --role=roles/run.invoker',
    )
  })

  test.each([
    [
      { role: 'roles/run.viewer', members: [ME] },
      'has roles/run.viewer on service receiver, which does not include',
    ],
    [{ role: 'roles/cloudfunctions.invoker', members: [ME] }, 'which does not include run.routes.invoke'],
    [{ role: 'projects/p/roles/gone', members: [ME] }, 'a role that is not known here'],
    [{ role: INVOKER, members: [`deleted:${ME}?uid=9`] }, 'a deleted account of the same email'],
    [{ role: INVOKER, members: ['serviceAccount:calling@q.iam.gserviceaccount.com'] }, 'of another project'],
    [{ role: INVOKER, members: ['user:calling@p.iam.gserviceaccount.com'] }, `but the caller is ${ME}`],
    [{ role: INVOKER, members: ['group:staff@example.com'] }, 'a group whose members are not known here'],
    [{ role: INVOKER, members: ['calling@p.iam.gserviceaccount.com'] }, 'which is not a member'],
  ] as const)('with what came near: %p', (binding, expected) => {
    expect(refusal(policy(binding))?.actual).toContain(expected)
  })

  test('to federated identities too', () => {
    const principal = WORKFLOW
    expect(refusal(invoker('allAuthenticatedUsers'), { principal })?.actual).toContain(
      'does not include federated identities',
    )
    const other = `principal://iam.googleapis.com/${POOL}/subject/repo:O/r`
    expect(refusal(invoker(other), { principal })?.actual).toContain('differs in case')
  })

  test('the nearest misses first, three at most, and every binding looked at after', () => {
    const answer = decide(
      ask(
        policy(
          { role: 'roles/run.viewer', members: [ME] },
          { role: INVOKER, members: ['group:a@b.c', 'group:d@b.c', 'user:x@y.z', 'user:w@y.z'] },
          { role: INVOKER, members: [ME], condition: { title: 'never', expression: 'false' } },
        ),
      ),
    )
    const [summary, ...looked] = answer.checks
    expect(summary?.actual).toMatch(
      /^no binding on service receiver; the condition never .*; .*group:a@b.c.*; .*group:d@b.c/,
    )
    expect(summary?.actual).not.toContain('roles/run.viewer')
    expect(looked.map(({ actual }) => actual)).toEqual([
      'it is for group:a@b.c, group:d@b.c, user:x@y.z and 1 more',
      `the condition never on ${INVOKER} is not met at 2026-06-01T00:00:00.000Z: false`,
    ])
  })
})

test('it allows exactly what a plain reading of the policies allows', () => {
  const groups = new Map([
    ['g1@example.com', ['group:g2@example.com']],
    ['g2@example.com', [ME, 'group:g1@example.com']],
    ['g3@example.com', ['user:ann@example.com']],
  ])
  // Who each member means, worked out by hand.
  const meaning: Readonly<Record<string, readonly Principal[]>> = {
    allUsers: [ANONYMOUS, CALLER, ANN, WORKFLOW],
    allAuthenticatedUsers: [CALLER, ANN],
    [ME]: [CALLER],
    'user:ann@example.com': [ANN],
    'domain:example.com': [ANN],
    'group:g1@example.com': [CALLER],
    'group:g3@example.com': [ANN],
    'group:g4@example.com': [],
    [`deleted:${ME}?uid=1`]: [],
    [`principalSet://iam.googleapis.com/${POOL}/*`]: [WORKFLOW],
  }
  const grants = new Map([
    [INVOKER, true],
    ['roles/editor', true],
    ['roles/viewer', false],
    ['projects/p/roles/yes', true],
    ['projects/p/roles/no', false],
  ])
  const roles = new Map([
    ['projects/p/roles/yes', { title: '', permissions: new Set(['run.routes.invoke']) }],
    ['projects/p/roles/no', { title: '', permissions: new Set(['run.jobs.run']) }],
  ])
  const binding = fc.record({
    role: fc.constantFrom(...grants.keys()),
    members: fc.array(fc.constantFrom(...Object.keys(meaning)), { maxLength: 3 }),
    expression: fc.constantFrom('true', 'false', 'resource.name == ""', undefined, undefined),
  })
  const anyPolicy = fc.array(binding, { maxLength: 3 })
  const principal = fc.constantFrom<Principal>(ANONYMOUS, CALLER, ANN, WORKFLOW)
  fc.assert(
    fc.property(principal, anyPolicy, anyPolicy, (who, ...layers) => {
      const policies = layers.map((bindings, at) => ({
        resource: at === 0 ? SERVICE : PROJECT,
        policy: policy(
          ...bindings.map(({ role, members, expression }) => ({
            role,
            members,
            ...(expression !== undefined && { condition: { title: 't', expression } }),
          })),
        ),
      }))
      const plain = layers
        .flat()
        .some(
          ({ role, members, expression = 'true' }) =>
            grants.get(role) &&
            expression === 'true' &&
            members.some((member) => meaning[member]?.includes(who)),
        )
      const answer = decide(ask(policy(), { principal: who, policies, groups, roles }))
      expect(answer.allowed).toBe(plain)
      expect(answer.checks[0]?.passed).toBe(plain)
      expect(answer.checks.every(({ passed }) => passed === plain)).toBe(true)
      expect(answer.binding !== undefined).toBe(plain)
    }),
    { numRuns: 500 },
  )
})
