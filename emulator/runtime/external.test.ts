import { describe, expect, test } from 'bun:test'
import type { Revision } from '../state/resources.ts'
import { createExternalRuntime, type ExternalOptions } from './external.ts'
import { revisionOf } from './runtime.fixture.ts'

const hello = revisionOf('hello')
const canary = revisionOf('hello', { revision: 'hello-00002-def' })
const other = revisionOf('other')

function rig(upstreams: Readonly<Record<string, string>>, options: Partial<ExternalOptions> = {}) {
  const revisions: readonly Revision[] = [hello, canary, other]
  return createExternalRuntime({
    upstreams,
    serving: (service) => revisions.find((revision) => revision.service === service),
    revision: (name) => revisions.find((revision) => revision.name === name),
    now: () => 0,
    ...options,
  })
}

function identity({ project, region, service, name }: Revision) {
  return { service: { project, region, name: service }, revision: name }
}

describe('where revisions are', () => {
  test('at the URL of their service, or at their own, while they run', async () => {
    const runtime = rig({ hello: 'http://hello:8080', 'hello-00002-def': 'http://127.0.0.1:3000' })
    expect(runtime.upstream(hello)).toBeUndefined()
    for (const revision of [hello, canary, other]) await runtime.start(revision)
    expect(runtime.upstream(hello)?.href).toBe('http://hello:8080/')
    expect(runtime.upstream(canary)?.href).toBe('http://127.0.0.1:3000/')
    expect(runtime.upstream(other)).toBeUndefined()
    await runtime.stop(hello)
    expect(runtime.upstream(hello)).toBeUndefined()
    expect([hello, canary, other].map((revision) => runtime.owns(revision))).toEqual([true, true, false])
  })

  test('names that every object has are none', () => {
    expect(rig({}).owns(revisionOf('constructor'))).toBe(false)
  })

  test('a program that goes on as a revision of another account may hold the tokens of the first', async () => {
    const lines: string[] = []
    const runtime = rig({ hello: 'http://hello:8080' }, { log: (line) => lines.push(line) })
    const moved = { ...canary, template: { ...canary.template, serviceAccount: 'b@example.com' } }
    await runtime.start(hello)
    await runtime.start(canary)
    expect(lines).toEqual([])
    await runtime.start(moved)
    expect(lines).toEqual([expect.stringContaining(`the tokens of ${hello.template.serviceAccount}`)])
    expect(lines[0]).toContain('which runs as b@example.com')
  })

  test('they are ready at once: whoever runs them decides when they listen', async () => {
    expect(await rig({ hello: 'http://hello:8080' }).start(hello)).toEqual({ ready: true, imageDigest: '' })
  })
})

describe('who has an address', () => {
  const resolve = (host: string) =>
    Promise.resolve({ hello: ['10.0.0.1'], canary: ['10.0.0.2'], shared: ['10.0.0.3'] }[host] ?? [])

  test('the revision that serves, or the one that the URL is of', async () => {
    const runtime = rig({ hello: 'http://hello:8080', 'hello-00002-def': 'http://canary' }, { resolve })
    expect(await runtime.instanceAt('10.0.0.1')).toEqual(identity(hello))
    expect(await runtime.instanceAt('10.0.0.2')).toEqual(identity(canary))
    expect(await runtime.instanceAt('10.0.0.9')).toBeUndefined()
    expect(await runtime.instanceAt('')).toBeUndefined()
  })

  test('nobody, where several share it', async () => {
    const runtime = rig({ hello: 'http://shared:3000', other: 'http://shared:3001' }, { resolve })
    expect(await runtime.instanceAt('10.0.0.3')).toBeUndefined()
  })

  test('nobody, while the service has no revision that serves', async () => {
    const runtime = rig({ hello: 'http://hello' }, { resolve, serving: () => undefined })
    expect(await runtime.instanceAt('10.0.0.1')).toBeUndefined()
  })

  test('a literal address is an instance’s own; loopback is everybody’s', async () => {
    const runtime = rig({
      hello: 'http://192.0.2.7:8080',
      'hello-00002-def': 'http://[2001:db8::7]:8080',
      other: 'http://127.0.0.1:8080',
    })
    expect(await runtime.instanceAt('192.0.2.7')).toEqual(identity(hello))
    expect(await runtime.instanceAt('2001:db8::7')).toEqual(identity(canary))
    expect(await runtime.instanceAt('127.0.0.1')).toBeUndefined()
  })

  test('loopback under a name is everybody’s, too', async () => {
    const runtime = rig({ hello: 'http://localhost:8080' })
    expect(await runtime.instanceAt('127.0.0.1')).toBeUndefined()
    expect(await runtime.instanceAt('::1')).toBeUndefined()
  })

  test('names are asked for again soon: an engine gives an address on to another container', async () => {
    let now = 0
    let address = '10.0.0.1'
    let asked = 0
    const runtime = rig(
      { hello: 'http://hello' },
      { now: () => now, resolve: () => Promise.resolve([address]).finally(() => asked++) },
    )
    await runtime.instanceAt('10.0.0.1')
    now = 1999
    expect(await runtime.instanceAt('10.0.0.1')).toEqual(identity(hello))
    expect(asked).toBe(1)
    address = '10.0.0.8'
    now = 2000
    expect(await runtime.instanceAt('10.0.0.1')).toBeUndefined()
    expect(await runtime.instanceAt('10.0.0.8')).toEqual(identity(hello))
  })

  test('a name that cannot be resolved is nobody’s, and no fault', async () => {
    const runtime = rig({ hello: 'http://gone' }, { resolve: () => Promise.reject(new Error('ENOTFOUND')) })
    expect(await runtime.instanceAt('10.0.0.1')).toBeUndefined()
  })
})
