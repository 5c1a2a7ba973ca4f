import { expect, test } from 'bun:test'
import { isError } from '../errors/errors.ts'
import { Google } from './google.ts'

interface Asked {
  readonly line: string
  readonly authorization: string | undefined
  readonly body: unknown
}

/** Google's APIs as these answers, one a request in their order, and what was asked for. */
function googleOf(...answers: readonly (readonly [status: number, body: unknown])[]) {
  const asked: Asked[] = []
  let tokens = 0
  const google = new Google({
    project: 'p',
    region: 'r',
    accessToken: async () => {
      tokens += 1
      return `token-${tokens}`
    },
    fetch: async (url, { method, headers, body }) => {
      const [status, answer] = answers[asked.length] ?? [500, {}]
      asked.push({
        line: `${method} ${url}`,
        authorization: headers?.authorization,
        body: body === undefined ? undefined : JSON.parse(body),
      })
      return Response.json(answer, { status })
    },
  })
  return { google, asked }
}

const POLICY = 'https://run.googleapis.com/v1/projects/p/locations/r/services/s'

test('a token that is no longer taken is had anew, once', async () => {
  const { google, asked } = googleOf([401, {}], [200, { name: 'it' }])
  expect(await google.call('GET', 'iam.googleapis.com', '/v1/x')).toEqual({ name: 'it' })
  expect(asked.map(({ authorization }) => authorization)).toEqual(['Bearer token-1', 'Bearer token-2'])
  const refusing = googleOf([401, {}], [401, { error: { message: 'no' } }])
  expect((await refusing.google.request('GET', 'iam.googleapis.com', '/v1/x')).status).toBe(401)
})

test("a refusal is Google's own sentence, with its status", async () => {
  const { google } = googleOf([403, { error: { message: 'Permission denied.' } }])
  const error = await google.call('GET', 'iam.googleapis.com', '/v1/x').catch((reason: unknown) => reason)
  expect(isError(error, 'ERR_GOOGLE') && [error.fault, error.status, error.message]).toEqual([
    'refusal',
    403,
    'GET iam.googleapis.com/v1/x answered 403: Permission denied.',
  ])
})

test('a role is given and taken back with the etag that was read, and conditional bindings stay', async () => {
  const conditional = {
    role: 'roles/run.invoker',
    members: ['user:a@x.com'],
    condition: { expression: 'true' },
  }
  const plain = { role: 'roles/run.invoker', members: ['user:a@x.com'] }
  const { google, asked } = googleOf(
    [200, { etag: 'AA==', bindings: [conditional] }],
    [200, {}],
    [200, { etag: 'AB==', bindings: [conditional, plain] }],
    [200, {}],
  )
  await google.grant('s', 'user:a@x.com', 'roles/run.invoker')
  await google.revoke('s', 'user:a@x.com', 'roles/run.invoker')
  expect(asked.map(({ line }) => line)).toEqual([
    `GET ${POLICY}:getIamPolicy?options.requestedPolicyVersion=3`,
    `POST ${POLICY}:setIamPolicy`,
    `GET ${POLICY}:getIamPolicy?options.requestedPolicyVersion=3`,
    `POST ${POLICY}:setIamPolicy`,
  ])
  expect(asked[1]?.body).toEqual({ policy: { etag: 'AA==', version: 3, bindings: [conditional, plain] } })
  expect(asked[3]?.body).toEqual({ policy: { etag: 'AB==', version: 3, bindings: [conditional] } })
})

test('a deployment keeps what the service has beside its template, waits until it serves, and says what went wrong', async () => {
  const service = (status: string) => ({
    metadata: { resourceVersion: '7' },
    spec: { traffic: [{ percent: 100 }], template: 'of before' },
    status: {
      url: 'https://s',
      latestReadyRevisionName: 's-2',
      conditions: [{ type: 'Ready', status, message: 'it does not listen' }],
    },
  })
  const { google, asked } = googleOf(
    [200, service('True')],
    [200, service('Unknown')],
    [200, service('True')],
  )
  expect(await google.deploy({ name: 's', image: 'i' })).toEqual({ url: 'https://s', revision: 's-2' })
  expect(asked[1]?.body).toMatchObject({
    metadata: { resourceVersion: '7' },
    spec: { traffic: [{ percent: 100 }], template: { spec: { containers: [{ image: 'i' }] } } },
  })
  const failing = googleOf([404, {}], [200, service('False')]).google
  await expect(failing.deploy({ name: 's', image: 'i' })).rejects.toThrow('it does not listen')
})
