import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { formatMember, type LiveMember, type Member, parseMember } from './members.ts'

const POOL = 'projects/123/locations/global/workloadIdentityPools/github'
const IAM = `//iam.googleapis.com/${POOL}`

const KINDS: readonly (readonly [string, Member])[] = [
  ['allUsers', { kind: 'allUsers' }],
  ['allAuthenticatedUsers', { kind: 'allAuthenticatedUsers' }],
  ['user:ann@example.com', { kind: 'user', email: 'ann@example.com' }],
  ['group:staff@example.com', { kind: 'group', email: 'staff@example.com' }],
  [
    'serviceAccount:a@p.iam.gserviceaccount.com',
    { kind: 'serviceAccount', email: 'a@p.iam.gserviceaccount.com' },
  ],
  ['serviceAccount:p.svc.id.goog[ns/ksa]', { kind: 'serviceAccount', email: 'p.svc.id.goog[ns/ksa]' }],
  ['domain:example.com', { kind: 'domain', domain: 'example.com' }],
  ['projectOwner:p', { kind: 'projectOwner', project: 'p' }],
  ['projectEditor:example.com:p', { kind: 'projectEditor', project: 'example.com:p' }],
  ['projectViewer:p', { kind: 'projectViewer', project: 'p' }],
  [`principal:${IAM}/subject/repo:o/r`, { kind: 'principal', pool: POOL, subject: 'repo:o/r' }],
  [
    'principal://iam.googleapis.com/locations/global/workforcePools/w/subject/ann',
    { kind: 'principal', pool: 'locations/global/workforcePools/w', subject: 'ann' },
  ],
  [`principalSet:${IAM}/group/ops`, { kind: 'principalSet', pool: POOL, set: { by: 'group', group: 'ops' } }],
  [
    `principalSet:${IAM}/attribute.repository/o/r`,
    { kind: 'principalSet', pool: POOL, set: { by: 'attribute', name: 'repository', value: 'o/r' } },
  ],
  [`principalSet:${IAM}/*`, { kind: 'principalSet', pool: POOL, set: { by: 'pool' } }],
  ['deleted:user:a@b.c?uid=1', { kind: 'deleted', of: { kind: 'user', email: 'a@b.c' }, uid: '1' }],
  ['deleted:group:a@b.c?uid=1', { kind: 'deleted', of: { kind: 'group', email: 'a@b.c' }, uid: '1' }],
  [
    'deleted:serviceAccount:a@p.iam.gserviceaccount.com?uid=123',
    { kind: 'deleted', of: { kind: 'serviceAccount', email: 'a@p.iam.gserviceaccount.com' }, uid: '123' },
  ],
  [
    `deleted:principal:${IAM}/subject/s`,
    { kind: 'deleted', of: { kind: 'principal', pool: POOL, subject: 's' } },
  ],
  [
    `deleted:principalSet:${IAM}/group/g?uid=7`,
    { kind: 'deleted', of: { kind: 'principalSet', pool: POOL, set: { by: 'group', group: 'g' } }, uid: '7' },
  ],
]

describe('facts 1.7: every kind of member is read, and written as it was', () => {
  test.each(KINDS)('%s', (text, member) => {
    expect(parseMember(text)).toEqual({ ok: true, member })
    expect(formatMember(member)).toBe(text)
  })
})

const BAD = [
  ['', 'no-prefix'],
  ['ann@example.com', 'no-prefix'],
  ['allusers', 'no-prefix'],
  ['User:ann@example.com', 'unknown-prefix'],
  ['allUsers:', 'unknown-prefix'],
  ['user:', 'bad-email'],
  ['user:ann', 'bad-email'],
  ['user:ann@example.com?uid=1', 'bad-email'],
  ['group:a b@example.com', 'bad-email'],
  ['serviceAccount:a@b@c', 'bad-email'],
  ['domain:example', 'bad-domain'],
  ['domain:a@b.c', 'bad-domain'],
  ['projectOwner:', 'bad-project'],
  ['principal://iam.googleapis.com/', 'bad-principal'],
  [`principal:${IAM}/subject/`, 'bad-principal'],
  [`principal:${IAM}/*`, 'bad-principal'],
  [`principalSet:${IAM}/subject/s`, 'bad-principal'],
  [`principalSet:${IAM}/attribute.x`, 'bad-principal'],
  ['principalSet://iam.googleapis.com/pool/attribute.x/y', 'bad-principal'],
  ['deleted:serviceAccount:a@b.c', 'bad-deleted'],
  ['deleted:domain:b.c?uid=1', 'bad-deleted'],
  ['deleted:deleted:user:a@b.c?uid=1?uid=2', 'bad-deleted'],
] as const

describe('what is no member is refused with its reason', () => {
  test.each(BAD)('%p is %s', (text, code) => {
    expect(parseMember(text)).toMatchObject({ ok: false, refusal: { code } })
  })
})

test('emails and domains are read in lower case; federated identities keep their case', () => {
  expect(parseMember('user:Ann@Example.COM')).toEqual(parseMember('user:ann@example.com'))
  expect(parseMember('domain:Example.COM')).toEqual(parseMember('domain:example.com'))
  expect(parseMember(`principal:${IAM}/subject/Ann`)).not.toEqual(parseMember(`principal:${IAM}/subject/ann`))
})

test('no string makes the reader throw', () => {
  const prefix = fc.constantFrom(
    '',
    'user:',
    'deleted:',
    'deleted:user:',
    'principal:',
    'principalSet:',
    'domain:',
  )
  fc.assert(
    fc.property(prefix, fc.string({ unit: 'binary' }), (start, rest) => {
      expect(typeof parseMember(start + rest).ok).toBe('boolean')
    }),
  )
})

test('writing a member and reading it gives the same member', () => {
  const word = fc.stringMatching(/^[a-z0-9-]{1,12}$/)
  const email = fc.tuple(word, word).map(([name, host]) => `${name}@${host}.com`)
  const free = fc.string({ minLength: 1 })
  const account = fc.record({ kind: fc.constantFrom('user', 'group', 'serviceAccount'), email })
  const pool = word.map((id) => `projects/1/locations/global/workloadIdentityPools/${id}`)
  const federated = fc.record({ kind: fc.constant('principal'), pool, subject: free })
  const set = fc.oneof(
    fc.constant({ by: 'pool' } as const),
    fc.record({ by: fc.constant('group'), group: free }),
    fc.record({ by: fc.constant('attribute'), name: word, value: free }),
  )
  const federatedSet = fc.record({ kind: fc.constant('principalSet'), pool, set })
  const live: fc.Arbitrary<LiveMember> = fc.oneof(
    account,
    federated,
    federatedSet,
    word.map((name) => ({ kind: 'domain', domain: `${name}.com` }) as const),
    fc.record({ kind: fc.constantFrom('projectOwner', 'projectEditor', 'projectViewer'), project: word }),
  )
  const member: fc.Arbitrary<Member> = fc.oneof(
    live,
    fc.record({ kind: fc.constant('deleted'), of: account, uid: fc.stringMatching(/^[0-9]{1,21}$/) }),
  )
  fc.assert(
    fc.property(member, (each) => {
      expect(parseMember(formatMember(each))).toEqual({ ok: true, member: each })
    }),
  )
})
