import { describe, expect, test } from 'bun:test'
import { type FederationRules, federate, federationTrouble } from './federation.ts'

const rules = (attributeMapping: Record<string, string>, attributeCondition = ''): FederationRules => ({
  attributeMapping,
  attributeCondition,
})
const ASSERTION = {
  sub: 'repo:acme/shop:ref:refs/heads/main',
  repository: 'acme/shop',
  roles: ['admin', 'dev'],
  number: 7,
  nested: { deep: 'yes' },
}
const map = (expression: string, assertion: Record<string, unknown> = ASSERTION) =>
  federate(rules({ 'google.subject': expression }), assertion).identity.subject

describe('attribute mapping: CEL over the assertion', () => {
  test.each([
    ['assertion.sub', ASSERTION.sub],
    ["'gh:' + assertion.repository", 'gh:acme/shop'],
    ["assertion.sub.extract('repo:{repo}:ref')", 'acme/shop'],
    ["assertion.sub.extract('refs/heads/{branch}')", 'main'],
    ["assertion.repository.split('/')[1]", 'shop'],
    ["'email' in assertion ? assertion.email : assertion.repository", 'acme/shop'],
    ["has(assertion.email) ? 'a' : 'b'", 'b'],
    ['assertion.nested.deep', 'yes'],
    ['assertion.number', '7'],
  ])('%s is %s', (expression, subject) => {
    expect(map(expression)).toBe(subject)
  })

  test.each(['assertion.email', "assertion.sub.extract('none/{x}')", 'assertion.roles', 'null'])(
    '%s gives no subject',
    (expression) => {
      expect(map(expression)).toBeUndefined()
    },
  )

  test('groups and attributes; one that cannot be had is left out, the others stay', () => {
    const { identity } = federate(
      rules({
        'google.subject': 'assertion.sub',
        'google.groups': 'assertion.roles',
        'attribute.repository': 'assertion.repository',
        'attribute.environment': 'assertion.environment',
      }),
      ASSERTION,
    )
    expect(identity).toEqual({
      subject: ASSERTION.sub,
      groups: ['admin', 'dev'],
      attributes: { repository: 'acme/shop' },
    })
  })

  test('a claim named like a member of every object is just a claim', () => {
    expect(map('assertion.constructor')).toBeUndefined()
    expect(map('assertion.__proto__', JSON.parse('{"__proto__":"x"}'))).toBe('x')
  })
})

describe('attribute condition', () => {
  const taken = (condition: string) =>
    federate(
      rules(
        {
          'google.subject': 'assertion.sub',
          'google.groups': 'assertion.roles',
          'attribute.repo': 'assertion.repository',
        },
        condition,
      ),
      ASSERTION,
    ).taken

  test.each([
    '',
    "assertion.repository == 'acme/shop'",
    "attribute.repo.startsWith('acme/')",
    "'admin' in google.groups && google.subject.endsWith('/main')",
  ])('%j takes the identity', (condition) => {
    expect(taken(condition)).toBe(true)
  })

  test.each(["assertion.repository == 'other'", 'assertion.email == "a"', "'yes'", 'unknown', '1'])(
    '%j takes nobody',
    (condition) => {
      expect(taken(condition)).toBe(false)
    },
  )
})

test('rules that cannot work are named', () => {
  expect(federationTrouble(rules({ 'google.subject': 'assertion.sub' }))).toBeUndefined()
  expect(federationTrouble(rules({ 'attribute.a': 'assertion.sub' }))).toContain('google.subject')
  expect(federationTrouble(rules({ 'google.subject': 'assertion.sub', 'attribute.A': 'x' }))).toContain(
    'attribute.A',
  )
  expect(federationTrouble(rules({ 'google.subject': 'assertion.' }))).toContain('google.subject')
  expect(federationTrouble(rules({ 'google.subject': 'assertion.sub' }, '=='))).toContain('condition')
})
