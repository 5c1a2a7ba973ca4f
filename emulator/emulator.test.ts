import { Database } from 'bun:sqlite'
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose'
import {
  type Answer,
  callApi,
  computeToken,
  LOCATED,
  manifest,
  SERVICES,
  signIn,
  visit,
} from './emulator.fixture.ts'
import { type Emulator, type EmulatorOptions, startEmulator } from './emulator.ts'

setDefaultTimeout(20_000)

const WEEK = 7 * 24 * 3_600_000
const started = new Set<Emulator>()
afterEach(async () => {
  await Promise.all([...started].map((emulator) => emulator.close()))
  started.clear()
})

/** A container that someone else runs: it answers with what it was sent. */
const upstream = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: ({ url, headers }) =>
    Response.json({
      path: new URL(url).pathname,
      host: headers.get('host'),
      authorization: headers.get('authorization'),
    }),
})
afterAll(() => upstream.stop(true))

async function start(config: Parameters<typeof startEmulator>[0] = {}, options: EmulatorOptions = {}) {
  const emulator = await startEmulator({ port: 0, ...config }, options)
  started.add(emulator)
  const { accessToken, idToken } = await signIn(emulator.url)
  const call = (method: string, path: string, body?: object): Promise<Answer> =>
    callApi(emulator.url, accessToken, method, path, body)
  return { ...emulator, accessToken, idToken, call }
}

test('a start that fails leaves nothing behind: its data folder can be used at once', async () => {
  const data = mkdtempSync(join(tmpdir(), 'invoker-emulator-'))
  try {
    const objects = join(data, 'objects')
    writeFileSync(objects, '')
    await expect(start({ data })).rejects.toThrow('objects')
    rmSync(objects)
    const taken = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() })
    await expect(start({ data, port: Number(taken.port) })).rejects.toThrow('is taken')
    await taken.stop()
    expect((await fetch(`${(await start({ data })).url}/_emulator/health`)).status).toBe(200)
  } finally {
    await Promise.all([...started].map((emulator) => emulator.close()))
    rmSync(data, { recursive: true, force: true })
  }
})

describe('where it listens', () => {
  test('on loopback alone, unless told otherwise', async () => {
    const outside = Object.values(networkInterfaces())
      .flat()
      .find((address) => address?.family === 'IPv4' && !address.internal)?.address
    const narrow = await start()
    expect(new URL(narrow.url).hostname).toBe('127.0.0.1')
    const wide = await start({ host: '0.0.0.0' })
    if (!outside)
      return console.log('SKIPPED: loopback against the network: this machine has no other address')
    const at = (url: string) => fetch(`http://${outside}:${new URL(url).port}/_emulator/health`)
    expect((await at(wide.url)).status).toBe(200)
    await expect(at(narrow.url)).rejects.toThrow()
  })

  test('a published port stands for its service, whatever host is named, and guards it as well', async () => {
    const { published, url, call } = await start({
      upstream: { api: upstream.url.href },
      publish: { 0: 'api' },
    })
    const at = published.api ?? ''
    expect((await fetch(at)).status).toBe(404) // nothing is deployed
    await call('POST', SERVICES, manifest('api'))
    expect((await fetch(at)).status).toBe(403)
    const authorization = `Bearer ${await computeToken(url, 'api')}`
    expect((await fetch(`${at}/a`, { headers: { authorization } })).status).toBe(200)
    const other = await fetch(`${at}/a`, { headers: { authorization, host: 'metadata.google.internal' } })
    expect(await other.json()).toMatchObject({ path: '/a' })
  })

  test('a port that is taken is an error, and leaves nothing open', async () => {
    const { url } = await start()
    await expect(startEmulator({ port: Number(new URL(url).port) })).rejects.toMatchObject({
      code: 'ERR_LISTEN',
      cause: { code: 'EADDRINUSE' },
    })
  })

  test('closed, it listens no more', async () => {
    const emulator = await startEmulator({ port: 0, publish: { 0: 'api' } })
    await emulator.close()
    for (const url of [emulator.url, emulator.published.api ?? '']) await expect(fetch(url)).rejects.toThrow()
  })
})

describe('a service that someone else runs', () => {
  let emulator: Awaited<ReturnType<typeof start>>
  beforeAll(async () => {
    emulator = await start({ upstream: { api: upstream.url.href, gone: 'http://127.0.0.1:9' } })
    started.clear() // it stays for all of these
    const kept = await emulator.call('POST', SERVICES, manifest('api'))
    expect(kept.body.status.url).toBe('http://api-123456789012.us-central1.run.app')
  })
  afterAll(() => emulator.close())

  test('facts 1.1: without a token 403, with one of an account that may 200, with one for another service 401', async () => {
    const { url } = emulator
    expect((await visit(url, 'api')).status).toBe(403)
    expect((await visit(url, 'api', await computeToken(url, 'api'))).status).toBe(200)
    expect((await visit(url, 'api', await computeToken(url, 'other'))).status).toBe(401)
    expect((await visit(url, 'api', emulator.accessToken)).status).toBe(401)
  })

  test("facts 1.6: the owner's own token, whose audience is gcloud, gets in too", async () => {
    expect(decodeJwt(emulator.idToken).aud).toBe('32555940559.apps.googleusercontent.com')
    expect((await visit(emulator.url, 'api', emulator.idToken)).status).toBe(200)
  })

  test('facts 1.5, 7.2: it sees its own host, and the token as it was sent', async () => {
    const token = await computeToken(emulator.url, 'api')
    const { body } = await visit(emulator.url, 'api', token)
    expect(JSON.parse(body)).toEqual({
      path: '/',
      host: 'api-123456789012.us-central1.run.app',
      authorization: `Bearer ${token}`,
    })
  })

  test('facts 1.5: open to everyone, it sees whatever was sent, and closed again nothing gets through', async () => {
    const { call, url } = emulator
    const policy = (members: string[]) =>
      call('POST', `${LOCATED}/api:setIamPolicy`, {
        policy: { bindings: [{ role: 'roles/run.invoker', members }] },
      })
    await policy(['allUsers'])
    expect(JSON.parse((await visit(url, 'api', 'garbage')).body).authorization).toBe('Bearer garbage')
    await policy([])
    expect((await visit(url, 'api', 'garbage')).status).toBe(401)
  })

  test('facts 1.2, 1.4: one that cannot be reached is 503, and the decision says where it was sought', async () => {
    const { call, url, state } = emulator
    expect((await call('POST', SERVICES, manifest('gone'))).status).toBe(200)
    expect((await visit(url, 'gone', await computeToken(url, 'gone'))).status).toBe(503)
    expect(state.decisions.list().at(-1)).toMatchObject({ service: 'gone', status: 503, allowed: false })
    expect(state.decisions.list().at(-1)?.checks.at(-1)?.actual).toContain('127.0.0.1:9')
  })
})

test('facts 7.1: an audience with a path, what Pub/Sub and Cloud Tasks send by default, passes unless that is switched off', async () => {
  for (const [audiencePath, status] of [
    [undefined, 200],
    ['accept', 200],
    ['refuse', 401],
  ] as const) {
    const config = { upstream: { api: upstream.url.href }, ...(audiencePath && { audiencePath }) }
    const { call, url } = await start(config)
    await call('POST', SERVICES, manifest('api'))
    const audience = 'http://api-123456789012.us-central1.run.app/push'
    const identity = '/computeMetadata/v1/instance/service-accounts/default/identity'
    const token = await fetch(`${url}${identity}?audience=${audience}`, {
      headers: { 'Metadata-Flavor': 'Google' },
    })
    expect([audiencePath, (await visit(url, 'api', await token.text())).status]).toEqual([
      audiencePath,
      status,
    ])
  }
})

test('a service that nobody runs is deployed and not ready, in the words of Cloud Run', async () => {
  const { call, url } = await start()
  const { body } = await call('POST', SERVICES, manifest('nowhere', { image: 'gcr.io/demo-project/nothing' }))
  expect(body.status.conditions).toContainEqual(
    expect.objectContaining({
      type: 'Ready',
      status: 'False',
      message: expect.stringContaining("Image 'gcr.io/demo-project/nothing' not found."),
    }),
  )
  expect((await visit(url, 'nowhere', await computeToken(url, 'nowhere'))).status).toBe(503)
})

describe('an instance', () => {
  /** A container that asks its metadata server what it is told to ask. */
  const ASKER = `exec '${process.execPath}' -e 'Bun.serve({ port: process.env.PORT, async fetch(request) {
    const { path, host } = Object.fromEntries(new URL(request.url).searchParams)
    const headers = { "Metadata-Flavor": "Google", ...(host && { host }) }
    const answer = await fetch("http://" + process.env.GCE_METADATA_HOST + path, { headers })
    return new Response(await answer.text(), { status: answer.status })
  } })'`
  const EMAIL = '/computeMetadata/v1/instance/service-accounts/default/email'

  async function ask(url: string, service: string, path: string, host = ''): Promise<[number, string]> {
    const target = `http://${service}-123456789012.us-central1.run.app/?${new URLSearchParams({ path, host })}`
    const authorization = `Bearer ${await computeToken(url, service)}`
    const response = await fetch(target, { proxy: url, headers: { authorization } })
    return [response.status, await response.text()]
  }

  test('gets the identity of its own revision, whatever name it asks by', async () => {
    const { call, url } = await start({ image: { asker: ASKER } })
    const { body: account } = await call('POST', '/v1/projects/demo-project/serviceAccounts', {
      accountId: 'calling-service-sa',
    })
    const own = manifest('own', { image: 'asker' })
    Object.assign(own.spec.template.spec, { serviceAccountName: account.email })
    await Promise.all([
      call('POST', SERVICES, own),
      call('POST', SERVICES, manifest('other', { image: 'asker' })),
    ])

    expect(await ask(url, 'own', EMAIL)).toEqual([200, account.email])
    expect(await ask(url, 'own', EMAIL, 'own.metadata.google.internal')).toEqual([200, account.email])
    expect(await ask(url, 'other', EMAIL)).toEqual([
      200,
      '123456789012-compute@developer.gserviceaccount.com',
    ])
    const [status, line] = await ask(url, 'other', EMAIL, 'own.metadata.google.internal')
    expect(status).toBe(403)
    expect(line).toContain('an identity cannot be asked for')
  })
})

describe('tokens', () => {
  test('keys rotate while it runs: tokens of before stay good, and the set holds the keys of both', async () => {
    let now = Date.parse('2026-06-01T12:00:00Z')
    const due: (() => void)[] = []
    const tick = () => {
      for (const work of due) work()
    }
    const { url, call, state } = await start(
      { upstream: { api: upstream.url.href } },
      {
        clock: () => now,
        repeat: (work, interval) => {
          expect(interval).toBeLessThanOrEqual(60_000)
          due.push(work)
          return () => {}
        },
      },
    )
    await call('POST', SERVICES, manifest('api'))

    const rotated = () =>
      new Promise<void>((resolve) => {
        const stop = state.store.onChange(() => {
          if (state.keys.due(now)) return
          stop()
          resolve()
        })
      })

    now += WEEK - 60_000
    const earlier = await computeToken(url, 'api')
    tick()
    expect(decodeProtectedHeader(await computeToken(url, 'api')).kid).toBe(decodeProtectedHeader(earlier).kid)

    now += 60_000
    const rotation = rotated()
    tick()
    await rotation
    // Another audience: a token of before is handed out as long as it is good.
    const later = await computeToken(url, 'other')
    expect(decodeProtectedHeader(later).kid).not.toBe(decodeProtectedHeader(earlier).kid)
    const keys = (await (await fetch(`${url}/oauth2/v3/certs`)).json()) as JSONWebKeySet
    expect(keys.keys).toHaveLength(2)
    for (const token of [earlier, later]) {
      await jwtVerify(token, createLocalJWKSet(keys), { currentDate: new Date(now) })
    }
    expect((await visit(url, 'api', earlier)).status).toBe(200)

    now += 3_600_000
    expect((await visit(url, 'api', earlier)).status).toBe(401)
    expect((await visit(url, 'api', await computeToken(url, 'api'))).status).toBe(200)
  })

  test('one emulator does not take those of another', async () => {
    const config = { upstream: { api: upstream.url.href } }
    const [one, another] = await Promise.all([start(config), start(config)])
    await Promise.all([one, another].map(({ call }) => call('POST', SERVICES, manifest('api'))))
    const token = await computeToken(one.url, 'api')
    expect((await visit(one.url, 'api', token)).status).toBe(200)
    expect((await visit(another.url, 'api', token)).status).toBe(401)
    expect((await callApi(another.url, one.accessToken, 'GET', SERVICES)).status).toBe(401)
  })
})

test('a reset leaves what a new emulator has, and of buckets, repositories, builds and the rest nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'invoker-reset-'))
  const rowsOf = (data: string) => {
    const db = new Database(join(data, 'invoker.sqlite'))
    const rows = db.query('SELECT collection, key FROM resources ORDER BY collection, key').all()
    db.close()
    // Signing keys are named at random.
    return JSON.stringify(rows).replaceAll(/[0-9a-f]{40}/g, 'random')
  }
  try {
    const used = join(folder, 'used')
    const { call, close } = await start({ data: used, upstream: { api: upstream.url.href } })
    const parent = '/v1/projects/demo-project/locations/us-central1'
    const made = [
      await call('POST', SERVICES, manifest('api')),
      await call('POST', '/storage/v1/b?project=demo-project', { name: 'a-bucket' }),
      await call('POST', '/upload/storage/v1/b/a-bucket/o?uploadType=media&name=o', { some: 'bytes' }),
      await call('POST', '/upload/storage/v1/b/a-bucket/o?uploadType=resumable&name=p', {}),
      await call('POST', '/v1/projects/demo-project/services/artifactregistry.googleapis.com:enable', {}),
      await call('POST', `${parent}/repositories?repositoryId=images`, { format: 'DOCKER' }),
      await call('POST', '/v1/projects/demo-project/serviceAccounts', { accountId: 'an-account' }),
      await call('POST', '/v1/projects/demo-project/builds', {
        images: ['gcr.io/demo-project/api'],
        source: { storageSource: { bucket: 'a-bucket', object: 'o' } },
        steps: [
          { name: 'gcr.io/cloud-builders/docker', args: ['build', '-t', 'gcr.io/demo-project/api', '.'] },
        ],
      }),
    ]
    expect(made.map(({ status, body }) => [status, body?.error?.message])).toEqual(
      made.map(() => [200, undefined]),
    )
    expect(readdirSync(join(used, 'objects'))).not.toEqual([])
    const reset = await call('POST', '/_emulator/reset', {})
    expect(reset.status).toBe(200)
    await close()

    const fresh = join(folder, 'fresh')
    await (await startEmulator({ port: 0, data: fresh })).close()
    expect(rowsOf(used)).toBe(rowsOf(fresh))
    expect(readdirSync(join(used, 'objects'))).toEqual([])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test("Google's paths are answered alike by name through the proxy and at the emulator's own address", async () => {
  const { url } = await start()
  const pairs = [
    ['http://www.googleapis.com', '/oauth2/v3/certs'],
    ['http://accounts.google.com', '/.well-known/openid-configuration'],
    ['http://us-central1-run.googleapis.com', SERVICES],
    ['http://iam.googleapis.com', '/v1/projects/demo-project/serviceAccounts'],
    ['http://metadata.google.internal', '/computeMetadata/v1/project/project-id'],
  ] as const
  for (const [host, path] of pairs) {
    const headers = { 'Metadata-Flavor': 'Google' }
    const byName = await fetch(`${host}${path}`, { proxy: url, headers })
    const here = await fetch(`${url}${path}`, { headers })
    expect([path, byName.status, await byName.text()]).toEqual([path, here.status, await here.text()])
  }
})

test('ends while somebody follows its decisions, who sees the end', async () => {
  const emulator = await start()
  const response = await fetch(`${emulator.url}/_emulator/decisions?follow`)
  const reader = response.body?.getReader()
  await emulator.close()
  started.delete(emulator)
  const ended = await reader?.read().then(
    ({ done }) => done,
    () => true,
  )
  expect(ended).toBe(true)
})
