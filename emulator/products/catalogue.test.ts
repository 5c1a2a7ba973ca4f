import { describe, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { addedRoles, apisOf, collectionsOf, initiallyEnabled } from '../catalogue/apis.ts'
import { aliasesOf, directoryOf, REST } from '../catalogue/hosts.ts'
import type { Declaration } from '../catalogue/product.ts'
import * as declared from '../state/collections.ts'
import { catalogue } from './catalogue.ts'

const root = join(import.meta.dir, '../..')

test('every folder of products is in the table, under its name', () => {
  const folders = readdirSync(import.meta.dir, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  expect(catalogue.map(({ name }) => name).sort()).toEqual(folders.map(({ name }) => name).sort())
})

describe('which product a host means', () => {
  const directory = directoryOf(catalogue)

  test.each([
    ['metadata.google.internal', '/', 'metadata'],
    ['receiver.metadata.google.internal', '/computeMetadata/v1/', 'metadata'],
    ['169.254.169.254', '/', 'metadata'],
    ['accounts.google.com', '/anything', 'issuer'],
    ['sdk.cloud.google.com', '/authcode.html', 'issuer'],
    ['www.googleapis.com', '/oauth2/v3/certs', 'issuer'],
    ['www.googleapis.com', '/compute/v1/projects/p/regions', REST],
    ['run.googleapis.com', '/v1/token', REST],
    ['us-central1-run.googleapis.com', '/', REST],
    // Google's, and nobody's here: answered with what is served, never passed on with a token of ours.
    ['secretmanager.googleapis.com', '/v1/projects/p/secrets', REST],
    ['gcr.io', '/v2/', REST],
    ['us-docker.pkg.dev', '/v2/', REST],
    ['example.com', '/', undefined],
    ['notgcr.io', '/', undefined],
    ['googleapis.com.example.com', '/', undefined],
  ])('%s%s is %p', (host, path, product) => {
    expect(directory.byHost(host, path)).toBe(product)
  })

  test('under any other name the path decides', () => {
    expect(directory.byPath('/computeMetadata/v1/project/project-id')).toBe('metadata')
    expect(directory.byPath('/')).toBe('metadata')
    expect(directory.byPath('/token')).toBe('issuer')
    expect(directory.byPath('/v1/projects/p')).toBe(REST)
  })

  test('no two products have the same name', () => {
    const hosts = catalogue.flatMap(({ hosts, refused = [] }: Declaration) => [...hosts, ...refused])
    expect(hosts).toEqual([...new Set(hosts)])
  })
})

describe('the names that containers are given', () => {
  const region = 'us-central1'
  const names = aliasesOf(catalogue, [region])

  test('are every product’s, each region’s own too, and no wildcard or address', () => {
    expect(names).toContain('artifactregistry.googleapis.com')
    expect(names).toContain('us-central1-run.googleapis.com')
    for (const { api, hosts } of catalogue)
      if (api) expect(hosts.some((host) => names.includes(host))).toBe(true)
    expect(names.filter((name) => /[*A-Z]|^[\d.]+$/.test(name))).toEqual([])
  })

  test('docker-compose.yml lists all of them', async () => {
    const compose = parse(await Bun.file(join(root, 'docker-compose.yml')).text(), { merge: true })
    for (const { aliases } of Object.values<Aliased>(compose.services.emulator.networks))
      expect(googleNames(aliases)).toEqual([...names].sort())
  })

  test.each(['two-languages', 'link-local'])('examples/%s lists no other', async (example) => {
    const file = join(root, 'examples', example, 'docker-compose.yml')
    const compose = parse(await Bun.file(file).text(), { merge: true })
    const networks = Object.values<Aliased>(compose.services.google.networks)
    for (const { aliases } of networks) {
      expect(googleNames(aliases).length).toBeGreaterThan(0)
      expect(googleNames(aliases).filter((name) => !names.includes(name))).toEqual([])
    }
  })

  interface Aliased {
    readonly aliases: readonly string[]
  }

  /** Those that are not services' own URLs. */
  function googleNames(aliases: readonly string[]): readonly string[] {
    return aliases.filter((name) => !name.endsWith('.run.app')).sort()
  }
})

describe('APIs', () => {
  test('a new project has those of the tutorial, and not what it has to enable', () => {
    const enabled = initiallyEnabled(catalogue)
    expect(enabled).toContain('run.googleapis.com')
    expect(enabled).not.toContain('artifactregistry.googleapis.com')
    expect([...apisOf(catalogue).keys()]).toEqual(expect.arrayContaining([...enabled]))
  })

  test('what the state keeps is some product’s, but for operations, which every product has', () => {
    const claimed: readonly unknown[] = collectionsOf(catalogue)
    const unclaimed = Object.values(declared).filter((collection) => !claimed.includes(collection))
    expect(unclaimed.map(({ name }) => name)).toEqual(['operations'])
  })

  test('a role holds what its product declares', () => {
    const roles = { 'roles/a.viewer': { title: 'Viewer', permissions: ['a.things.get'] } }
    const read = (permissions: readonly string[]) => addedRoles([{ ...product('a'), roles, permissions }])
    expect(read(['a.things.get']).has('roles/a.viewer')).toBe(true)
    expect(() => read(['a.things.gte'])).toThrow(
      'roles/a.viewer holds a.things.get, which a does not declare.',
    )
  })

  test('a collection has one owner', () => {
    const twice = [product('a'), product('b')]
    expect(() => collectionsOf(twice)).toThrow('The collection things is kept by a, and claimed by b.')
    expect(() => collectionsOf(catalogue)).not.toThrow()
  })

  function product(name: string): Declaration {
    const collections = [{ name: 'things', survivesReset: false, survivesRestart: true }]
    return { name, hosts: [], serves: [], leavesOut: [], collections }
  }
})
