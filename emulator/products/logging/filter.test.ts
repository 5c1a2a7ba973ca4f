import { expect, test } from 'bun:test'
import { ApiError } from '../../rest/errors.ts'
import { logFilter } from './filter.ts'

const entry = {
  severity: 'WARNING',
  textPayload: 'The request was not authenticated',
  resource: { type: 'cloud_run_revision', labels: { service_name: 'billing' } },
  httpRequest: { status: 403 },
}

test.each([
  ['', true],
  ['severity>=INFO', true],
  ['severity=INFO OR severity=WARNING', true],
  ['NOT severity=WARNING', false],
  ['-severity=WARNING', false],
  ['NOT severity=ERROR AND httpRequest.status=403', true],
  ['resource.labels.service_name="orders" OR "billing"', true],
  // OR binds closer than AND: (a OR b) AND c.
  ['severity=WARNING OR severity=ERROR AND httpRequest.status=200', false],
  ['severity=WARNING OR (severity=ERROR AND httpRequest.status=200)', true],
  ['resource.labels.service_name=("orders" OR "billing")', true],
  ['resource.labels.service_name=(NOT "billing")', false],
  ['severity=("ERROR" OR "INFO")', false],
  ['authenticated', true],
  ['"not authenticated" -orders', true],
  ['httpRequest.status>=400 httpRequest.status<500', true],
  ['-- only refusals\nhttpRequest.status=403', true],
  ['textPayload=~"auth.*ted$" AND NOT (severity=ERROR OR severity=INFO)', true],
])('%p: %p', (filter, expected) => {
  expect(logFilter(filter)(entry)).toBe(expected)
})

test.each([
  'severity=',
  '(severity=INFO',
  'severity=INFO)',
  'AND severity=INFO',
  'a OR',
  'SEARCH("x")',
  '=x',
])('%p is refused, not ignored', (filter) => {
  expect(() => logFilter(filter)).toThrow(ApiError)
})
