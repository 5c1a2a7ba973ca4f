import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Glob } from 'bun'
import {
  readRevisionAnnotations,
  readServiceAnnotations,
  writeRevisionAnnotations,
  writeServiceAnnotations,
} from './annotations.ts'

const RUN = 'run.googleapis.com/'

describe('annotations', () => {
  test('are read as settings, and written as Google writes them', () => {
    const annotations = {
      [`${RUN}ingress`]: 'internal',
      [`${RUN}custom-audiences`]: '["https://a.example","b"]',
      [`${RUN}maxScale`]: '3',
      [`${RUN}default-url-disabled`]: 'false',
    }
    const { settings, faults } = readServiceAnnotations(annotations)
    expect(faults).toEqual([])
    expect(settings).toEqual({
      ingress: 'internal',
      customAudiences: ['https://a.example', 'b'],
      maxInstances: 3,
      defaultUrlDisabled: false,
    })
    expect(writeServiceAnnotations({ ingress: 'all', ...settings })).toEqual(annotations)
  })

  test('of a revision are, too', () => {
    const annotations = {
      'autoscaling.knative.dev/minScale': '1',
      [`${RUN}network-interfaces`]: '[{"network":"default","tags":["t"]}]',
      [`${RUN}vpc-access-egress`]: 'all-traffic',
      [`${RUN}secrets`]: 'key:projects/p/secrets/s',
      [`${RUN}container-dependencies`]: '{"app":["side"]}',
      [`${RUN}cloudsql-instances`]: 'p:r:a,p:r:b',
    }
    const { settings, faults } = readRevisionAnnotations(annotations)
    expect(faults).toEqual([])
    expect(settings).toMatchObject({
      minInstances: 1,
      networkInterfaces: [{ network: 'default', tags: ['t'] }],
      secretAliases: { key: 'projects/p/secrets/s' },
    })
    expect(writeRevisionAnnotations(settings)).toEqual(annotations)
  })

  test.each([
    ['invoker-iam-disabled', 'True', { invokerIamDisabled: true }],
    ['custom-audiences', '', {}],
  ])('%s of %p, which gcloud writes, is understood', (name, value, settings) => {
    expect(readServiceAnnotations({ [RUN + name]: value })).toMatchObject({ settings, faults: [] })
  })

  test('the old name of all-traffic is understood', () => {
    const { settings } = readRevisionAnnotations({ [`${RUN}vpc-access-egress`]: 'all' })
    expect(settings.vpcEgress).toBe('all-traffic')
  })

  test('in the user’s own namespaces are kept as they came', () => {
    const own = { 'example.com/x': '{"a":', plain: 'True', 'client.knative.dev/user-image': 'i' }
    expect(readServiceAnnotations(own)).toEqual({ settings: {}, annotations: own, faults: [] })
  })

  test('that only the server writes are taken and forgotten', () => {
    const written = { 'serving.knative.dev/creator': 'a@b.c', [`${RUN}urls`]: '[]' }
    expect(readServiceAnnotations(written)).toEqual({ settings: {}, annotations: {}, faults: [] })
  })

  test('are named in no other file of the emulator: what they mean is in the settings', () => {
    const root = join(import.meta.dir, '../../../..')
    // A client of Google's API speaks as Google does.
    const free = /^emulator\/(?:products\/run\/v1\/|commands\/)|\.test\.ts$|\.fixture\.ts$/
    const named =
      /['"`](?:run\.googleapis\.com|autoscaling\.knative\.dev)\/(?!std(?:out|err)|requests|varlog)[\w-]+['"`]/
    const files = [...new Glob('emulator/**/*.ts').scanSync(root)].filter((file) => !free.test(file))
    expect(files.length).toBeGreaterThan(100)
    const faults = files.filter((file) => named.test(readFileSync(join(root, file), 'utf8')))
    expect(faults).toEqual([])
  })
})
