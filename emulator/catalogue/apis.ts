/** The lists of APIs, roles, endpoints and collections, derived from what the products say of themselves. Pure. */
import type { Api, Catalogue, CollectionDeclaration } from './product.ts'

/** Every API that is served, by its service name. */
export function apisOf(catalogue: Catalogue): ReadonlyMap<string, Api> {
  return new Map(catalogue.flatMap(({ api }) => (api ? [[api.name, api]] : [])))
}

/** What a new project has enabled. */
export function initiallyEnabled(catalogue: Catalogue): readonly string[] {
  return [...apisOf(catalogue).values()]
    .filter(({ enabled }) => enabled !== 'on request')
    .map(({ name }) => name)
    .sort()
}

/** A role that products add, or the permissions that they add to one of Google's. */
export interface AddedRole {
  readonly title: string
  readonly permissions: ReadonlySet<string>
  readonly grantableOn: ReadonlySet<string>
}

/** @throws {Error} for a role that holds a permission which its product does not declare */
export function addedRoles(catalogue: Catalogue): ReadonlyMap<string, AddedRole> {
  const roles = new Map<string, AddedRole>()
  for (const product of catalogue) {
    for (const [name, { title, permissions, grantableOn = [] }] of Object.entries(product.roles ?? {})) {
      const undeclared = permissions.find((permission) => !product.permissions?.includes(permission))
      if (undeclared !== undefined)
        throw new Error(`${name} holds ${undeclared}, which ${product.name} does not declare.`)
      const known = roles.get(name)
      roles.set(name, {
        title: known?.title ?? title,
        permissions: new Set([...(known?.permissions ?? []), ...permissions]),
        grantableOn: new Set([...(known?.grantableOn ?? []), ...grantableOn]),
      })
    }
  }
  return roles
}

/**
 * Where gcloud is to ask, by the name of its setting. `direct` may be asked at the emulator's address; before the name of
 * the others gcloud puts a region (facts gcloud 1), so they go by proxy.
 */
export interface EndpointOverrides {
  readonly direct: readonly string[]
  readonly byName: Readonly<Record<string, string>>
}

export function endpointOverrides(catalogue: Catalogue): EndpointOverrides {
  const named = catalogue.flatMap(({ endpointOverrides = [], hosts }) =>
    endpointOverrides.map((setting) => ({
      setting,
      host: hosts.find((host) => hosts.includes(`REGION-${host}`)),
    })),
  )
  return {
    direct: named.flatMap(({ setting, host }) => (host === undefined ? [setting] : [])),
    byName: Object.fromEntries(
      named.flatMap(({ setting, host }) => (host === undefined ? [] : [[setting, host]])),
    ),
  }
}

/** @throws {Error} when two products claim one collection */
export function collectionsOf(catalogue: Catalogue): readonly CollectionDeclaration[] {
  const owners = new Map<string, string>()
  return catalogue.flatMap(({ name: product, collections = [] }) =>
    collections.map((collection) => {
      const owner = owners.get(collection.name)
      if (owner !== undefined)
        throw new Error(`The collection ${collection.name} is kept by ${owner}, and claimed by ${product}.`)
      owners.set(collection.name, product)
      return collection
    }),
  )
}
